"""Metrics of several workers: each writes its own into a folder, and any answers for all.

Counts of workers are not added up: each sample has the label ``worker``, and a worker that was
started again begins at 0, which Prometheus sees as the reset of a counter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stagecast.serving.metrics.samples import Family

EVERY_SECONDS = 1.0
"""How often a worker writes its metrics; those of the others are as old at most."""
_SUFFIX = ".metrics"


@dataclass(frozen=True)
class Worker:
    """One of several processes that answer at one address.

    Parameters
    ----------
    number
        Its number, from 0; a worker that is started again has the number of the one before.
    folder
        Folder into which all of them write their metrics.
    """

    number: int
    folder: Path

    @property
    def name(self) -> str:
        """The number as text."""
        return str(self.number)


def write_own(worker: Worker, families: Sequence[Family]) -> None:
    """Write the metrics of a worker, in place of what it wrote before."""
    draft = worker.folder / f".{worker.name}.draft"
    draft.write_bytes(msgspec.json.encode(families))
    draft.replace(worker.folder / f"{worker.name}{_SUFFIX}")


def of_others(worker: Worker) -> dict[str, list[Family]]:
    """Return worker -> metrics of the other workers; one that cannot be read is left out."""
    others = {}
    for path in sorted(worker.folder.glob(f"*{_SUFFIX}")):
        if path.stem == worker.name:
            continue
        try:
            others[path.stem] = msgspec.json.decode(path.read_bytes(), type=list[Family])
        except (OSError, msgspec.MsgspecError):
            continue
    return others

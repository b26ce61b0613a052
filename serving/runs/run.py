"""What is left of a run in memory, once its folder stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from stagecast.training.bundle import Bundle


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Parameters
    ----------
    folder
        The folder, named as :data:`~stagecast.serving.runs.files.OF_A_RUN` says.
    bundle
        The models.
    scores
        One row per customer.
    summary
        What the report says, as :func:`stagecast.serving.runs.summary.summary` gives it.
    """

    folder: Path
    bundle: Bundle
    scores: pa.Table
    summary: dict[str, Any]

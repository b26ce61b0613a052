"""A new model that answers a share of the customers, until it answers all of them or none.

Each customer stays with one model while it lasts: a keyed hash of the id decides. The old model is
asked beside, so that both are compared on the same customers.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import instant_text
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.follow.beside import Beside, read_reports
from stagecast.serving.follow.limits import LOOKS, Limits
from stagecast.serving.follow.pairs import merged
from stagecast.serving.store.protocols import ScorerLike

LOOK_SECONDS = 0.2
_WHOLE = 2**64


class RolledBackError(DataRefusedError):
    """A model that answered some customers must not answer all; it is not tried again."""


class SupersededError(UsageError):
    """Another model has taken the place of the one that was tried, or the server stops."""


@dataclass(frozen=True)
class Trial:
    """What all workers know of a canary.

    Parameters
    ----------
    model, old_model
        Folders of the new bundle and of the old one.
    reports
        Folder for the files of pairs and counts.
    share
        Share of the customers whom the new model answers, in (0, 1).
    key
        Secret of this canary, by which customers are chosen, as hexadecimal digits.
    since
        When it began, UTC.
    """

    model: Path
    old_model: Path
    reports: Path
    share: float
    key: str
    since: datetime

    def takes(self, customer_id: str) -> bool:
        """Return whether the new model answers a customer."""
        digest = hashlib.blake2b(
            customer_id.encode(), digest_size=8, key=bytes.fromhex(self.key)
        ).digest()
        return int.from_bytes(digest, "big") < self.share * _WHOLE

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, for a worker."""
        return {
            "model": str(self.model),
            "old_model": str(self.old_model),
            "reports": str(self.reports),
            "share": self.share,
            "key": self.key,
            "since": self.since.isoformat(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trial:
        """Return the trial that :meth:`to_json` described."""
        return cls(
            Path(data["model"]),
            Path(data["old_model"]),
            Path(data["reports"]),
            data["share"],
            data["key"],
            datetime.fromisoformat(data["since"]),
        )


@dataclass
class Canary:
    """A canary in a process that answers.

    Parameters
    ----------
    trial
        What all workers know of it.
    scorer
        The new model.
    beside
        Asks the old one.
    """

    trial: Trial
    scorer: ScorerLike
    beside: Beside = field(init=False)

    def __post_init__(self) -> None:
        self.beside = Beside(self.trial.old_model, self.trial.reports, "canary")

    def start(self) -> None:
        """Begin to compare."""
        self.beside.start()

    def stop(self) -> None:
        """End the comparison."""
        self.beside.stop()

    def fail(self, kind: str, customers: int) -> None:
        """Count customers at whom the new model failed, and whom the old one has answered."""
        errors = self.beside.counts.errors
        errors[kind] = errors.get(kind, 0) + customers

    def to_json(self, limits: Limits) -> dict[str, Any]:
        """Return what stands of it, over all workers, as readiness and the model's card show it."""
        pairs, counts = read_reports(self.trial.reports)
        return {
            "model_version": self.scorer.model_version,
            "share": self.trial.share,
            "since": instant_text(self.trial.since),
            "customers_compared": sum(part.scores for part in pairs),
            "customers_needed": limits.customers,
            "customers_answered": counts.answered,
            "errors": sum(counts.errors.values()),
        }


def wait_for_verdict(
    trial: Trial,
    limits: Limits,
    *,
    goes_on: Callable[[], bool],
    death: Callable[[], str | None] = lambda: None,
) -> None:
    """Return when the new model of a canary may answer all customers.

    Parameters
    ----------
    trial
        The canary.
    limits
        What it must keep.
    goes_on
        Returns False when there is no reason to try it any longer.
    death
        Returns how a worker ended since the canary began; None: none did.

    Raises
    ------
    RolledBackError
        It broke a limit.
    SupersededError
        There is no reason to try it any longer.
    """
    began, looks, looked_at, chance = time.monotonic(), 0, 0, random.Random(1)
    while True:
        if not goes_on():
            raise SupersededError("another model took the place of the one that was tried")
        parts, counts = read_reports(trial.reports)
        problem = limits.failed(counts.errors) or death()
        if problem is None:
            pairs = merged(parts, chance)
            scores = 0 if pairs is None else pairs.scores
            due, is_over = limits.looks_of(scores), time.monotonic() - began >= 60 * limits.minutes
            # the minutes can be longer than the customers take, and those of the rest count too
            is_last = due == LOOKS and is_over and scores > looked_at
            if pairs is not None and (due > looks or is_last):
                looks, looked_at, problem = due, scores, limits.broken(pairs)
        if problem is not None:
            raise RolledBackError(f"rolled back from {trial.share:.1%} of the customers: {problem}")
        if looks == LOOKS and is_over:
            return
        time.sleep(LOOK_SECONDS)

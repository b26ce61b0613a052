"""A challenger that is scored on a share of the requests, compared, and never answered."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import instant_text
from stagecast.features.errors import DataRefusedError
from stagecast.serving.follow.beside import Beside, read_reports
from stagecast.serving.follow.pairs import merged
from stagecast.serving.scoring.first_load import CHILD_SECONDS

_GOLDEN = 0x9E3779B97F4A7C15
_WHOLE = 2**64


class Shadow:
    """The challenger of a process that answers.

    Parameters
    ----------
    share
        Share of the requests that it scores.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.beside: Beside | None = None
        self.since: datetime | None = None
        self.doubt: Callable[[], Any] = lambda: None
        self._count = 0

    def put(self, model: Path, reports: Path) -> None:
        """Compare with another challenger from now on; it is checked in its own process.

        Parameters
        ----------
        model
            Folder of its bundle.
        reports
            Empty folder for the files of the comparison, one for all workers.
        """
        before, beside = self.beside, Beside(model, reports, "shadow")
        beside.start()
        self.beside, self.since = beside, datetime.now(UTC)
        if before is not None:
            before.stop()

    def put_checked(self, model: Path, reports: Path) -> None:
        """Do as :meth:`put`, and leave the old challenger where the new one cannot score.

        Raises
        ------
        DataRefusedError
            It cannot.
        """
        beside = Beside(model, reports, "shadow")
        beside.start()
        beside.wait_ready(CHILD_SECONDS)
        if beside.version is None:
            beside.stop()
            raise DataRefusedError(beside.problem or "the challenger was not loaded in time")
        before, self.beside, self.since = self.beside, beside, datetime.now(UTC)
        if before is not None:
            before.stop()

    def wants(self) -> bool:
        """Return whether the challenger scores the next request: neither the caller nor the body
        has a say, nor can the request have a rhythm that the choice shares (multiples of the golden
        ratio are spread evenly).
        """
        if self.beside is None or self.beside.version is None:
            return False
        self._count += 1
        return self._count * _GOLDEN % _WHOLE < self.share * _WHOLE

    def stop(self) -> None:
        """End the comparison."""
        if self.beside is not None:
            self.beside.stop()

    def report(self, answering: str | None) -> dict[str, Any]:
        """Return the comparison over all workers, as ``GET /v1/model/shadow`` shows it.

        Parameters
        ----------
        answering
            Version of the model that answers now: pairs of earlier ones are left out.
        """
        doubt, beside = self.doubt(), self.beside
        answer: dict[str, Any] = {
            "answered_model_version": answering,
            "beside_model_version": None if beside is None else beside.version,
            "share": self.share,
            "since": None if self.since is None else instant_text(self.since),
            "problem": None if doubt is None else doubt.to_json(),
            "process_problem": None if beside is None else beside.problem,
            "requests": 0,
            "requests_dropped": 0,
            "comparison": None,
        }
        if beside is None:
            return answer
        parts, counts = read_reports(beside.reports)
        answer |= {"requests": counts.offered, "requests_dropped": counts.dropped}
        pairs = merged((p for p in parts if p.answered == answering), random.Random(1))
        answer["comparison"] = None if pairs is None else pairs.report()
        return answer

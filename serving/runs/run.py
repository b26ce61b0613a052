"""Result of a run in memory, after its folder was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.intake.counted import counted
from stagecast.features.plain_json import to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from stagecast.serving.reports.summary import Summary
    from stagecast.training.bundle import Bundle


@dataclass(frozen=True)
class Run:
    """Result of a run.

    Parameters
    ----------
    folder
        Its folder; the files are :data:`~stagecast.serving.runs.files.OF_A_RUN`.
    bundle
        The models.
    scores
        One row per customer.
    summary
        What the report is made of, beside the scores.
    """

    folder: Path
    bundle: Bundle
    scores: pa.Table
    summary: Summary

    def __repr__(self) -> str:
        grade = "not evaluated"
        if self.summary.evaluation is not None:
            grade = f"grade {self.summary.evaluation.grade}"
        customers = counted(len(self.scores), "customer")
        return f"Run('{self.folder}', {customers}, {grade}, {self.bundle!r})"

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return to_json(self.summary)

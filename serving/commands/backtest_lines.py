"""What `backtest` prints: the grade, the methods beside each other, the dates, the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.intake.counted import counted
from stagecast.serving.commands.console import table
from stagecast.serving.runs.files import BACKTEST, BACKTEST_REPORT, PREDICTIONS

if TYPE_CHECKING:
    from stagecast.training.judging.evaluation_result import Difference, ValueEvaluation
    from stagecast.training.judging.segments import SegmentFigures
    from stagecast.training.judging.verdict_result import SpendEstimates, Verdict


def backtest_lines(
    verdict: Verdict, value: ValueEvaluation | None, out: Path, notes: Sequence[str] = ()
) -> list[str]:
    """Return the verdict for a terminal.

    Parameters
    ----------
    verdict
        Result of the backtest.
    value
        How good the value over the value horizon was; None where the log is too young to tell.
    out
        The folder that it was written to.
    notes
        What was asked for and the log did not have.
    """
    dates = verdict.dates
    lines = [
        f"grade {verdict.grade}: {verdict.grade_sentence}",
        f"{counted(len(dates), 'date')}, {dates[0].as_of[:10]} to {dates[-1].as_of[:10]}, "
        f"{verdict.horizon_days} days ahead, {counted(verdict.customers, 'customer')}",
        *(f"note: {note}" for note in notes),
        "",
        *_methods(verdict),
    ]
    if verdict.spend:
        rows = [[method.label, *_spend(method)] for method in verdict.spend]
        lines += ["", *table([["spend", "mean error", "total"], *rows], {1, 2})]
    if verdict.coverage is not None:
        lines.append(
            "90 % ranges of the expected spend held "
            f"{verdict.coverage.expected_spend:.1%} of what came"
        )
    if verdict.next_stage:
        stages = [
            [row.label, f"{row.log_loss:.4f}", f"{row.calibration_error:.3f}"]
            for row in verdict.next_stage
        ]
        lines += ["", *table([["next stage", "log loss", "calibration"], *stages], {1, 2})]
    if value is not None:
        lines += ["", *_value(value)]
    if verdict.segments:
        lines += ["", *_segments(verdict)]
    return [
        *lines,
        "",
        f"  {out / BACKTEST_REPORT!s:<36} the report; open it in a browser",
        f"  {out / BACKTEST!s:<36} the same as JSON",
        f"  {out / PREDICTIONS!s:<36} every prediction beside what came",
    ]


def _methods(verdict: Verdict) -> list[str]:
    head = ["method", "log loss", "95 %", "AUC", "calibration", "lift 10 %", "ours is"]
    differences = {difference.name: difference for difference in verdict.against}
    rows = [
        [
            method.label,
            f"{method.log_loss:.4f}",
            ""
            if method.log_loss_low is None
            else f"{method.log_loss_low:.4f}-{method.log_loss_high:.4f}",
            "" if method.auc is None else f"{method.auc:.3f}",
            f"{method.calibration_error:.3f}",
            "" if method.lift_10 is None else f"{method.lift_10:.2f}",
            _compared(differences.get(method.name)),
        ]
        for method in verdict.models
    ]
    return table([head, *rows], {1, 2, 3, 4, 5, 6})


def _segments(verdict: Verdict) -> list[str]:
    """Return ours beside the best other method by segment; * is a difference beyond chance."""
    from stagecast.training.churn_kinds import kind_of  # slow to import

    event = kind_of(verdict.churn).wording.probability
    head = [f"{event}, by", "", "predictions", "ours", "best other", "which", "ours is"]
    rows = [
        [
            row.segment,
            row.value,
            f"{row.rows:,}",
            f"{row.ours:.4f}",
            f"{row.best:.4f}",
            row.best_label,
            _compared(row),
        ]
        for row in verdict.segments
        if row.measured == "churn"
    ]
    return table([head, *rows], {2, 3, 4, 6})


def _value(value: ValueEvaluation) -> list[str]:
    head = [f"value from {value.as_of[:10]} to {value.until[:10]}", "mean error", "rank", "total"]
    rows = [
        [
            method.label,
            f"{method.mae:,.2f}",
            "" if method.rank_correlation is None else f"{method.rank_correlation:.3f}",
            f"{method.predicted_total / method.actual_total - 1:+z.1%}"
            if method.actual_total
            else "",
        ]
        for method in value.models
    ]
    return [
        *table([head, *rows], {1, 2, 3}),
        f"grade {value.grade} of the value: {value.grade_sentence}",
    ]


def _compared(difference: Difference | SegmentFigures | None) -> str:
    if (
        difference is None
        or difference.relative is None
        or difference.low is None
        or difference.high is None
    ):
        return ""
    sure = "" if difference.low <= 0 <= difference.high else " *"
    direction = "better" if difference.relative < 0 else "worse"
    return f"{abs(difference.relative):.1%} {direction}{sure}"


def _spend(method: SpendEstimates) -> tuple[str, str]:
    return f"{method.mae:,.2f}", "" if method.bias is None else f"{method.bias:+z.1%}"

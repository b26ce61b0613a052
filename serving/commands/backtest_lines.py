"""What `backtest` prints: the grade, the methods beside each other, the dates, the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagecast.serving.commands.console import table
from stagecast.serving.runs.files import BACKTEST, BACKTEST_REPORT, PREDICTIONS


def backtest_lines(figures: Mapping[str, Any], out: Path) -> list[str]:
    """Return the verdict for a terminal.

    Parameters
    ----------
    figures
        What ``backtest.json`` holds.
    out
        The folder that it stands in.
    """
    dates = figures["dates"]
    lines = [
        f"grade {figures['grade']}: {figures['grade_sentence']}",
        f"{len(dates)} dates, {dates[0]['as_of'][:10]} to {dates[-1]['as_of'][:10]}, "
        f"{figures['horizon_days']} days ahead, {figures['customers']:,} customers",
        "",
        *_methods(figures),
    ]
    if figures["spend"]:
        rows = [[row["label"], *_spend(row)] for row in figures["spend"]]
        lines += ["", *table([["spend", "mean error", "total"], *rows], {1, 2})]
    if figures["coverage"]:
        lines.append(
            "90 % ranges of the expected spend held "
            f"{figures['coverage']['expected_spend']:.1%} of what came"
        )
    return [
        *lines,
        "",
        f"  {out / BACKTEST_REPORT!s:<36} the report; open it in a browser",
        f"  {out / BACKTEST!s:<36} the same as JSON",
        f"  {out / PREDICTIONS!s:<36} every prediction beside what came",
    ]


def _methods(figures: Mapping[str, Any]) -> list[str]:
    head = ["method", "log loss", "95 %", "AUC", "calibration", "lift 10 %", "ours is"]
    against = {row["name"]: row for row in figures["against"]}
    rows = [
        [
            row["label"],
            f"{row['log_loss']:.4f}",
            ""
            if row["log_loss_low"] is None
            else f"{row['log_loss_low']:.4f}-{row['log_loss_high']:.4f}",
            "" if row["auc"] is None else f"{row['auc']:.3f}",
            f"{row['calibration_error']:.3f}",
            f"{row['lift_10']:.2f}" if "lift_10" in row else "",
            _compared(against.get(row["name"])),
        ]
        for row in figures["models"]
    ]
    return table([head, *rows], {1, 2, 3, 4, 5, 6})


def _compared(row: Mapping[str, Any] | None) -> str:
    if row is None or row["relative"] is None or row["low"] is None:
        return ""
    sure = "" if row["low"] <= 0 <= row["high"] else " *"
    return f"{abs(row['relative']):.1%} {'better' if row['relative'] < 0 else 'worse'}{sure}"


def _spend(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['mae']:,.2f}", "" if row["bias"] is None else f"{row['bias']:+.1%}"

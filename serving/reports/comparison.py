"""Methods beside each other: which measures are shown, how they are written, and which value is
the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from stagecast.serving.reports.rendering import NOTHING, money, percent

# key, title, how it is written, which value is best: the lowest, the highest, the nearest to 1, or
# none
Metric = tuple[str, str, Callable[[float], str], Literal["low", "high", "one", ""]]
CHURN: tuple[Metric, ...] = (
    ("log_loss", "Log loss", "{:.4f}".format, "low"),
    ("auc", "AUC", "{:.3f}".format, "high"),
    ("brier", "Brier score", "{:.4f}".format, "low"),
    ("calibration_error", "Calibration error", "{:.3f}".format, "low"),
    ("lift_10", "Lift, top 10%", "{:.2f}".format, "high"),
)
HINTS = {
    "low": "lower is better",
    "high": "higher is better",
    "one": "nearest 100% is best",
    "": "",
}
SPEND: tuple[Metric, ...] = (
    ("mae", "Mean error per customer", "{:,.2f}".format, "low"),
    ("rank_correlation", "Rank correlation", "{:.3f}".format, "high"),
    ("predicted_total", "Predicted in all", money, ""),
    ("of_actual", "Of what was spent", percent, "one"),
)


def finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def comparison(
    rows: Iterable[Mapping[str, Any]] | None, metrics: Sequence[Metric]
) -> dict[str, Any] | None:
    """Return models against measures, the best of each marked; measures that no model has are
    left out.
    """
    models = list(rows or [])
    columns = [
        metric
        for metric in metrics
        if any(finite(model.get(metric[0])) is not None for model in models)
    ]
    if not columns:
        return None
    lines: list[dict[str, Any]] = [
        {"name": one["name"], "label": one.get("label") or one["name"], "cells": []}
        for one in models
    ]
    for key, _, written, aim in columns:
        values = [finite(model.get(key)) for model in models]
        best = _best([value for value in values if value is not None], aim)
        for line, value in zip(lines, values, strict=True):
            text = NOTHING if value is None else written(value)
            line["cells"].append({"text": text, "best": value is not None and value == best})
    return {
        "columns": [{"title": title, "hint": HINTS[aim]} for _, title, _, aim in columns],
        "rows": lines,
    }


def _best(values: Sequence[float], aim: str) -> float | None:
    if not aim or len(values) < 2:
        return None
    return (
        {"low": min, "high": max}[aim](values)
        if aim != "one"
        else min(values, key=lambda value: abs(value - 1))
    )

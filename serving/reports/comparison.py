"""Table of methods and measures, with the best value of each measure marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from stagecast.features.shop.money import NOTHING, money, precise_money
from stagecast.serving.reports.rendering import percent

Aim = Literal["low", "high", "one", ""]
"""Which value is the best: the lowest, the highest, the one nearest to 1, or none."""


@dataclass(frozen=True)
class Metric:
    """A measure of a comparison.

    Parameters
    ----------
    key
        Name of the figure.
    title
        Head of its column.
    written
        Returns a value as text.
    aim
        Which value is the best.
    """

    key: str
    title: str
    written: Callable[[float], str]
    aim: Aim


CHURN: tuple[Metric, ...] = (
    Metric("log_loss", "Log loss", "{:.4f}".format, "low"),
    Metric("auc", "AUC", "{:.3f}".format, "high"),
    Metric("brier", "Brier score", "{:.4f}".format, "low"),
    Metric("calibration_error", "Calibration error", "{:.3f}".format, "low"),
    Metric("lift_10", "Lift, top 10%", "{:.2f}".format, "high"),
)
HINTS: Mapping[Aim, str] = {
    "low": "lower is better",
    "high": "higher is better",
    "one": "nearest 100% is best",
    "": "",
}


def spend_metrics(currency: str | None) -> tuple[Metric, ...]:
    """Return the measures of how good methods were at money, in a currency."""
    return (
        mean_error(currency),
        Metric("rank_correlation", "Rank correlation", "{:.3f}".format, "high"),
        Metric("predicted_total", "Predicted in all", partial(money, currency=currency), ""),
        Metric("of_actual", "Of what was spent", percent, "one"),
    )


def mean_error(currency: str | None) -> Metric:
    """Return the measure of the mean absolute error of money, in a currency."""
    return Metric(
        "mae",
        "Mean error per customer",
        partial(precise_money, currency=currency),
        "low",
    )


@dataclass(frozen=True)
class Method:
    """A method to compare: its key, its label, and its figures by name."""

    name: str
    label: str
    figures: Mapping[str, Any]


class HasFigures(Protocol):
    """A result of a method: its figures are attributes, beside these two."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...


@dataclass(frozen=True)
class Cell:
    """A value as text, and whether it is the best of its column."""

    text: str
    best: bool


@dataclass(frozen=True)
class Line:
    """The values of a method, one per column."""

    name: str
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """Head of a column, and which value is the best in words; empty where none is."""

    title: str
    hint: str


@dataclass(frozen=True)
class Comparison:
    """A table of methods by measures."""

    columns: tuple[Column, ...]
    rows: tuple[Line, ...]


def method_of(result: HasFigures, **figures: float | None) -> Method:
    """Return a method with the attributes of its result as figures, and some besides."""
    return Method(result.name, result.label, {**vars(result), **figures})


def comparison(methods: Iterable[Method], metrics: Sequence[Metric]) -> Comparison | None:
    """Return methods by measures; None where no method has any of the measures.

    A measure that no method has gets no column.
    """
    methods = list(methods)
    columns: list[Column] = []
    cells: list[list[Cell]] = []
    for metric in metrics:
        values = [_finite(method.figures.get(metric.key)) for method in methods]
        known = [value for value in values if value is not None]
        if known:
            best = _best(known, metric.aim)
            columns.append(Column(metric.title, HINTS[metric.aim]))
            cells.append([_cell(value, best, metric.written) for value in values])
    if not columns:
        return None
    lines = (
        Line(method.name, method.label, row)
        for method, row in zip(methods, zip(*cells, strict=True), strict=True)
    )
    return Comparison(tuple(columns), tuple(lines))


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _cell(value: float | None, best: float | None, written: Callable[[float], str]) -> Cell:
    if value is None:
        return Cell(NOTHING, best=False)
    return Cell(written(value), best=value == best)


def _best(values: Sequence[float], aim: Aim) -> float | None:
    if not aim or len(values) < 2:
        return None
    if aim == "one":
        return min(values, key=lambda value: abs(value - 1))
    return min(values) if aim == "low" else max(values)

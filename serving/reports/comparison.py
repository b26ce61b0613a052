"""Table of methods and measures, with the best value of each measure marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from stagecast.features.shop.money import NOTHING
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import label_of, texts_of

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


def churn_metrics(display: Display = ENGLISH) -> tuple[Metric, ...]:
    """Return the measures of how good probabilities were, in a language."""
    t = texts_of(display.language)["trust"]
    four, three, two = (partial(display.places, places=places) for places in (4, 3, 2))
    return (
        Metric("log_loss", t["log_loss"], four, "low"),
        Metric("auc", t["auc"], three, "high"),
        Metric("brier", t["brier"], four, "low"),
        Metric("calibration_error", t["calibration_error"], three, "low"),
        Metric("lift_10", t["lift"], two, "high"),
    )


def _whole_percent(display: Display, ratio: float) -> str:
    """Return a ratio that may be above 1 in whole per cent: .9995 is 100 %, not more than 99 %."""
    return display.percent(round(ratio, 2))


def spend_metrics(currency: str | None, display: Display = ENGLISH) -> tuple[Metric, ...]:
    """Return the measures of how good methods were at money, in a currency and a language."""
    t = texts_of(display.language)["trust"]
    return (
        mean_error(currency, display),
        Metric(
            "rank_correlation", t["rank_correlation"], partial(display.places, places=3), "high"
        ),
        Metric("predicted_total", t["predicted_total"], partial(_money, display, currency), ""),
        Metric("of_actual", t["of_actual"], partial(_whole_percent, display), "one"),
    )


def mean_error(currency: str | None, display: Display = ENGLISH) -> Metric:
    """Return the measure of the mean absolute error of money, in a currency and a language."""
    title = texts_of(display.language)["trust"]["mae"]
    return Metric("mae", title, partial(display.precise_money, currency=currency), "low")


def _money(display: Display, currency: str | None, value: float) -> str:
    return display.money(value, currency)


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


def method_of(result: HasFigures | Mapping[str, Any], **figures: float | None) -> Method:
    """Return a method with the attributes of its result as figures, and some besides.

    The result may be plain data, as a card has it.
    """
    fields = result if isinstance(result, Mapping) else vars(result)
    return Method(fields["name"], fields["label"], {**fields, **figures})


def comparison(
    methods: Iterable[Method], metrics: Sequence[Metric], display: Display = ENGLISH
) -> Comparison | None:
    """Return methods by measures in a language; None where no method has any of the measures.

    A measure that no method has gets no column.
    """
    hints = _hints(display.language)
    methods = list(methods)
    columns: list[Column] = []
    cells: list[list[Cell]] = []
    for metric in metrics:
        values = [_finite(method.figures.get(metric.key)) for method in methods]
        known = [value for value in values if value is not None]
        if known:
            best = _best(known, metric.aim)
            columns.append(Column(metric.title, hints[metric.aim]))
            best_text = None if best is None else metric.written(best)
            cells.append([_cell(value, best_text, metric.written) for value in values])
    if not columns:
        return None
    lines = (
        Line(method.name, label_of(method.label, display.language), row)
        for method, row in zip(methods, zip(*cells, strict=True), strict=True)
    )
    return Comparison(tuple(columns), tuple(lines))


def _hints(language: str) -> Mapping[Aim, str]:
    """Return which value of a measure is the best, in words."""
    t = texts_of(language)["trust"]
    return {"low": t["lower"], "high": t["higher"], "one": t["nearest"], "": ""}


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _cell(value: float | None, best: str | None, written: Callable[[float], str]) -> Cell:
    if value is None:
        return Cell(NOTHING, best=False)
    text = written(value)
    # of two equal numbers a reader would ask why one alone is the best
    return Cell(text, best=text == best)


def _best(values: Sequence[float], aim: Aim) -> float | None:
    if not aim or len(values) < 2:
        return None
    if aim == "one":
        return min(values, key=lambda value: abs(value - 1))
    return min(values) if aim == "low" else max(values)

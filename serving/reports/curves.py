"""Small drawings of the pages: points of a curve in the coordinates of its picture.

The pages are drawn by their templates, since Vega needs seconds and a hundred megabytes before its
first chart, which a server should not spend; the report's charts are in
:mod:`stagecast.serving.reports.charts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 300, 110
LABEL_HEIGHT, LABEL_GAP = 10, 5
"""Height of a number in a picture, and the space between it and a line below it."""
HEADROOM = 2 * LABEL_GAP + LABEL_HEIGHT
"""Space above a picture, in which the number of a curve that ends at its top is written."""


@dataclass(frozen=True)
class Curve:
    """What a group has earned by age, as a picture 300 wide and 110 high.

    Parameters
    ----------
    group
        What the customers were first seen in.
    line, area
        Points of the curve and of its interval, as an SVG polyline takes them.
    cost
        Height of the cost per customer; None: it is not known, or above the picture.
    paid_back
        Where the curve reaches the cost; None: it does not.
    days, earned, end
        Right end of the picture in days, what is earned there, and the height of the curve there.
    label
        Height of the line on which the number at the end of the curve is written: above the curve,
        and not across the line of the cost.
    cac, payback
        Cost per customer in money, and the days until it is earned; None: not known.
    """

    group: str
    line: str
    area: str
    cost: float | None
    paid_back: float | None
    days: float
    earned: float
    end: float
    label: float
    cac: float | None
    payback: float | None


def drawing(groups: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Return the curves of groups, all on one scale, so that they can be compared.

    Parameters
    ----------
    groups
        As the API lists them, each with at least two points in ``earned``.
    """
    if not groups:
        return []
    days: float = max(group["earned"][-1]["days"] for group in groups)
    costs = [_value(group["cac"]) for group in groups]
    heights = [point["high"] for group in groups for point in group["earned"]]
    most: float = max(*heights, *(cost for cost in costs if cost is not None), 1e-9)

    def x(age: float) -> float:
        return WIDTH * age / days

    def y(money: float) -> float:
        return HEIGHT * (1 - max(money, 0.0) / most)

    def joined(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(age):.1f},{y(money):.1f}" for age, money in points)

    curves = []
    for group, cost in zip(groups, costs, strict=True):
        points = group["earned"]
        upper = [(point["days"], point["high"]) for point in points]
        lower = [(point["days"], point["low"]) for point in reversed(points)]
        payback = (group["payback"] or {}).get("days")
        curves.append(
            Curve(
                group["first_seen_in"],
                joined([(point["days"], point["value"]) for point in points]),
                joined([*upper, *lower]),
                None if cost is None else round(y(cost), 1),
                None if payback is None else round(x(payback), 1),
                points[-1]["days"],
                points[-1]["value"],
                round(y(points[-1]["value"]), 1),
                _label(y(points[-1]["value"]), None if cost is None else y(cost)),
                cost,
                payback,
            )
        )
    return curves


def _label(end: float, cost: float | None) -> float:
    """Return the height of the line of the number at the end of a curve."""
    above = end - LABEL_GAP
    if cost is not None and above - LABEL_HEIGHT < cost < above + LABEL_GAP / 2:
        above = cost - LABEL_GAP
    return round(above, 1)


@dataclass(frozen=True)
class StepBar:
    """A step of a risk on a scale of 100: where its bar begins, its width, where it goes.

    ``way`` is ``raises``, ``lowers`` or ``whole`` (from 0 on).
    """

    start: float
    width: float
    way: str


def step_bars(steps: Sequence[Mapping[str, Any]]) -> list[StepBar]:
    """Return the bars of the steps of a risk, in their order.

    >>> step_bars([{"kind": "rest", "start": 0.5, "end": 0.25}])
    [StepBar(start=25.0, width=25.0, way='lowers')]
    """
    bars = []
    for step in steps:
        low, high = sorted((step["start"], step["end"]))
        way = "raises" if step["end"] >= step["start"] else "lowers"
        way = "whole" if step["kind"] == "base" else way
        bars.append(StepBar(round(100 * low, 2), round(100 * (high - low), 2), way))
    return bars


def _value(figure: Mapping[str, Any] | None) -> float | None:
    return None if figure is None else figure["value"]

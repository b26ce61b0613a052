"""The chart of a customer's timeline: places of its marks, in percent of its width and in pixels.

Places along the time are in percent and sizes are in pixels, so that marks keep their size on a
phone. The template draws it (:mod:`stagecast.serving.reports.curves` says why).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from stagecast.serving.reports.past_events import KINDS, ROW_KINDS

LEFT, RIGHT = 2.0, 98.0
"""Ends of the time axis, in percent of the width."""
LOWEST, HIGHEST = 10.0, 46.0
"""Heights of the stem of an order, in pixels."""


@dataclass(frozen=True)
class Mark:
    """A mark.

    Parameters
    ----------
    kind
        Of the row of the table that it is for.
    x
        Place along the time, in percent.
    row
        Number of that row.
    height
        Of the stem of an order, in pixels; the larger its amount, the higher. Else 0.
    """

    kind: str
    x: float
    row: int
    height: float = 0.0


@dataclass(frozen=True)
class Chart:
    """The chart of a timeline.

    Parameters
    ----------
    marks
        In the order of the rows.
    kinds
        The kinds of the marks, for the key.
    silence
        Left end and width of the stretch from the last order to today; None: no order, or it is
        not known.
    expected
        The same of the stretch from today to the next order; None: none is expected on the chart.
    horizon
        The same of the stretch from today to the end of the horizon.
    horizon_end
        Place of the end of the horizon.
    today
        Place of today.
    start, end
        First and last day of the axis, ISO 8601.
    largest
        The order with the largest amount; None: no order has an amount.
    """

    marks: tuple[Mark, ...]
    kinds: tuple[str, ...]
    silence: tuple[float, float] | None
    expected: tuple[float, float] | None
    horizon: tuple[float, float]
    horizon_end: float
    today: float
    start: str
    end: str
    largest: Mark | None


def timeline_chart(
    rows: Sequence[Mapping[str, Any]], *, left_out: bool = False, mirrored: bool = False
) -> Chart | None:
    """Return the chart of the rows of a timeline; None where they are all of one day.

    An order that is expected more than a horizon after the end of the horizon is left out, since it
    would push everything else together. What lies before the first stored event is left out if
    earlier events are.

    Parameters
    ----------
    rows
        As :func:`stagecast.serving.reports.past_events.story_rows` returns them.
    left_out
        Whether there are earlier events than those of the rows.
    mirrored
        Whether time runs from right to left.
    """
    days = [date.fromisoformat(row["day"]) for row in rows]
    by_kind = {row["kind"]: day for row, day in zip(rows, days, strict=True)}
    today, end = by_kind["today"], by_kind["horizon"]
    bought = [
        day for row, day in zip(rows, days, strict=True) if row["kind"] in ("order", "last_order")
    ]
    first = min(days)
    if left_out:
        first = min(day for row, day in zip(rows, days, strict=True) if row["kind"] in KINDS)
    last = end
    if "next_order" in by_kind and by_kind["next_order"] <= end + (end - today):
        last = max(end, by_kind["next_order"])
    span = (last - first).days
    if span <= 0:
        return None

    def x(day: date) -> float:
        share = (day - first).days / span
        place = LEFT + (RIGHT - LEFT) * (1 - share if mirrored else share)
        return round(place, 2)

    def stretch(begin: date, end: date) -> tuple[float, float]:
        low, high = sorted((x(begin), x(end)))
        return low, round(high - low, 2)

    most = max((row["amount"] or 0.0 for row in rows if row["kind"] == "order"), default=0.0)
    marks = tuple(
        Mark(row["kind"], x(day), number, _height(row, most))
        for number, (row, day) in enumerate(zip(rows, days, strict=True))
        if first <= day <= last
    )
    orders = [mark for mark in marks if mark.kind == "order" and rows[mark.row]["amount"]]
    expected = by_kind.get("next_order")
    return Chart(
        marks,
        tuple(kind for kind in ROW_KINDS if any(mark.kind == kind for mark in marks)),
        stretch(max(bought), today) if bought else None,
        stretch(today, expected) if expected is not None and today < expected <= last else None,
        stretch(today, end),
        x(end),
        x(today),
        first.isoformat(),
        last.isoformat(),
        max(orders, key=lambda mark: rows[mark.row]["amount"], default=None),
    )


def _height(row: Mapping[str, Any], most: float) -> float:
    if row["kind"] not in ("order", "last_order", "next_order"):
        return 0.0
    share = (row["amount"] or 0.0) / most if most > 0 else 0.0
    return round(LOWEST + (HIGHEST - LOWEST) * share, 1)

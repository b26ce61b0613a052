"""Effectiveness of lifecycle management, before and after a date.

    purchase days, spells, costs -> two windows of one length (windows)
        -> sums per customer (measures, stage_times) -> customers drawn again (resampling)
        -> numbers, intervals and sentences (result)

A new measure is a row in
:func:`stagecast.features.describe.effectiveness.measures.measure_window`. This is a comparison in
time, not an experiment, and the result says so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.describe.effectiveness.measures import (
    COST_PER_CUSTOMER,
    ORDERS,
    ORDERS_PER_CUSTOMER,
    RETURN_DAYS,
    SALES,
    SALES_PER_CUSTOMER,
    Costs,
    Log,
    MeasureKind,
    measure_window,
)
from stagecast.features.describe.effectiveness.resampling import (
    Quantity,
    Spread,
    beyond_chance,
    resample,
    spread,
)
from stagecast.features.describe.effectiveness.result import BeforeAfter, BeyondSeason, Measure
from stagecast.features.describe.effectiveness.windows import (
    WEEK_DAYS,
    YEAR_OF_WEEKS_DAYS,
    Windows,
    choose_windows,
)
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

__all__ = ["BeforeAfter", "Costs", "Measure", "before_after"]


DRAWS = 1000
# With fewer customers on a side, draws of them do not show what chance can do.
FEWEST_CUSTOMERS = 30


def before_after(
    journeys: Journeys,
    days: PurchaseDays,
    customers: int,
    first_events: NDArray[np.int64],
    costs: Costs | None,
    date: int,
    as_of: int,
    *,
    has_amounts: bool = True,
    draws: int = DRAWS,
) -> BeforeAfter:
    """Compare sales, repeat purchases, cost to serve and times on stages before and after a date.

    The windows touch at the date and have the same length, the longest for which both sides have
    data, in whole weeks, at most a year. Nothing at or after the date enters the window before it,
    and nothing at or after the as_of enters at all.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the same customers, as known at the as_of.
    customers
        Number of customers.
    first_events
        Instant of each customer's first event, in microseconds since 1970, UTC, shape
        (n_customers,); the log begins with the earliest.
    costs
        Costs to serve the customers; None if they are unknown, which leaves them out.
    date, as_of
        Instants in microseconds since 1970, UTC; the date must be a midnight.
    has_amounts
        Whether purchases have amounts; if not, orders are compared instead of sales.
    draws
        Draws of customers behind each interval.

    Raises
    ------
    UsageError
        The date is no midnight or is outside the log; the tables are of different customers; or the
        costs are invalid.
    NotEnoughDataError
        Fewer than 28 days on either side; the message says which dates are possible.
    """
    if len(first_events) != customers:
        raise UsageError(
            f"{len(first_events)} first events of {customers} customers; give one of each"
        )
    first_known = first_events[first_events < as_of]
    if not len(first_known):
        raise NotEnoughDataError(
            f"no event stands before the as_of {iso(from_microseconds(as_of))}; choose a later one"
        )
    windows = choose_windows(date, int(first_known.min()), as_of)
    limit = windows.before.days // 2 // WEEK_DAYS * WEEK_DAYS
    log = Log(
        journeys,
        days,
        None if costs is None else costs.validated(customers),
        customers,
        has_amounts,
    )
    all_windows = [windows.before, windows.after, *(windows.year_before or ())]
    measured = [
        measure_window(log, window, windows.look_back_days, limit) for window in all_windows
    ]
    kinds = [
        kind
        for kind in measured[0]
        if any(_finite_value(quantities[kind]) is not None for quantities in measured[:2])
    ]
    drawn = resample([quantities[kind] for quantities in measured for kind in kinds], draws)
    by_window = [drawn[n * len(kinds) : (n + 1) * len(kinds)] for n in range(len(measured))]
    differences = [
        spread(by_window[1][n] - by_window[0][n])
        if _has_enough_customers(kind, *measured[:2])
        else None
        for n, kind in enumerate(kinds)
    ]
    seasons = [
        _season(kind, measured, [window_draws[n] for window_draws in by_window])
        if differences[n] is not None
        else None
        for n, kind in enumerate(kinds)
    ]
    verdicts = beyond_chance(
        [None if difference is None else difference.p_value for difference in differences]
    )
    season_verdicts = beyond_chance(
        [None if season is None else season.spread.p_value for season in seasons]
    )
    comparisons = sum(difference is not None for difference in differences)
    measures = tuple(
        Measure(
            kind,
            _finite_value(measured[0][kind]),
            _finite_value(measured[1][kind]),
            differences[n],
            verdicts[n],
            comparisons,
            None if season is None else BeyondSeason(*season, season_verdicts[n]),
        )
        for n, (kind, season) in enumerate(zip(kinds, seasons, strict=True))
    )
    window_customers = [_n_customers(quantities) for quantities in measured[:2]]
    return BeforeAfter(
        date=date,
        as_of=as_of,
        before=windows.before,
        after=windows.after,
        look_back_days=windows.look_back_days,
        stay_limit_days=limit,
        customers_before=window_customers[0],
        customers_after=window_customers[1],
        draws=draws,
        measures=measures,
        left_out=_left_out(
            log, windows, list(measured[0]), {measure.kind for measure in measures}, limit
        ),
        caveats=(
            *_selection(measures, window_customers),
            *_caveats(log, windows, window_customers, comparisons, int(first_known.min())),
        ),
    )


def _n_customers(quantities: dict[MeasureKind, Quantity]) -> int:
    """Return the number of customers whom the figures per customer are over."""
    return next(iter(quantities.values())).customers


def _finite_value(quantity: Quantity) -> float | None:
    """Return the value of a quantity; None if it is unknown."""
    value = quantity.value()
    return value if math.isfinite(value) else None


def _has_enough_customers(kind: MeasureKind, *windows: dict[MeasureKind, Quantity]) -> bool:
    """Return whether a measure is known, and from enough customers, in every window."""
    return all(
        quantities[kind].customers >= FEWEST_CUSTOMERS
        and _finite_value(quantities[kind]) is not None
        for quantities in windows
    )


class _Season(NamedTuple):
    """A measure a year earlier, and the difference that the season does not explain."""

    before: float
    after: float
    difference: float
    spread: Spread


def _season(
    kind: MeasureKind, measured: list[dict[MeasureKind, Quantity]], drawn: list[Array]
) -> _Season | None:
    """Return a measure a year earlier, and the difference beyond its change then.

    The change a year earlier is taken as a ratio, since a season moves a larger shop by more. None
    if the year before is unknown, or has too few customers.

    Parameters
    ----------
    kind
        What is measured.
    measured
        Measures before and after the date, and before and after a year earlier.
    drawn
        Draws of the measure in the same windows, each of shape (draws,).
    """
    if len(measured) < 4 or not _has_enough_customers(kind, *measured):
        return None
    before, after, year_before, year_after = (quantities[kind].value() for quantities in measured)
    if year_before <= 0:
        return None
    ratio = np.divide(drawn[3], drawn[2], out=np.full(len(drawn[2]), np.nan), where=drawn[2] > 0)
    interval = spread(drawn[1] - drawn[0] * ratio)
    if interval is None:
        return None
    return _Season(year_before, year_after, after - before * year_after / year_before, interval)


def _left_out(
    log: Log, windows: Windows, kinds: list[MeasureKind], reported: set[MeasureKind], limit: int
) -> tuple[str, ...]:
    """Return what is not among the measures and why, in sentences."""
    reasons = []
    if not log.has_amounts:
        reasons.append(
            "Sales are left out: no purchase of the log says what was paid. Orders stand for them."
        )
    if log.costs is None:
        reasons.append("Cost to serve is left out: no costs were given.")
    for kind in kinds:
        if kind in reported:
            continue
        if kind.id.startswith("days_on:"):
            why = f"no stay on it that began in either window could be followed for {limit} days"
        elif windows.before.days <= RETURN_DAYS:
            why = (
                f"the windows of {windows.before.days} days are too short to see "
                f"{RETURN_DAYS} days beyond a purchase"
            )
        else:
            why = "neither window holds any of it"
        reasons.append(f"{kind.title} is left out: {why}.")
    return tuple(reasons)


def _selection(measures: tuple[Measure, ...], customers: list[int]) -> tuple[str, ...]:
    """Return that who counts has changed, where the whole and the share of each move apart."""
    by_id = {measure.kind.id: measure for measure in measures}
    sentences = []
    for whole, each in ((SALES, SALES_PER_CUSTOMER), (ORDERS, ORDERS_PER_CUSTOMER)):
        if whole.id not in by_id or each.id not in by_id:
            continue
        total, mean = by_id[whole.id].difference, by_id[each.id].difference
        if total is None or mean is None or total * mean >= 0:
            continue
        moves = ("fell", "rose") if total < 0 else ("rose", "fell")
        sentences.append(
            f"{whole.title} {moves[0]} while {each.title.lower()} {moves[1]}: the figures per "
            f"customer are over other people before ({customers[0]:,}) and after "
            f"({customers[1]:,}), so this is a selection of who still buys, or who is new, and "
            "does not say that anybody changed. Compare the same customers in both times."
        )
    return tuple(sentences)


def _caveats(
    log: Log, windows: Windows, customers: list[int], comparisons: int, first_event: int
) -> tuple[str, ...]:
    """Return what a reader must know before believing a difference, in sentences."""
    sentences = [
        "This compares two times, it is no experiment: whatever else changed at the date "
        "(prices, competitors, the"
        " season) is in the differences. The intervals cover chance among customers and "
        "nothing else.",
        f"{comparisons} measures were compared. One in twenty such intervals misses by "
        "luck alone; the verdicts allow"
        " for that (Holm): where nothing changed, the risk of even one false alarm is "
        "about 5% at most.",
        "Figures per customer are over those who bought in the window"
        + (f" or in the {windows.look_back_days} days before it" if windows.look_back_days else "")
        + f", newcomers included ({customers[0]:,} before, {customers[1]:,} after), and count "
        "what followed that"
        " purchase, by the days that followed it. Everybody ever known would only become"
        " more, and a window of newcomers would look idle.",
    ]
    if windows.year_before is not None:
        sentences.append(
            "The season is taken from the same weeks of one earlier year, as a ratio; "
            "one year is a thin measure of it."
        )
    elif windows.before.days < YEAR_OF_WEEKS_DAYS:
        sentences.append(
            "The log does not hold the same weeks of the year before, so a season cannot "
            "be told from an effect."
        )
    days_before = windows.before.start - first_event // DAY_MICROSECONDS
    if days_before < windows.before.days:
        beginning = (
            f"only {days_before} day{'s'[: days_before != 1]} before the earlier window"
            if days_before
            else "with the earlier window"
        )
        sentences.append(
            f"The log begins {beginning}: customers of older standing look new in it, which "
            "colours the time on stages"
            " more than anything else."
        )
    if not customers[0]:
        sentences.append(
            "Nobody bought in the earlier window; perhaps the log, not the customers, "
            "begins at the date."
        )
    if log.has_amounts:
        sentences.append(
            "Refunds count against the day of the purchase, and purchases before the "
            "date have had longer to be"
            " taken back."
        )
    if log.costs is not None and len(log.costs.instant):
        earliest = int(log.costs.instant.min()) // DAY_MICROSECONDS
        if earliest >= windows.before.start + WEEK_DAYS:
            sentences.append(
                f"{COST_PER_CUSTOMER.title}: no cost is known before "
                f"{iso(from_microseconds(earliest * DAY_MICROSECONDS))};"
                " perhaps earlier ones were not written down."
            )
    return tuple(sentences)

"""Effectiveness of lifecycle management, before and after a date.

    purchase days, spells, costs -> two windows of one length (windows)
        -> sums per customer (measures, stage_times) -> customers drawn anew (resampling)
        -> numbers, intervals and sentences (result)

A new measure is a row in :func:`stagecast.features.describe.effectiveness.measures.measured`. This
is a comparison in time, not an experiment, and the result says so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.describe.effectiveness.measures import (
    COST_EACH,
    RETURN_DAYS,
    Costs,
    Kind,
    Log,
    measured,
)
from stagecast.features.describe.effectiveness.resampling import (
    Quantity,
    Spread,
    beyond_chance,
    resampled,
    spread,
)
from stagecast.features.describe.effectiveness.result import BeforeAfter, BeyondSeason, Measure
from stagecast.features.describe.effectiveness.windows import (
    WEEK_DAYS,
    YEAR_DAYS,
    Windows,
    choose_windows,
)
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

__all__ = ["BeforeAfter", "Costs", "Measure", "before_after"]


DRAWS = 1000
# With fewer customers on a side than this, draws of them say too little of what chance can do.
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
    """Compare sales, repeat purchases, cost to serve and the time on each stage before and after a
    date.

    The windows touch at the date and are equally long: the longest that both sides have, in whole
    weeks, at most a year. Nothing at or after the date enters what stands before it, nothing at or
    after the as_of anything.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the same customers, as known at the as_of.
    customers
        How many there are.
    first_events
        Instant of each customer's first event, in microseconds since 1970, UTC; the log begins with
        the earliest.
    costs
        What serving them cost; None: unknown, and left out.
    date, as_of
        Instants in microseconds since 1970, UTC; the date a midnight.
    has_amounts
        Whether purchases say what was paid; without, orders stand for sales.
    draws
        Draws of customers behind each interval.

    Raises
    ------
    UsageError
        The date is no midnight or outside the log; tables of different customers; unusable costs.
    NotEnoughDataError
        Fewer than 28 days on either side; the message says which dates would do.
    """
    if len(first_events) != customers:
        raise UsageError(
            f"{len(first_events)} first events of {customers} customers; give one of each"
        )
    known = first_events[first_events < as_of]
    if not len(known):
        raise NotEnoughDataError(
            f"no event stands before the as_of {iso(from_microseconds(as_of))}; choose a later one"
        )
    windows = choose_windows(date, int(known.min()), as_of)
    limit = windows.before.days // 2 // WEEK_DAYS * WEEK_DAYS
    log = Log(
        journeys, days, None if costs is None else costs.checked(customers), customers, has_amounts
    )
    compared = [windows.before, windows.after, *(windows.year_before or ())]
    taken = [measured(log, window, windows.look_back_days, limit) for window in compared]
    kinds = [
        kind for kind in taken[0] if any(_known(found[kind]) is not None for found in taken[:2])
    ]
    drawn = resampled([found[kind] for found in taken for kind in kinds], draws)
    by_window = [drawn[n * len(kinds) : (n + 1) * len(kinds)] for n in range(len(taken))]
    differences = [
        spread(by_window[1][n] - by_window[0][n]) if _enough(kind, *taken[:2]) else None
        for n, kind in enumerate(kinds)
    ]
    seasons = [
        _season(kind, taken, [draw[n] for draw in by_window])
        if differences[n] is not None
        else None
        for n, kind in enumerate(kinds)
    ]
    verdicts = beyond_chance([None if found is None else found.p_value for found in differences])
    season_verdicts = beyond_chance(
        [None if season is None else season[1].p_value for season in seasons]
    )
    comparisons = sum(found is not None for found in differences)
    measures = tuple(
        Measure(
            kind,
            _known(taken[0][kind]),
            _known(taken[1][kind]),
            differences[n],
            verdicts[n],
            comparisons,
            None if season is None else BeyondSeason(*season[0], season[1], season_verdicts[n]),
        )
        for n, (kind, season) in enumerate(zip(kinds, seasons, strict=True))
    )
    company = [_company(found) for found in taken[:2]]
    return BeforeAfter(
        date=date,
        as_of=as_of,
        before=windows.before,
        after=windows.after,
        look_back_days=windows.look_back_days,
        stay_limit_days=limit,
        customers_before=company[0],
        customers_after=company[1],
        draws=draws,
        measures=measures,
        left_out=_left_out(
            log, windows, list(taken[0]), {measure.kind for measure in measures}, limit
        ),
        caveats=_caveats(log, windows, company, comparisons, int(known.min())),
    )


def _company(found: dict[Kind, Quantity]) -> int:
    """Return how many customers the figures per customer are over."""
    return next(iter(found.values())).customers


def _known(quantity: Quantity) -> float | None:
    value = quantity.value()
    return value if math.isfinite(value) else None


def _enough(kind: Kind, *windows: dict[Kind, Quantity]) -> bool:
    """Tell whether a measure was taken, and of enough customers, in each of the windows."""
    return all(
        found[kind].customers >= FEWEST_CUSTOMERS and _known(found[kind]) is not None
        for found in windows
    )


def _season(
    kind: Kind, taken: list[dict[Kind, Quantity]], drawn: list[Array]
) -> tuple[tuple[float, float, float], Spread] | None:
    """Return a measure a year earlier, before and after, and what the difference is beyond that
    swing.

    The swing is taken as a ratio: a season moves a larger shop by more.
    """
    if len(taken) < 4 or not _enough(kind, *taken):
        return None
    before, after, earlier, later = (found[kind].value() for found in taken)
    if earlier <= 0:
        return None
    swing = np.divide(drawn[3], drawn[2], out=np.full(len(drawn[2]), np.nan), where=drawn[2] > 0)
    found = spread(drawn[1] - drawn[0] * swing)
    return None if found is None else ((earlier, later, after - before * later / earlier), found)


def _left_out(
    log: Log, windows: Windows, asked: list[Kind], told: set[Kind], limit: int
) -> tuple[str, ...]:
    """Return what is not among the measures, and why."""
    reasons = []
    if not log.has_amounts:
        reasons.append(
            "Sales are left out: no purchase of the log says what was paid. Orders stand for them."
        )
    if log.costs is None:
        reasons.append("Cost to serve is left out: no costs were given.")
    for kind in asked:
        if kind in told:
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


def _caveats(
    log: Log, windows: Windows, company: list[int], comparisons: int, first_event: int
) -> tuple[str, ...]:
    """Return what a reader must know before believing a difference."""
    told = [
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
        + f", newcomers included ({company[0]:,} before, {company[1]:,} after), and count "
        "what followed that"
        " purchase, by the days that followed it. Everybody ever known would only become"
        " more, and a window of newcomers would look idle.",
    ]
    if windows.year_before is not None:
        told.append(
            "The season is taken from the same weeks of one earlier year, as a ratio; "
            "one year is a thin measure of it."
        )
    elif windows.before.days < YEAR_DAYS:
        told.append(
            "The log does not hold the same weeks of the year before, so a season cannot "
            "be told from an effect."
        )
    history = windows.before.start - first_event // DAY_MICROSECONDS
    if history < windows.before.days:
        begins = (
            f"only {history} day{'s'[: history != 1]} before the earlier window"
            if history
            else "with the earlier window"
        )
        told.append(
            f"The log begins {begins}: customers of older standing look new in it, which "
            "colours the time on stages"
            " more than anything else."
        )
    if not company[0]:
        told.append(
            "Nobody bought in the earlier window; perhaps the log, not the customers, "
            "begins at the date."
        )
    if log.has_amounts:
        told.append(
            "Refunds count against the day of the purchase, and purchases before the "
            "date have had longer to be"
            " taken back."
        )
    if log.costs is not None and len(log.costs.instant):
        earliest = int(log.costs.instant.min()) // DAY_MICROSECONDS
        if earliest >= windows.before.start + WEEK_DAYS:
            told.append(
                f"{COST_EACH.title}: no cost is known before "
                f"{iso(from_microseconds(earliest * DAY_MICROSECONDS))};"
                " perhaps earlier ones were not written down."
            )
    return tuple(told)

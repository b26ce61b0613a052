"""Checks of a log before a training: its dates, and its contracts where churn is cancellation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final

from stagecast.features.clock import DAY, YEAR_DAYS, from_microseconds, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.config import TrainConfig

PAST_YEARS: Final = 3
"""Years that are looked at."""
LEAST_PAUSE: Final = 0.75
"""A silence of past years is as long as one of today from this share of it on."""


def is_closed_season(
    last_event_before: Callable[[int], int | None],
    as_of: datetime,
    first: datetime,
    silent_days: float,
) -> bool:
    """Return whether the shop was as silent at the same time of all past years that the log holds.

    A ski shop sells nothing in summer: the silence before an as_of in autumn is no missing data.

    Parameters
    ----------
    last_event_before
        Returns the time of the last event before a date so many days before the as_of,
        microseconds since 1970; None: of none.
    as_of, first
        The as_of and the first event, by one clock.
    silent_days
        Days from the last event to the as_of.
    """
    pauses = []
    for years in range(1, PAST_YEARS + 1):
        date = as_of - years * YEAR_DAYS * DAY
        last = last_event_before(years * YEAR_DAYS)
        if last is None or (date - first) / DAY < YEAR_DAYS / 2:
            break
        pauses.append((date - from_microseconds(last)) / DAY)
    return bool(pauses) and min(pauses) >= LEAST_PAUSE * silent_days


def is_silent_too_long(
    last_event_before: Callable[[int], int | None],
    as_of: datetime,
    first: datetime,
    last: datetime,
    horizon_days: int,
) -> bool:
    """Return whether more than a horizon has passed since the last event, unlike in past years.

    The parameters are those of :func:`is_closed_season`; ``last`` is the last event.
    """
    silent = (as_of - last) / DAY
    return silent > horizon_days and not is_closed_season(last_event_before, as_of, first, silent)


def check_dates(table: DailyTable, horizon_days: int) -> None:
    """Refuse an as_of or a horizon that the log does not cover.

    A silence that comes every year is none of missing events, see :func:`is_closed_season`.

    Raises
    ------
    UsageError
        The log has been silent for longer than the horizon before the as_of, or its history is
        shorter than the horizon.
    """
    last, first = from_microseconds(table.last_event()), from_microseconds(table.first_event())
    silent = (table.anchor - last) / DAY
    is_silent = is_silent_too_long(table.last_event_before, table.anchor, first, last, horizon_days)
    following = table.next_event() if is_silent else None
    if following is not None:
        latest, back = last + horizon_days * DAY, iso(from_microseconds(following))[:10]
        raise UsageError(
            f"--as-of {iso(table.anchor)} stands {silent:.0f} days after the last event before it "
            f"({iso(last)}), longer than the horizon of {horizon_days} days; the next event is on "
            f"{back}: give an --as-of up to {iso(latest)[:10]} or after {back}, or a --horizon of "
            f"{math.ceil(silent)}d or more"
        )
    if is_silent:
        check_end(table.anchor, last, horizon_days)
    history = (table.anchor - first) / DAY
    if history < horizon_days:
        raise UsageError(
            f"--horizon {horizon_days}d is longer than the history: {history:.1f} days "
            "from the first event "
            f"({iso(first)}) to the as_of {iso(table.anchor)}; take a shorter --horizon "
            "or a longer log"
        )


def check_end(as_of: datetime, last: datetime, horizon_days: int) -> None:
    """Refuse an as_of more than a horizon after the last event.

    Everybody would have been silent since, who may have bought in what the log lacks.

    Parameters
    ----------
    as_of, last
        By one clock.

    Raises
    ------
    UsageError
        The log ends too early.
    """
    silent = (as_of - last) / DAY
    if silent > horizon_days:
        raise UsageError(
            f"--as-of {iso(as_of)} stands {silent:.0f} days after the last event "
            f"({iso(last)}), longer than the "
            f"horizon of {horizon_days} days: newer events are missing, or --as-of should "
            f"be near {iso(last)[:10]}, or the shop was closed and --horizon should be "
            f"{math.ceil(silent)}d or more"
        )


def check_contracts(table: DailyTable, config: TrainConfig) -> None:
    """Refuse a log without cancelled contracts, where churn is cancellation.

    Raises
    ------
    NotEnoughDataError
        No contract began, or none was ever cancelled.
    """
    if config.churn != "cancellation":
        return
    terms = config.terms
    spells = table.spells(terms)
    start_types = ", ".join([*terms.starts, *terms.renewals])
    if not len(spells):
        raise NotEnoughDataError(
            f"--churn cancellation: no event is one of {start_types}, so nobody has a "
            "contract; say with --contract-start "
            "or --contract-renewal which types begin or show one"
        )
    if not spells.cancellations:
        raise NotEnoughDataError(
            f"--churn cancellation: none of {len(spells):,} contracts was cancelled (no "
            "event is one of "
            f"{', '.join(terms.ends)} while one was open); say with --contract-end which "
            "types cancel one"
        )

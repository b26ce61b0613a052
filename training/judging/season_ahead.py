"""Whether the windows of a backtest hold a season like that of the days ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np

from stagecast.features.clock import YEAR_DAYS, day_number, iso
from stagecast.features.record import PurchaseDays
from stagecast.training.learners.fit_season import season_of
from stagecast.training.learners.season_of_purchases import Season
from stagecast.training.panel import Panel

STRONG: Final = 1.25
"""Factor of the pace of purchases from which a time of the year is unlike every window."""


def season_at(
    days: PurchaseDays, as_of: datetime, history_days: float, panel: Panel
) -> Season | None:
    """Return the season of the repeat purchases up to an as_of; None where it cannot be told.

    Parameters
    ----------
    days
        The purchase days up to the as_of.
    panel
        Panel of the newest date that was replayed, whose customer base says what is usual.
    """
    if panel.base is None or panel.base.models[-1].regularity > 1:
        return None
    return season_of(days, day_number(as_of), history_days, panel.base.models[-1])


def season_note(
    season: Season | None, as_of: datetime, windows: Sequence[datetime], horizon_days: int
) -> str | None:
    """Return that no window has a season like that of the days ahead; None where one has.

    Parameters
    ----------
    season
        Of :func:`season_at`.
    as_of
        First moment of the days ahead.
    windows
        First moment of each window, which is as long as the days ahead.
    """
    if season is None or season.is_even or not windows:
        return None
    ahead, *paces = (_pace(season, start, horizon_days) for start in (as_of, *windows))
    if min(paces) / STRONG <= ahead <= max(paces) * STRONG:
        return None
    high = ahead > max(paces)
    dates = max(1, round(YEAR_DAYS / horizon_days))
    return (
        f"in the {horizon_days:,} days from {iso(as_of)[:10]} on customers usually order "
        f"{ahead:.2g} times as often as on the mean day of the year, and no window of this "
        f"backtest has such a season: the {'highest' if high else 'lowest'} has "
        f"{max(paces) if high else min(paces):.2g} times; how good the forecast is there it does "
        f"not say; one of a year ago is among --dates {dates} where the log is long enough"
    )


def _pace(season: Season, start: datetime, days: int) -> float:
    """Return the mean pace of the days from a start on."""
    begin = day_number(start)
    first, last = season.time_at(np.array([begin, begin + days]))
    return float(last - first) / days

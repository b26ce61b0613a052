"""Levels that hold for a time: of the season, of the newest date, of occasions of the calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import SEASON_SPREAD, carried_share
from stagecast.training.learners.calendar_effects import CalendarEffects, fit_calendar_effects
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import LEVEL_SPREAD
from stagecast.training.panel import Frame

SEASON_CARRIED: Final = 0.75
"""Share of the level of the same season a year ago, in logs, that is carried over; of several years
more."""


@dataclass(frozen=True)
class Times:
    """Levels of past dates, in logs, and what of them is carried over to the as_of.

    Parameters
    ----------
    level
        Level of what came at these dates over what the factor expects, shrunk as that of logs whose
        levels have the given spread.
    dates, seasons
        Frames of all dates and of those of the season of the as_of, each with a purchase.
    as_of
        First instant of the horizon.
    config
        Horizon and calendar.
    drift
        Share of the level of the newest date that is carried over where no season is known.
    """

    level: Callable[[Sequence[Frame], Factor, float], float]
    dates: Sequence[Frame]
    seasons: Sequence[Frame]
    as_of: datetime
    config: TrainConfig
    drift: float = 0.0

    def carried(self, factor: Factor) -> float:
        """Return the log of the level of the as_of over that of all dates."""
        effects = self._calendar_effects(factor)

        def log_level(frame: Frame, spread: float) -> float:
            by_calendar = effects.of(self._shares(frame.as_of))
            return float(np.log(self.level([frame], factor, spread))) - by_calendar

        if self.seasons:
            logs = [log_level(frame, SEASON_SPREAD) for frame in self.seasons]
            carried = carried_share(SEASON_CARRIED, logs) * float(np.mean(logs))
        else:
            carried = self.drift * log_level(self.dates[0], LEVEL_SPREAD)
        return carried + effects.of(self._shares(self.as_of))

    def _shares(self, as_of: datetime) -> Array:
        days = self.config.horizon_days
        return self.config.calendar.days(as_of, days) / days

    def _calendar_effects(self, factor: Factor) -> CalendarEffects:
        if not self.config.calendar.kinds:
            return CalendarEffects(np.zeros(0), np.zeros(0))
        logs = [np.log(self.level([frame], factor, SEASON_SPREAD)) for frame in self.dates]
        shares = [self._shares(frame.as_of) for frame in self.dates]
        return fit_calendar_effects(np.array(logs), np.array(shares))

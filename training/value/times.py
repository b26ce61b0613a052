"""Levels that hold for a time: of the season, of the newest date, of occasions of the calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from stagecast.training.config import TrainConfig
from stagecast.training.learners.agreement import UNKNOWN, Agreement
from stagecast.training.learners.blend import SEASON_SPREAD, carried_mean
from stagecast.training.learners.calendar_effects import learn_occasions
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import LEVEL_SPREAD
from stagecast.training.panel import Frame, days_known

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
    belief
        How far the level of the season is believed, 0 to 1.
    years
        How well the years of the log agree about the season of its purchases.
    """

    level: Callable[[Sequence[Frame], Factor, float], float]
    dates: Sequence[Frame]
    seasons: Sequence[Frame]
    as_of: datetime
    config: TrainConfig
    drift: float = 0.0
    belief: float = 1.0
    years: Agreement = UNKNOWN

    def carried(self, factor: Factor) -> float:
        """Return the log of the level of the as_of over that of all dates."""

        def log_level(frame: Frame, spread: float) -> float:
            return float(np.log(self.level([frame], factor, spread)))

        by_calendar = learn_occasions(
            self.config.calendar,
            self.config.horizon_days,
            self.dates,
            lambda frame: log_level(frame, SEASON_SPREAD),
        )
        if self.seasons:
            logs = [log_level(f, SEASON_SPREAD) - by_calendar(f.as_of) for f in self.seasons]
            known = days_known(self.seasons)
            carried = self.belief * carried_mean(SEASON_CARRIED, logs, self.years, known)
        else:
            newest = self.dates[0]
            carried = self.drift * (log_level(newest, LEVEL_SPREAD) - by_calendar(newest.as_of))
        return carried + by_calendar(self.as_of)

"""What kinds of days in a horizon do to a level, learned from past dates.

Sources: Hoerl and Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.calendar import Calendar

NOISE: Final = 0.15
"""Standard deviation of the level of a date around what the calendar says, in logs or log odds."""
SPREAD: Final = 3.0
"""Standard deviation of the effect of a kind that holds on all days of a horizon."""


class Dated(Protocol):
    """What stands at a date, such as a frame of a panel."""

    @property
    def as_of(self) -> datetime:
        """The date."""
        ...


D = TypeVar("D", bound=Dated)


@dataclass(frozen=True)
class CalendarEffects:
    """Effects of the kinds of a calendar on a level, in logs or log odds.

    Parameters
    ----------
    effects
        Effect of a kind that holds on every day of a horizon, shape (kinds,).
    usual
        Mean share of the days of a horizon at the dates that taught, shape (kinds,).
    """

    effects: Array
    usual: Array

    def of(self, shares: Array) -> float:
        """Return the shift of a date with these shares of days, shape (kinds,), from the usual."""
        return float(self.effects @ (shares - self.usual)) if len(self.effects) else 0.0


def fit_calendar_effects(shifts: Array, shares: Array) -> CalendarEffects:
    """Return the effects by ridge regression: 0 for a kind that no date or every date has.

    Parameters
    ----------
    shifts
        Shift of the level of each past date, shape (dates,).
    shares
        Share of the days of its horizon that each kind holds on, shape (dates, kinds).

    >>> shares = np.array([[0.0], [0.1], [0.2], [0.0]])
    >>> fitted = fit_calendar_effects(2.0 * shares[:, 0], shares)
    >>> round(fitted.of(np.array([0.2])) - fitted.of(np.array([0.0])), 2)
    0.37
    """
    kinds = shares.shape[1]
    if not kinds or len(shifts) < 2:
        return CalendarEffects(np.zeros(kinds), np.zeros(kinds))
    usual = shares.mean(axis=0)
    centred = shares - usual
    gram = centred.T @ centred + (NOISE / SPREAD) ** 2 * np.eye(kinds)
    effects = np.linalg.solve(gram, centred.T @ (shifts - shifts.mean()))
    return CalendarEffects(effects, usual)


def learn_occasions(
    calendar: Calendar,
    horizon_days: int,
    dates: Sequence[D],
    level: Callable[[D], float],
) -> Callable[[datetime], float]:
    """Return the shift of the level at a date that the calendar makes; 0 without occasions.

    Parameters
    ----------
    calendar
        Known occasions.
    horizon_days
        Length of the horizons.
    dates
        Past dates that teach.
    level
        Returns the level of what came at a past date, in logs or log odds.
    """
    if not calendar.kinds:
        return lambda as_of: 0.0
    shares = [calendar.shares(date.as_of, horizon_days) for date in dates]
    effects = fit_calendar_effects(np.array([level(date) for date in dates]), np.array(shares))
    return lambda as_of: effects.of(calendar.shares(as_of, horizon_days))

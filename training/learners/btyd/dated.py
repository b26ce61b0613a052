"""MBG/CNBD-k of payments whose dates are known better than k phases tell.

    T_1 = g (1 + z) + error           day of the next payment after the last one
    T_n = T_1 + (n - 1) g m + drift   day of the n-th one; m is the mean of 1 + z

A gap of k phases has a standard deviation of 1 / sqrt(k) of it: of 96 phases, 37 days of a year.
Who pays each year on a date of their own pays within a day or two of it, or late. Here z, how late
a payment comes, has the distribution that the log shows; g, a customer's own gap, is known the
better, the more gaps there were. The coin of leaving, and how customers differ in it and in their
gaps, are those of the model of k phases.

The distribution of z is a mixture of normal distributions, one around each of its quantiles, and a
small share of the k phases, since a later payment than any so far is not impossible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincinv, ndtr

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.closed_forms import DAYS_PER_YEAR, Model
from stagecast.training.learners.btyd.histories import (
    as_floats,
    check_rate,
    checked_days,
    checked_history,
)
from stagecast.training.learners.btyd.stored import positive

_TAIL = (0.005, 0.01, 0.02, 0.03, 0.04)
LEVELS: Final = np.r_[0.0, _TAIL, np.linspace(0.05, 0.95, 31), 1.0 - np.array(_TAIL[::-1]), 1.0]
"""Ends of the parts of a distribution in the middle of which its quantiles are stored: fewest are
late, and they are who is asked about."""
MIDDLES: Final = (LEVELS[1:] + LEVELS[:-1]) / 2.0
LEAST_ERROR: Final = 0.5
"""Days: dates are whole days."""
FAR: Final = 4.0
"""Standard deviations from the gaps of the others beyond which a customer's mean gap is none."""
NORMAL_END: Final = 6.0
"""Standard deviations beyond which nothing falls due."""
OWN: Final = ("lateness", "share_of_phases", "usual_days", "alike")
_OF_PHASES: Final = (np.arange(8.0) + 0.5) / 8.0
_LEAST: Final = 1e-290
_SMALL: Final = 1e-9
_ROWS_AT_ONCE: Final = 4_096


@dataclass(frozen=True)
class DatedModel(Model):
    """MBG/CNBD-k whose next payments come on dates of their own, more or less late.

    Parameters
    ----------
    lateness
        How late payments come, over the gap: quantiles in the middle of the parts of
        :data:`LEVELS`, in rising order.
    share_of_phases
        Share of the gaps of k phases in the mixture.
    usual_days
        Median gap of the customers, in days.
    alike
        Standard deviation of the gaps of most customers around it, over it.
    """

    lateness: tuple[float, ...] = ()  # a field after one with a default needs one, too
    share_of_phases: float = 1.0
    usual_days: float = 1.0
    alike: float = 1.0

    @property
    def of_phases(self) -> Model:
        """The model of k phases alone."""
        return Model(self.name, self.params, self.log_likelihood, self.customers, self.regularity)

    @cached_property
    def _nodes(self) -> tuple[Array, Array, Array]:
        """Lateness over the gap, its standard deviation around it, and its probability."""
        own = np.array(self.lateness)
        k, share = float(self.regularity), self.share_of_phases
        phases = gammaincinv(k, _OF_PHASES) / k - 1.0
        around = [np.gradient(values) / 2.0 for values in (own, phases)]
        chance = np.r_[(1.0 - share) * np.diff(LEVELS), np.full(len(phases), share / len(phases))]
        return np.r_[own, phases], np.r_[tuple(around)], chance

    @cached_property
    def spread(self) -> float:
        """Standard deviation of most payments around their dates, over the gap."""
        low, high = np.interp((0.16, 0.84), MIDDLES, self.lateness)
        return float(high - low) / 2.0

    @cached_property
    def usual(self) -> float:
        """How late the median payment comes, over the gap."""
        return float(np.interp(0.5, MIDDLES, self.lateness))

    @cached_property
    def late_share(self) -> float:
        """Share of the payments that are late, or left out, and not on their dates."""
        limit = self.usual + FAR * max(self.spread, LEAST_ERROR / self.usual_days)
        return float(np.diff(LEVELS)[np.array(self.lateness) > limit].sum())

    @cached_property
    def step(self) -> float:
        """Mean days from a payment to the next one over the gap, with payments that are left out.

        A date that is kept after a late payment comes early, so that both do not count.
        """
        return 1.0 + float(np.diff(LEVELS) @ self.lateness)

    def gaps(self, x: Array, t_x: Array) -> tuple[Array, Array]:
        """Return the customers' own gaps, and the standard deviations by which they are not known.

        In days, shape of ``x``.
        """
        known = max(self.spread, LEAST_ERROR / self.usual_days)
        own = own_gap(x, t_x, self.usual_days, self.alike, known)
        left = self.alike * known / np.sqrt(known**2 + x * self.alike**2)
        return own, self.usual_days * left

    def ended(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(the next payment of who goes on has fallen due by T | the purchases)."""
        x, t_x, T = checked_history(x, t_x, T)
        gap, unknown = self.gaps(x, t_x)
        return as_floats(1.0 - self._silent(gap, unknown, silence(t_x, T)))

    def expected_orders_discounted(
        self,
        days: ArrayLike,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
        annual_rate: float,
        alive: Array | None = None,
    ) -> Array:
        """Return the expected payments in (T, T + days], discounted to T.

        Each is discounted from the day on which it is expected.
        """
        check_rate(annual_rate)
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        p_alive = self._alive(x, t_x, T) if alive is None else alive
        orders = self._payments(days, x, t_x, T, float(annual_rate), stays=False)
        return as_floats(p_alive * orders)

    def orders_if_kept(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, annual_rate: float
    ) -> Array:
        """Return E[discounted payments in (T, T + days] | history, active and never leaving]."""
        check_rate(annual_rate)
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        return self._payments(days, x, t_x, T, float(annual_rate), stays=True)

    def rate_if_left(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[payments per day while active | history, inactive at T]."""
        x, t_x, T = checked_history(x, t_x, T)
        return as_floats(1.0 / (self.step * self.gaps(x, t_x)[0]))

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        return {
            **super().to_json(),
            "lateness": list(self.lateness),
            "share_of_phases": self.share_of_phases,
            "usual_days": self.usual_days,
            "alike": self.alike,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key is missing or unknown, or a value is invalid.
        """
        model = Model.from_json({key: value for key, value in stored.items() if key not in OWN})
        lateness = tuple(float(value) for value in stored["lateness"])
        share, usual_days, alike = (float(stored[key]) for key in OWN[1:])
        return cls.of(model, lateness, share, usual_days, alike)

    @classmethod
    def of(
        cls,
        model: Model,
        lateness: tuple[float, ...],
        share_of_phases: float,
        usual_days: float,
        alike: float,
    ) -> Self:
        """Return a model of k phases with the lateness of its payments.

        Raises
        ------
        ValueError
            There is not one quantile for each of :data:`MIDDLES`, one is not finite, at most -1 or
            below the one before; the share does not lie between 0 and 1; or the gap, or how alike
            gaps are, is not positive.
        """
        values = np.array(lateness)
        if len(values) != len(MIDDLES) or not np.isfinite(values).all():
            raise ValueError(
                f"lateness has {len(values)} quantiles; expected {len(MIDDLES)} finite ones"
            )
        if (np.diff(values) < 0).any() or values[0] <= -1.0:
            raise ValueError("quantiles of the lateness are above -1, in rising order")
        if not 0.0 < share_of_phases <= 1.0:
            raise ValueError(f"share_of_phases is {share_of_phases}; expected above 0, at most 1")
        usual_days, alike = positive("usual_days", usual_days), positive("alike", alike)
        return cls(
            model.name,
            model.params,
            model.log_likelihood,
            model.customers,
            model.regularity,
            lateness,
            share_of_phases,
            usual_days,
            alike,
        )

    def _log_odds_dead(self, x: Array, t_x: Array, T: Array) -> Array:
        _, _, a, b = self.params
        gap, unknown = self.gaps(x, t_x)
        silent = np.log(np.maximum(self._silent(gap, unknown, silence(t_x, T)), _LEAST))
        return as_floats(np.log(a) - np.log(b + x) - silent)

    def _none(self, days: Array, x: Array, t_x: Array, T: Array, odds: Array) -> Array:
        gap, unknown = self.gaps(x, t_x)
        now = np.maximum(self._silent(gap, unknown, silence(t_x, T)), _LEAST)
        later = self._silent(gap, unknown, silence(t_x, T) + days)
        alive = 1.0 / (1.0 + np.exp(odds))
        return as_floats(np.minimum(1.0 - alive * (1.0 - np.minimum(later / now, 1.0)), 1.0))

    def _orders(self, days: Array, x: Array, t_x: Array, T: Array, alive: Array) -> Array:
        return as_floats(alive * self._payments(days, x, t_x, T, 0.0, stays=False))

    def _silent(self, gap: Array, unknown: Array, days: Array) -> Array:
        """Return P(no payment within a silence of these days | active), shape of the arguments."""
        shape = np.broadcast_shapes(gap.shape, days.shape)
        total = np.zeros(shape)
        for late, around, chance in zip(*self._nodes, strict=True):
            error = np.hypot(np.maximum(around * gap, LEAST_ERROR), unknown)
            total += chance * ndtr((gap * (1.0 + late) - days) / error)
        return total

    def _wait(self, gap: Array, unknown: Array, days: Array) -> tuple[Array, Array]:
        """Return mean and variance of the days to the next payment, given a silence of days."""
        silent, mean, square = (np.zeros(gap.shape) for _ in range(3))
        for late, around, chance in zip(*self._nodes, strict=True):
            error = np.hypot(np.maximum(around * gap, LEAST_ERROR), unknown)
            ahead = gap * (1.0 + late) - days
            after = ndtr(ahead / error)
            density = error * np.exp(-0.5 * (ahead / error) ** 2) / np.sqrt(2.0 * np.pi)
            silent += chance * after
            mean += chance * (ahead * after + density)
            square += chance * ((ahead**2 + error**2) * after + ahead * density)
        known = silent > _LEAST
        safe = np.where(known, silent, 1.0)
        mean = np.where(known, np.maximum(mean / safe, 0.0), LEAST_ERROR)
        variance = np.where(known, np.maximum(square / safe - mean**2, 0.0), 0.0)
        return mean, np.maximum(variance, LEAST_ERROR**2)

    def _payments(
        self, days: Array, x: Array, t_x: Array, T: Array, rate: float, *, stays: bool
    ) -> Array:
        """Return E[discounted payments within ``days`` after T | active at T]."""
        shape = np.broadcast_shapes(days.shape, x.shape, t_x.shape, T.shape)
        columns = [np.broadcast_to(values, shape).ravel() for values in (days, x, t_x, T)]
        total = np.empty(columns[0].shape)
        for start in range(0, len(total), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            total[rows] = self._payments_of(rate, stays, *(c[rows] for c in columns))
        return as_floats(total.reshape(shape))

    def _payments_of(
        self, rate: float, stays: bool, days: Array, x: Array, t_x: Array, T: Array
    ) -> Array:
        _, _, a, b = self.params
        daily = np.log1p(rate) / DAYS_PER_YEAR
        gap, unknown = self.gaps(x, t_x)
        silent_days = silence(t_x, T)
        wait, variance = self._wait(gap, unknown, silent_days)
        now = np.maximum(self._silent(gap, unknown, silent_days), _LEAST)
        later = self._silent(gap, unknown, silent_days + days)
        falls_due = 1.0 - np.minimum(later / now, 1.0)
        coins = b + x + 1.0
        goes_on, drift = np.ones(len(x)), (self.spread * gap) ** 2
        total = falls_due * np.exp(-daily * wait)
        # who is not late yet pays as most do: the few who will be late do not blur later dates
        late, own = 1.0 - now, (self.spread * gap) ** 2 + unknown**2
        wait = late * wait + (1.0 - late) * np.maximum(gap * (1.0 + self.usual) - silent_days, 0.0)
        variance = late * variance + (1.0 - late) * np.maximum(own, LEAST_ERROR**2)
        # of each row alone, so that a customer scored alone has the same numbers
        usual = np.maximum(days - wait, 0.0) / (gap * self.step) + 2.0
        error = np.sqrt(variance / gap**2 + usual * self.spread**2 + (usual * unknown / gap) ** 2)
        most = np.ceil(usual + NORMAL_END * error)
        for n in range(1, int(most.max(initial=1.0))):
            if not stays:
                goes_on = goes_on * (coins + n - 1.0) / (a + coins + n - 1.0)
            due = wait + n * gap * (1.0 + self.usual)
            error = np.sqrt(variance + n * drift + (n * unknown) ** 2)
            # none of them is late; or some are, by what all are on average
            on_dates = (1.0 - self.late_share) ** n
            delay = n * gap * max(self.step - 1.0 - self.usual, 0.0) / max(1.0 - on_dates, _SMALL)
            is_due = on_dates * ndtr((days - due) / error)
            is_due += (1.0 - on_dates) * ndtr((days - due - delay) / np.hypot(error, delay / 2.0))
            falls_due, due = np.minimum(falls_due, is_due), due + (1.0 - on_dates) * delay
            total += np.where(n < most, goes_on * falls_due * np.exp(-daily * due), 0.0)
        return np.asarray(total)


def silence(t_x: Array, T: Array) -> Array:
    """Return the days without a payment, same shape: the day of T itself is not over.

    A payment a gap of whole days after the last one may still come on that day.
    """
    return np.maximum(T - t_x - LEAST_ERROR, 0.0)


def own_gap(gaps: Array, days: Array, usual: float, alike: float, spread: float) -> Array:
    """Return the posterior mean of customers' own gaps in days, shape of ``gaps``.

    Who left a payment out, or had left and came back, has a mean gap that is none: beyond
    :data:`FAR` standard deviations above those of the others the gap is theirs. Two gaps or more
    that are that much shorter are those of another plan.

    Parameters
    ----------
    gaps, days
        Number of the gaps of each customer, and the days of all of them.
    usual, alike
        The usual gap in days, and the standard deviation of customers' gaps over it.
    spread
        Standard deviation of a customer's gaps over it.

    >>> own_gap(np.array([0.0, 2.0, 1.0, 2.0]), np.array([0, 732.0, 800, 360]), 365.0, 0.01, 0.01)
    array([365.        , 365.66666667, 365.        , 180.        ])
    """
    mean, known = days / np.maximum(gaps, 1.0), spread / np.sqrt(np.maximum(gaps, 1.0))
    away = (mean / usual - 1.0) / np.hypot(alike, known)
    of_own = np.where((gaps > 0) & (np.abs(away) <= FAR), alike**2 / (alike**2 + known**2), 0.0)
    of_own = np.where((gaps > 1) & (away < -FAR), 1.0, of_own)
    return np.asarray(usual + of_own * (mean - usual))


def model_from_json(stored: Mapping[str, Any]) -> Model:
    """Read a model of purchases, with the lateness of its payments where it has one."""
    return (DatedModel if "lateness" in stored else Model).from_json(stored)

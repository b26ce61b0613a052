"""MBG/CNBD-k of payments whose dates are known better than k phases tell.

    T_1 = g (1 + z) + error       day of the next payment after the last one
    T_n = T_1 + (n - 1) g + drift day of the n-th one

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
from stagecast.training.learners.btyd.closed_forms import Model
from stagecast.training.learners.btyd.histories import (
    as_floats,
    check_rate,
    checked_days,
    checked_history,
)

_TAIL = (0.005, 0.01, 0.02, 0.03, 0.04)
LEVELS: Final = np.r_[0.0, _TAIL, np.linspace(0.05, 0.95, 31), 1.0 - np.array(_TAIL[::-1]), 1.0]
"""Ends of the parts of a distribution in the middle of which its quantiles are stored: fewest are
late, and they are who is asked about."""
MIDDLES: Final = (LEVELS[1:] + LEVELS[:-1]) / 2.0
LEAST_ERROR: Final = 0.5
"""Days: dates are whole days."""
NORMAL_END: Final = 6.0
"""Standard deviations beyond which nothing falls due."""
DAYS_PER_YEAR: Final = 365.0
_OF_PHASES: Final = (np.arange(8.0) + 0.5) / 8.0
_LEAST: Final = 1e-290
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
    """

    lateness: tuple[float, ...] = ()  # a field after one with a default needs one, too
    share_of_phases: float = 1.0

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

    def gaps(self, x: Array, t_x: Array) -> tuple[Array, Array]:
        """Return the customers' own gaps, and the standard deviations by which they are not known.

        In days, shape of ``x``.
        """
        r, alpha = self.params[:2]
        usual = self.regularity * alpha / max(r - 1.0, 1.0)
        precision = 1.0 / max(self.spread, LEAST_ERROR / usual) ** 2
        total = max(r - 1.0, 1.0) + precision * x
        gap = (max(r - 1.0, 1.0) * usual + precision * t_x) / total
        return gap, gap / np.sqrt(total)

    def ended(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(the next payment of who goes on has fallen due by T | the purchases)."""
        x, t_x, T = checked_history(x, t_x, T)
        gap, unknown = self.gaps(x, t_x)
        return as_floats(1.0 - self._silent(gap, unknown, T - t_x))

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
        return as_floats(1.0 / self.gaps(x, t_x)[0])

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        return {
            **super().to_json(),
            "lateness": list(self.lateness),
            "share_of_phases": self.share_of_phases,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key is missing or unknown, or a value is invalid.
        """
        own = ("lateness", "share_of_phases")
        model = Model.from_json({key: value for key, value in stored.items() if key not in own})
        lateness = tuple(float(value) for value in stored["lateness"])
        return cls.of(model, lateness, float(stored["share_of_phases"]))

    @classmethod
    def of(cls, model: Model, lateness: tuple[float, ...], share_of_phases: float) -> Self:
        """Return a model of k phases with the lateness of its payments.

        Raises
        ------
        ValueError
            There is not one quantile for each of :data:`MIDDLES`, one is not finite, at most -1 or
            below the one before; or the share does not lie between 0 and 1.
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
        return cls(
            model.name,
            model.params,
            model.log_likelihood,
            model.customers,
            model.regularity,
            lateness,
            share_of_phases,
        )

    def _log_odds_dead(self, x: Array, t_x: Array, T: Array) -> Array:
        _, _, a, b = self.params
        gap, unknown = self.gaps(x, t_x)
        silent = np.log(np.maximum(self._silent(gap, unknown, T - t_x), _LEAST))
        return as_floats(np.log(a) - np.log(b + x) - silent)

    def _none(self, days: Array, x: Array, t_x: Array, T: Array, odds: Array) -> Array:
        gap, unknown = self.gaps(x, t_x)
        now = np.maximum(self._silent(gap, unknown, T - t_x), _LEAST)
        later = self._silent(gap, unknown, T - t_x + days)
        alive = 1.0 / (1.0 + np.exp(odds))
        return as_floats(np.minimum(1.0 - alive * (1.0 - np.minimum(later / now, 1.0)), 1.0))

    def _orders(self, days: Array, x: Array, t_x: Array, T: Array, alive: Array) -> Array:
        return as_floats(alive * self._payments(days, x, t_x, T, 0.0, stays=False))

    def _silent(self, gap: Array, unknown: Array, silence: Array) -> Array:
        """Return P(no payment within the silence | active), shape of the arguments."""
        shape = np.broadcast_shapes(gap.shape, silence.shape)
        total = np.zeros(shape)
        for late, around, chance in zip(*self._nodes, strict=True):
            error = np.hypot(np.maximum(around * gap, LEAST_ERROR), unknown)
            total += chance * ndtr((gap * (1.0 + late) - silence) / error)
        return total

    def _wait(self, gap: Array, unknown: Array, silence: Array) -> tuple[Array, Array]:
        """Return mean and variance of the days to the next payment, given the silence."""
        silent, mean, square = (np.zeros(gap.shape) for _ in range(3))
        for late, around, chance in zip(*self._nodes, strict=True):
            error = np.hypot(np.maximum(around * gap, LEAST_ERROR), unknown)
            ahead = gap * (1.0 + late) - silence
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
        silence = T - t_x
        wait, variance = self._wait(gap, unknown, silence)
        now = np.maximum(self._silent(gap, unknown, silence), _LEAST)
        later = self._silent(gap, unknown, silence + days)
        falls_due = 1.0 - np.minimum(later / now, 1.0)
        coins = b + x + 1.0
        goes_on, drift = np.ones(len(x)), (self.spread * gap) ** 2
        total = falls_due * np.exp(-daily * wait)
        # who is not late yet pays as most do: the few who will be late do not blur later dates
        late, own = 1.0 - now, (self.spread * gap) ** 2 + unknown**2
        wait = late * wait + (1.0 - late) * np.maximum(gap * (1.0 + self.usual) - silence, 0.0)
        variance = late * variance + (1.0 - late) * np.maximum(own, LEAST_ERROR**2)
        # of each row alone, so that a customer scored alone has the same numbers
        usual = np.maximum(days - wait, 0.0) / gap + 2.0
        error = np.sqrt(variance / gap**2 + usual * self.spread**2 + (usual * unknown / gap) ** 2)
        most = np.ceil(usual + NORMAL_END * error)
        for n in range(1, int(most.max(initial=1.0))):
            if not stays:
                goes_on = goes_on * (coins + n - 1.0) / (a + coins + n - 1.0)
            due = wait + n * gap
            error = np.sqrt(variance + n * drift + (n * unknown) ** 2)
            falls_due = np.minimum(falls_due, ndtr((days - due) / error))
            total += np.where(n < most, goes_on * falls_due * np.exp(-daily * due), 0.0)
        return np.asarray(total)


def model_from_json(stored: Mapping[str, Any]) -> Model:
    """Read a model of purchases, with the lateness of its payments where it has one."""
    return (DatedModel if "lateness" in stored else Model).from_json(stored)

"""Pareto/NBD of a shop with a season: purchases follow its pace, customers leave at any time.

While they are customers, people buy at a rate of their own times the pace of the season, and they
leave at a hazard of their own that knows no season. A silence in the months in which nobody buys
then says little of whether there still is a customer, and all months are equally long for those who
leave.

    rate ~ gamma(r, alpha), in orders per day of the mean pace; hazard ~ gamma(s, beta), per day

With the time A of the season and the calendar time T since the first purchase, a customer who had
left at t has the likelihood ``(alpha + A(t))^-(r+x)`` of x repeat purchases, which is integrated
over t from the last purchase on; after Schmittlein, Morrison and Colombo (1987), with time that
runs by the season for purchases alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import gammaln

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.pace_of_log import Pace, read_pace

NODES: Final = 32
"""Spans of the silence in which a customer may have left, the shorter the earlier."""
STEP_DAYS: Final = 7.0
MOST_STEPS: Final = 52


@dataclass(frozen=True)
class SeasonalPareto:
    """The model; see the module.

    Parameters
    ----------
    params
        ``r, alpha, s, beta``, all above 0; alpha and beta in days.
    season
        The pace of the purchases: of a season, or of a log that is too young to show one.
    """

    params: tuple[float, float, float, float]
    season: Pace

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain data."""
        return {"params": list(self.params), "season": self.season.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SeasonalPareto:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        r, alpha, s, beta = (float(value) for value in data["params"])
        if not all(0.0 < value < np.inf for value in (r, alpha, s, beta)):
            raise ValueError(f"the parameters of a model of a season are above 0; got {data}")
        return cls((r, alpha, s, beta), read_pace(data["season"]))

    def log_likelihood(self, past: Histories) -> Array:
        """Return the log-likelihood of each history in the time of the season, shape (rows,)."""
        r, alpha, s, beta = self.params
        staying, left, _ = self._logs(past)
        constant = gammaln(r + past.x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        return np.asarray(constant + np.logaddexp(staying, left))

    def alive_and_rate_if_left(self, past: Histories) -> tuple[Array, Array]:
        """Return P(still a customer), and the rate of one who had left, shape (rows,) each.

        The rate is in orders per day of the mean pace.
        """
        r, alpha, _, _ = self.params
        staying, left, of_each = self._logs(past)
        per_day = (r + past.x[:, None]) / (alpha + past.passed)
        rate_if_left = (np.exp(of_each - left[:, None]) * per_day).sum(axis=1)
        return _p_alive(staying, left), np.asarray(rate_if_left)

    def alive(self, past: Histories) -> Array:
        """Return P(still a customer), shape (rows,)."""
        staying, left, _ = self._logs(past)
        return _p_alive(staying, left)

    def none_if_alive(self, past: Histories, days: float) -> Array:
        """Return P(no purchase within ``days``) of one who is a customer, shape (rows,)."""
        r, alpha, _, _ = self.params
        edges, ahead = self._ahead(past, days)
        leaves = self._stays(past, edges)
        middle = (ahead[1:] + ahead[:-1]) / 2.0
        total = np.zeros(len(past.x))
        known = alpha + past.age
        for step, pace in enumerate(middle):
            total += (leaves[step] - leaves[step + 1]) * (known / (known + pace)) ** (r + past.x)
        return np.asarray(total + leaves[-1] * (known / (known + ahead[-1])) ** (r + past.x))

    def orders_ahead(self, past: Histories, days: float, annual_rate: float) -> tuple[Array, Array]:
        """Return discounted orders within ``days`` of a customer of today, shape (rows,) each.

        Those of one who stays, and of one who may leave.
        """
        r, alpha, _, _ = self.params
        middle, worth = self._worth(past, days, annual_rate)
        rate = (r + past.x) / (alpha + past.age)
        staying = self._stays(past, middle)
        if_may_leave = np.zeros(len(past.x))
        for of_step, p_stays in zip(worth, staying, strict=True):  # the same bytes for one row
            if_may_leave += of_step * p_stays
        return rate * worth.sum(), rate * if_may_leave

    def days_ahead(self, past: Histories, days: float, annual_rate: float) -> float:
        """Return the discounted time of the season within ``days``, in days of the mean pace."""
        return float(self._worth(past, days, annual_rate)[1].sum())

    def _worth(self, past: Histories, days: float, annual_rate: float) -> tuple[Array, Array]:
        """Return the middles of steps ahead, and the discounted time of the season in each."""
        edges, ahead = self._ahead(past, days)
        middle = (edges[1:] + edges[:-1]) / 2.0
        daily = np.log1p(annual_rate) / YEAR_DAYS
        return middle, np.diff(ahead) * np.exp(-daily * middle)

    def _ahead(self, past: Histories, days: float) -> tuple[Array, Array]:
        """Return edges of the days ahead, and the time of the season that passes until each."""
        edges = np.linspace(0.0, days, 1 + int(np.clip(np.ceil(days / STEP_DAYS), 4, MOST_STEPS)))
        passed = self.season.time_at(past.as_of + edges)
        return edges, passed - passed[0]

    def _stays(self, past: Histories, days: Array) -> Array:
        """Return P(a customer of today is one after each of ``days``), shape (days, rows)."""
        _, _, s, beta = self.params
        return np.exp(-s * np.log1p(days[:, None] / (beta + past.calendar_age)))

    def _logs(self, past: Histories) -> tuple[Array, Array, Array]:
        """Return log-likelihoods of having stayed, of having left, and in each span of the silence.

        Shape (rows,), (rows,) and (rows, NODES).
        """
        r, alpha, s, beta = self.params
        staying = -(r + past.x) * np.log(alpha + past.age) - s * np.log(beta + past.calendar_age)
        of_each = self._left(past)
        most = of_each.max(axis=1)
        left = most + np.log(np.exp(of_each - most[:, None]).sum(axis=1))
        return np.asarray(staying), np.asarray(left), of_each

    def _left(self, past: Histories) -> Array:
        """Return the log-likelihood of having left in each span of the silence, (rows, NODES)."""
        r, alpha, s, beta = self.params
        start, stop = beta + past.edges[:, :-1], beta + past.edges[:, 1:]
        leaves = -s * np.log(start) + np.log(
            np.maximum(-np.expm1(-s * np.log(stop / start)), 1e-300)
        )
        return np.asarray(leaves - (r + past.x)[:, None] * np.log(alpha + past.passed))


def _p_alive(staying: Array, left: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(left - staying, 700.0))))


@dataclass(frozen=True)
class Histories:
    """Histories of buyers in the time of a season, shape (rows,) each unless it says another.

    Parameters
    ----------
    x
        Repeat purchase days.
    age, calendar_age
        Time of the season and days from the first purchase to the as_of.
    edges
        Days from the first purchase to the edges of the spans of the silence, shape
        (rows, NODES + 1).
    passed
        Time of the season from the first purchase to the middle of each span, shape (rows, NODES).
    as_of
        Day number of the as_of.
    """

    x: Array
    age: Array
    calendar_age: Array
    edges: Array
    passed: Array
    as_of: float

    @classmethod
    def of(cls, x: Array, t_x: Array, T: Array, as_of: float, season: Pace) -> Histories:
        """Return the histories of buyers in the time of a season.

        Parameters
        ----------
        x, t_x, T
            Repeat purchase days, and days of the last purchase and of the as_of since the first,
            shape (rows,).
        as_of
            Day number of the as_of (days since 1970).
        season
            The season.
        """
        first = as_of - T
        start = season.time_at(first)
        # a customer of many orders left soon after the last one, if at all
        share = (np.arange(NODES + 1.0) / NODES) ** 2
        edges = t_x[:, None] + (T - t_x)[:, None] * share
        middle = (edges[:, 1:] + edges[:, :-1]) / 2.0
        passed = season.time_at(first[:, None] + middle) - start[:, None]
        age = season.time_at(np.full(len(x), as_of)) - start
        return cls(x, np.maximum(age, 0.0), T, edges, np.maximum(passed, 0.0), as_of)

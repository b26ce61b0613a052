"""BG/BB of customers who buy at most once in the season of each year, with the days of the season.

    p of Beta(alpha, beta)    P(a customer buys in a season)
    q of Beta(gamma, delta)   P(a customer leaves before a season begins)
    F(u)                      share of the purchases of a season that come in its first u days

In the middle of a season, who has not bought yet has failed to with ``1 - p F(u)`` alone; between
two seasons nobody buys, and a silence says nothing new. A customer who leaves decides so when the
next season begins, as a donor does who is asked again before Christmas.

Histories are those of :meth:`stagecast.training.learners.seasonal_buyers.Season.histories`: they
begin with the season of the first purchase, so that ``t_x`` is a whole number of years.

All values are sums over Gauss-Jacobi nodes of p and q, whose likelihood is a polynomial: exact up
to 30 seasons.

Source: Fader, Hardie and Shang (2010), "Customer-base analysis in a discrete-time noncontractual
setting", Marketing Science 29(6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import roots_jacobi

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR
from stagecast.training.learners.btyd.closed_forms import DAYS_PER_YEAR, Model
from stagecast.training.learners.btyd.histories import (
    as_floats,
    check_rate,
    checked_days,
    checked_history,
)
from stagecast.training.learners.btyd.stored import count, finite, positive, read_keys

PARTS: Final = 32
"""Parts of a season that hold equally many purchases."""
NODES: Final = 16
PHASES: Final = 2
"""What :attr:`Model.regularity` is above 1: purchases come at some times and not at others."""
KEYS: Final = ("alpha", "beta", "gamma", "delta", "days", "log_likelihood", "customers")
_TINY: Final = 1e-9
_LEAST: Final = 1e-300


@dataclass(frozen=True)
class OnceASeason(Model):
    """BG/BB of a season; it stands where MBG/NBD stands, with parameters of its own.

    Parameters
    ----------
    days
        Days of the season, from its beginning, between which the parts of its purchases lie, in
        rising order: ``PARTS + 1`` numbers, at most a year.
    """

    days: tuple[float, ...] = ()  # a field after one with a default needs one, too

    @cached_property
    def _nodes(self) -> tuple[Array, Array, Array]:
        """Return p and q of the nodes and their weight, shape (nodes,) each."""
        a, b, g, d = self.params
        (p, of_p), (q, of_q) = _beta_nodes(a, b), _beta_nodes(g, d)
        return np.repeat(p, NODES), np.tile(q, NODES), np.repeat(of_p, NODES) * np.tile(of_q, NODES)

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(the customer had not left when the newest season began | history)."""
        return self._of_distinct((x, t_x, T), lambda at: at.p_alive)

    def p_none(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(no purchase in (T, T + days] | history)."""
        return self._of_distinct((x, t_x, T, checked_days(days)), lambda at: at.p_none())

    def outlook(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> tuple[Array, Array, Array]:
        """Return ``p_none``, ``p_alive`` and ``expected_orders``."""
        orders = self.expected_orders(days, x, t_x, T)
        return self.p_none(days, x, t_x, T), self.p_alive(x, t_x, T), orders

    def expected_orders(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[purchases in (T, T + days] | history]."""
        return self.expected_orders_discounted(days, x, t_x, T, 0.0)

    def expected_orders_new(self, days: ArrayLike) -> Array:
        """Return the expected repeat purchases within ``days`` of a first one."""
        return self.expected_orders(days, 0.0, 0.0, float(np.median(self.days)))

    def expected_orders_discounted(
        self,
        days: ArrayLike,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
        annual_rate: float,
        alive: Array | None = None,
    ) -> Array:
        """Return the expected purchases in (T, T + days], discounted to T.

        The parameters are those of :meth:`Model.expected_orders_discounted`.
        """
        check_rate(annual_rate)
        history = (x, t_x, T, checked_days(days))
        if alive is None:
            return self._of_distinct(history, lambda at: at.orders(annual_rate, stays=False))
        each = self._of_distinct(
            history, lambda at: at.orders(annual_rate, stays=False) / np.maximum(at.p_alive, _LEAST)
        )
        return as_floats(alive * each)

    def orders_if_kept(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, annual_rate: float
    ) -> Array:
        """Return E[discounted purchases in (T, T + days] | history, active and never leaving]."""
        check_rate(annual_rate)
        history = (x, t_x, T, checked_days(days))
        return self._of_distinct(
            history, lambda at: at.orders(annual_rate, stays=True) / np.maximum(at.p_alive, _LEAST)
        )

    def rate_if_left(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[purchases per day while active | history, inactive at T]."""
        return self._of_distinct((x, t_x, T), lambda at: at.chance_if_left / YEAR)

    def days_until(
        self, p_none: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Array | None:
        """Return None: there is no closed form."""
        return None

    def p_leaving(self, days: float, x: Array, t_x: Array, T: Array) -> Array:
        """Return P(leaves within ``days`` | active at T), shape (rows,)."""
        return self._of_distinct(
            (x, t_x, T, float(days)), lambda at: at.p_leaving / np.maximum(at.p_alive, _LEAST)
        )

    def log_likelihood_of(
        self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, log_gaps: ArrayLike | None = None
    ) -> Array:
        """Return each customer's log-likelihood, without the days within a season."""
        return self._of_distinct((x, t_x, T), lambda at: np.log(np.maximum(at.total, _LEAST)))

    def _of_distinct(
        self, history: tuple[ArrayLike, ...], ask: Callable[[_Histories], Array]
    ) -> Array:
        """Return what is asked of distinct histories, in the shape of all."""
        x, t_x, T = checked_history(*history[:3])
        values = np.broadcast_arrays(x, t_x, T, *(as_floats(v) for v in history[3:]))
        rows = np.column_stack([column.ravel() for column in values])
        distinct, position = np.unique(rows, axis=0, return_inverse=True)
        days = distinct[:, 3] if distinct.shape[1] > 3 else np.zeros(len(distinct))
        x, t_x, T = distinct[:, 0], distinct[:, 1], distinct[:, 2]
        asked = ask(_Histories.of(self, x, t_x, T, days))
        return as_floats(asked[position.ravel()].reshape(values[0].shape))

    def within(self, days: Array) -> Array:
        """Return the share F of the purchases of a season in its first days, same shape."""
        return np.interp(days, self.days, np.linspace(0.0, 1.0, PARTS + 1), left=0.0, right=1.0)

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        own = (*self.params, list(self.days), self.log_likelihood, self.customers)
        return {"season": dict(zip(KEYS, own, strict=True))}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key is missing or unknown, or a value is invalid.
        """
        *params, days, log_likelihood, customers = read_keys("season", stored["season"], KEYS)
        alpha, beta, gamma, delta = (
            positive(key, value) for key, value in zip(KEYS, params, strict=False)
        )
        return cls.of(
            (alpha, beta, gamma, delta),
            tuple(finite("days", day) for day in days),
            finite("log_likelihood", log_likelihood),
            count("customers", customers),
        )

    @classmethod
    def of(
        cls,
        params: tuple[float, float, float, float],
        days: tuple[float, ...],
        log_likelihood: float,
        customers: int,
    ) -> Self:
        """Return the model with these parameters: alpha, beta, gamma, delta.

        Raises
        ------
        ValueError
            There are not ``PARTS + 1`` days in rising order from 0 to a year.
        """
        ends = np.array(days)
        if len(ends) != PARTS + 1 or (np.diff(ends) <= 0).any() or ends[0] < 0 or ends[-1] > YEAR:
            raise ValueError(f"a season has {PARTS + 1} rising days of a year; got {len(ends)}")
        return cls("mbg_nbd", params, log_likelihood, customers, PHASES, days)


def _beta_nodes(a: float, b: float) -> tuple[Array, Array]:
    """Return nodes in (0, 1) and weights that sum to 1, exact for polynomials times Beta(a, b)."""
    node, weight = roots_jacobi(NODES, b - 1.0, a - 1.0)
    return (1.0 + node) / 2.0, weight / weight.sum()


@dataclass(frozen=True)
class _Histories:
    """Distinct histories with a span each, and the weight of each node, shape (rows, nodes).

    Parameters
    ----------
    model
        The model.
    u, days
        Days of the newest season so far, and of the span, shape (rows,).
    open
        Weight of who is active and has not bought in the newest season, over that of not having
        done so yet: P(buys in a part of it) is p times the share of the part.
    alive, left
        Weight of who is active, and of who has left.
    """

    model: OnceASeason
    u: Array
    days: Array
    open: Array
    alive: Array
    left: Array

    @classmethod
    def of(cls, model: OnceASeason, x: Array, t_x: Array, T: Array, days: Array) -> _Histories:
        """Return them, see :class:`OnceASeason`."""
        p, q, weight = model._nodes
        seasons = np.floor(T / YEAR + _TINY)
        u, last = np.maximum(T - seasons * YEAR, 0.0), np.minimum(np.round(t_x / YEAR), seasons)
        x = np.minimum(x, last)
        has_bought = last == seasons
        # seasons that are over and had a purchase or none
        over = np.where(has_bought, seasons, seasons - 1.0)
        bought = p ** x[:, None] * (1.0 - p) ** (over - x)[:, None] * weight
        stays = (1.0 - q) ** seasons[:, None]
        open_now = np.where(has_bought, 0.0, 1.0)[:, None] * bought * stays
        not_yet = np.where(has_bought, 0.0, model.within(u))[:, None]
        left = np.zeros_like(bought)
        for number in range(1, 1 + int(seasons.max(initial=0.0))):
            is_in = ((number > last) & (number <= seasons))[:, None]
            silent = np.maximum(number - 1.0 - x, 0.0)[:, None]
            at = p ** x[:, None] * (1.0 - p) ** silent * (1.0 - q) ** (number - 1.0) * q * weight
            left += np.where(is_in, at, 0.0)
        return cls(model, u, days, open_now, bought * stays * (1.0 - p * not_yet), left)

    @cached_property
    def total(self) -> Array:
        """Likelihood of the histories, shape (rows,)."""
        return np.asarray(self.alive.sum(axis=1) + self.left.sum(axis=1))

    @cached_property
    def p_alive(self) -> Array:
        return np.asarray(self.alive.sum(axis=1) / np.maximum(self.total, _LEAST))

    @cached_property
    def chance_if_left(self) -> Array:
        """E[p | has left]; of who cannot have left, of who is active, shape (rows,)."""
        p, _, _ = self.model._nodes
        weight = np.where(self.left.sum(axis=1, keepdims=True) > 0, self.left, self.alive)
        return np.asarray((weight * p).sum(axis=1) / np.maximum(weight.sum(axis=1), _LEAST))

    @cached_property
    def _ahead(self) -> int:
        """Seasons that begin within the longest of the spans."""
        return int(np.floor((self.u + self.days).max(initial=0.0) / YEAR + _TINY))

    def p_none(self) -> Array:
        """Return P(no purchase in the span), shape (rows,)."""
        p, q, _ = self.model._nodes
        active, silent = self.alive - p * self._share(0)[:, None] * self.open, self.left
        for season in range(1, 1 + self._ahead):
            silent = silent + active * q
            active = active * (1.0 - q) * (1.0 - p * self._share(season)[:, None])
        none = (active + silent).sum(axis=1) / np.maximum(self.total, _LEAST)
        return np.asarray(np.clip(none, 0.0, 1.0))

    @property
    def p_leaving(self) -> Array:
        """P(active and leaves in the span), shape (rows,)."""
        _, q, _ = self.model._nodes
        begun = np.floor((self.u + self.days) / YEAR + _TINY)
        leaves = self.alive * (1.0 - (1.0 - q) ** begun[:, None])
        return np.asarray(leaves.sum(axis=1) / np.maximum(self.total, _LEAST))

    def orders(self, annual_rate: float, *, stays: bool) -> Array:
        """Return the discounted purchases in the span, (rows,); nobody leaves if ``stays``."""
        p, q, _ = self.model._nodes
        daily = float(np.log1p(annual_rate)) / DAYS_PER_YEAR
        orders = p * self.open * self._discounted(0, daily)[:, None]
        active = self.alive
        for season in range(1, 1 + self._ahead):
            active = active if stays else active * (1.0 - q)
            orders = orders + p * active * self._discounted(season, daily)[:, None]
        return np.asarray(orders.sum(axis=1) / np.maximum(self.total, _LEAST))

    def _share(self, season: int) -> Array:
        """Return the share of a season's purchases that lie in the span, shape (rows,)."""
        end = self.model.within(self.u + self.days - season * YEAR)
        return end - self.model.within(self.u) if season == 0 else end

    def _discounted(self, season: int, daily: float) -> Array:
        """Return the same, each purchase discounted, shape (rows,)."""
        ends = np.array(self.model.days)
        begin = self.u if season == 0 else np.full(len(self.u), -1.0)
        low = np.maximum(ends[:-1], begin[:, None])
        high = np.minimum(ends[1:], (self.u + self.days - season * YEAR)[:, None])
        share = np.maximum(high - low, 0.0) / np.diff(ends) / PARTS
        ahead = (low + high) / 2.0 + season * YEAR - self.u[:, None]
        return np.asarray((share * np.exp(-daily * np.maximum(ahead, 0.0))).sum(axis=1))

"""Fitted customer-base models, and their predictions for a customer with history (x, t_x, T).

x is the number of days with a repeat purchase, t_x the days from the first purchase to the last, T
the days from the first purchase to now. All times are in **days**, all methods work on arrays, and
no valid input gives NaN or infinity. The server imports this module; fitting is separate (see
:mod:`stagecast.training.learners.btyd.fit`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, exprel

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import (
    betageometric,
    paretonbd,
    regular,
    regular_pareto,
    renewals,
)
from stagecast.training.learners.btyd.densities import FIRST_COIN, log_likelihood
from stagecast.training.learners.btyd.histories import (
    as_floats,
    check_rate,
    checked_days,
    checked_history,
)
from stagecast.training.learners.btyd.stored import count, finite, positive, read_keys

DAYS_PER_YEAR: Final = 365.0

PARAMETERS: Final[dict[str, tuple[str, str, str, str]]] = {
    "bg_nbd": ("r", "alpha_days", "a", "b"),
    "mbg_nbd": ("r", "alpha_days", "a", "b"),
    "pareto_nbd": ("r", "alpha_days", "s", "beta_days"),
}
"""The models, each with the names of its parameters in the order of ``Model.params``."""

NODES, WEIGHTS = (v for v in np.polynomial.legendre.leggauss(12))
# Orders of regular customers cost more; their steps in time are smoothed by the integral.
_FEW_NODES, _FEW_WEIGHTS = (v for v in np.polynomial.legendre.leggauss(6))
_STEP_NODES, _STEP_WEIGHTS = (v for v in np.polynomial.legendre.leggauss(24))
# Values that are computed at a time where several nodes are.
_VALUES_AT_ONCE = 8192
# Log of the discount up to which few nodes do: two years at ten per cent.
_SMALL_DISCOUNT = 0.2


@dataclass(frozen=True)
class Model:
    """One fitted customer-base model.

    Parameters
    ----------
    name : str
        A key of :data:`PARAMETERS`.
    params : tuple of float
        In the order of :data:`PARAMETERS`; ``alpha`` and ``beta`` in days.
    log_likelihood : float
        Over all customers, of purchase times in days. A fit of times in weeks has a log-likelihood
        that is higher by log(7) for each repeat purchase.
    customers : int
        Number of customers it was fitted on.
    regularity : int
        Phases k of a gap: 1 is random gaps; more makes ``mbg_nbd`` MBG/CNBD-k and ``pareto_nbd``
        Pareto/CNBD-k (see :mod:`stagecast.training.learners.btyd.regular` and
        :mod:`~stagecast.training.learners.btyd.regular_pareto`). With more than 1,
        ``log_likelihood`` has no term of the single gaps.

    Raises
    ------
    ValueError
        Unknown name; a parameter that is not positive and finite; a regularity that is no whole
        number from 1 to 100, or above 1 in another model.

    Examples
    --------
    The customer of Batislam et al. (2007) on CDNOW, times in weeks made days:

    >>> model = Model("mbg_nbd", (0.5248, 6.1831 * 7, 0.8914, 1.6140), 0.0, 2357)
    >>> round(float(model.p_alive(2, 30.43 * 7, 38.86 * 7)), 4)
    0.7061
    """

    name: str
    params: tuple[float, float, float, float]
    log_likelihood: float
    customers: int
    regularity: int = 1

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.params) != 4:
            raise ValueError(
                f"{self.name} has 4 parameters, {PARAMETERS[self.name]}; got {len(self.params)}"
            )
        values = tuple(
            positive(k, v) for k, v in zip(PARAMETERS[self.name], self.params, strict=True)
        )
        object.__setattr__(self, "params", values)
        object.__setattr__(self, "log_likelihood", finite("log_likelihood", self.log_likelihood))
        object.__setattr__(self, "customers", count("customers", self.customers))
        object.__setattr__(self, "regularity", _regularity(self.name, self.regularity))

    def log_likelihood_of(
        self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, log_gaps: ArrayLike | None = None
    ) -> Array:
        """Return each customer's log-likelihood, without the constants that no parameter enters.

        Parameters
        ----------
        x, t_x, T : array_like, shapes that broadcast
            Repeat purchase days; days from first to last purchase (0 where x = 0); days from first
            purchase to now.
        log_gaps : array_like, broadcasts with the history, optional
            Sum of the logs of the gaps in days. With it, models of different regularity can be
            compared; without, their log-likelihoods lack the term of the single gaps. No part of
            random gaps.

        Raises
        ------
        ValueError
            A value is not finite, or not ``x >= 0`` and ``0 <= t_x <= T``. So do all the methods
            below.
        """
        x, t_x, T = checked_history(x, t_x, T)
        density = log_likelihood(self.name, self.params, self.regularity, x, t_x, T)
        if self.regularity == 1 or log_gaps is None:
            return density
        return density + regular.log_gap_term(self.regularity, x, as_floats(log_gaps))

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(still active at T | history).

        BG/NBD gives 1 for every customer without a repeat purchase, by construction; there it is no
        sign of churn.
        """
        return as_floats(expit(-self._log_odds_dead(*checked_history(x, t_x, T))))

    def p_none(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(no purchase in (T, T + days] | history): inactive already, or active and silent.

        Parameters
        ----------
        days : array_like, broadcasts with the history
            Length of the window, in days; at least 0.

        Returns
        -------
        array
            Within (0, 1]; absolute error below 1e-9.
        """
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        return self._none(days, x, t_x, T, self._log_odds_dead(x, t_x, T))

    def expected_orders(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[purchases in (T, T + days] | history]; relative error below 1e-9."""
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        return self._orders(days, x, t_x, T, self._alive(x, t_x, T))

    def outlook(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> tuple[Array, Array, Array]:
        """Return ``p_none``, ``p_alive`` and ``expected_orders``, at a third of the work."""
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        odds = self._log_odds_dead(x, t_x, T)
        alive = as_floats(expit(-odds))
        return self._none(days, x, t_x, T, odds), alive, self._orders(days, x, t_x, T, alive)

    def expected_orders_new(self, days: ArrayLike) -> Array:
        """Return E[X(days)], the expected repeat purchases within ``days`` of the first one."""
        zero = np.zeros(())
        return self._orders(checked_days(days), zero, zero, zero, self._alive(zero, zero, zero))

    def expected_orders_discounted(
        self,
        days: ArrayLike,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
        annual_rate: float,
        alive: Array | None = None,
    ) -> Array:
        """Return the expected number of purchases in (T, T + days], discounted to T.

        A purchase u days ahead counts ``(1 + annual_rate) ** (-u / 365)``. Integration by parts
        gives the discounted number at the end plus the interest on ``expected_orders`` until then,
        which is integrated with 12 Gauss-Legendre nodes in the logarithm of time: relative error
        below 1e-7 (1e-5 at ten years and a rate of 1). With a regularity above 1, whose orders come
        in steps, there are 6 nodes or, over a longer time, 24: relative error below 1e-4 (at
        ten years, too). Of regular customers who leave at any time, 12 nodes do for interest and
        leaving together: relative error below 5e-4 over a year, 3e-3 over ten.

        Parameters
        ----------
        annual_rate : float
            Effective yearly rate, at least 0; 0.10 is ten per cent. 0 gives ``expected_orders``.
        alive : array, optional
            What :meth:`p_alive` returns for the history, if it was computed before.

        Raises
        ------
        ValueError
            The rate is negative or not finite.
        """
        check_rate(annual_rate)
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        p_alive = self._alive(x, t_x, T) if alive is None else alive
        if self.name == "pareto_nbd" and self.regularity > 1:
            daily = float(np.log1p(annual_rate) / DAYS_PER_YEAR)
            orders = regular_pareto.orders_if_active(
                self.params, self.regularity, days, x, t_x, T, daily
            )
            return as_floats(p_alive * orders)
        return self._discounted(
            lambda u: self._orders(u, x, t_x, T, p_alive), days, T, float(annual_rate)
        )

    def orders_if_kept(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, annual_rate: float
    ) -> Array:
        """Return E[discounted purchases in (T, T + days] | history, active at T and never leaving].

        The customer buys at the own rate, of which an active customer's history tells. It is at
        least ``expected_orders_discounted`` over ``p_alive``.

        Parameters
        ----------
        annual_rate : float
            As in :meth:`expected_orders_discounted`.
        """
        check_rate(annual_rate)
        days, (x, t_x, T) = checked_days(days), checked_history(x, t_x, T)
        if self.regularity > 1:

            def orders(u: Array) -> Array:
                return renewals.orders_if_active(
                    self.params, self.regularity, u, x, t_x, T, stays=True
                )

            return self._discounted(orders, days, T, float(annual_rate))
        r, alpha = self.params[:2]
        daily = np.log1p(annual_rate) / DAYS_PER_YEAR
        return as_floats((r + x) / (alpha + T) * days * exprel(-daily * days))

    def days_until(
        self, p_none: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Array | None:
        """Return the days after which :meth:`p_none` has fallen to a probability.

        Parameters
        ----------
        p_none : array_like, broadcasts with the history
            Within (0, 1).

        Returns
        -------
        array or None
            Infinite where the probability never falls so low, since the customer may have left
            already. None for a model without a closed form: Pareto/NBD, and regular gaps.
        """
        if self.name == "pareto_nbd" or self.regularity > 1:
            return None
        x, t_x, T = checked_history(x, t_x, T)
        r, alpha = self.params[:2]
        # P(none) = P(dead) + P(alive) (1 + days / (alpha + T))^-(r + x)
        bought = (1.0 - as_floats(p_none)) / self._alive(x, t_x, T)
        reached = bought < 1.0
        log_silent = np.log1p(-np.where(reached, bought, 0.0))
        with np.errstate(over="ignore"):  # infinite is later than any day, too
            days = (alpha + T) * np.expm1(-log_silent / (r + x))
        return np.where(reached, days, np.inf)

    def rate_if_left(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[purchases per day while active | history, inactive at T].

        Of a customer who has left, the purchases before say how often they came; the silence since
        says nothing of it.
        """
        x, t_x, T = checked_history(x, t_x, T)
        if self.name == "pareto_nbd" and self.regularity > 1:
            rate = regular_pareto.rate_if_left(self.params, self.regularity, x, t_x, T)
            return as_floats(rate)
        if self.name == "pareto_nbd":
            return as_floats(paretonbd.rate_if_left(self.params, x, t_x, T))
        # the coin falls at a purchase, so the customer left on the day of the last one
        r, alpha = self.params[:2]
        k = self.regularity
        return as_floats((r + k * x) / (k * (alpha + t_x)))

    def _discounted(
        self, orders: Callable[[Array], Array], days: Array, T: Array, annual_rate: float
    ) -> Array:
        """Return the discounted orders, by integration by parts over the orders up to each time."""
        undiscounted = orders(days)
        if annual_rate == 0:
            return undiscounted
        daily = np.log1p(annual_rate) / DAYS_PER_YEAR
        times = zip(PARAMETERS[self.name], self.params, strict=True)
        scale = T + min(value for key, value in times if key.endswith("_days")) * self.regularity
        half_range = np.log1p(days / scale) / 2.0
        if self.regularity == 1:
            nodes, weights = NODES, WEIGHTS
        elif daily * days.max(initial=0.0) <= _SMALL_DISCOUNT:
            nodes, weights = _FEW_NODES, _FEW_WEIGHTS
        else:
            nodes, weights = _STEP_NODES, _STEP_WEIGHTS
        interest = np.zeros(undiscounted.shape)
        at_once = max(1, _VALUES_AT_ONCE // max(1, interest.size))
        for start in range(0, len(nodes), at_once):
            part = slice(start, start + at_once)
            column = (slice(None), *(None for _ in interest.shape))
            node, weight = nodes[part][column], weights[part][column]
            growth = np.exp(half_range * (1.0 + node))
            u = scale * (growth - 1.0)
            terms = weight * half_range * scale * growth * np.exp(-daily * u) * orders(u)
            # one after the other, so that the last bits do not depend on the number of rows
            for term in terms:
                interest = interest + term
        return as_floats(np.exp(-daily * days) * undiscounted + daily * interest)

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values, which :meth:`from_json` reads back exactly."""
        params = dict(zip(PARAMETERS[self.name], self.params, strict=True))
        stored = {
            "name": self.name,
            "params": params,
            "log_likelihood": self.log_likelihood,
            "customers": self.customers,
        }
        return stored if self.regularity == 1 else {**stored, "regularity": self.regularity}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is invalid; the message names the key.
        """
        if isinstance(stored, Mapping):
            stored = {**stored, "regularity": stored.get("regularity", 1)}
        name, params, log_likelihood, customers, regularity = read_keys(
            "customer-base model",
            stored,
            ("name", "params", "log_likelihood", "customers", "regularity"),
        )
        _check_name(name)
        r, alpha, third, fourth = read_keys(f"params of {name}", params, PARAMETERS[name])
        return cls(name, (r, alpha, third, fourth), log_likelihood, customers, regularity)

    def _log_odds_dead(self, x: Array, t_x: Array, T: Array) -> Array:
        if self.regularity > 1:
            formulas = regular_pareto if self.name == "pareto_nbd" else regular
            return as_floats(formulas.log_odds_dead(self.params, self.regularity, x, t_x, T))
        if self.name == "pareto_nbd":
            return paretonbd.log_odds_dead(self.params, x, t_x, T)
        return betageometric.log_odds_dead(self.params, FIRST_COIN[self.name], x, t_x, T)

    def _alive(self, x: Array, t_x: Array, T: Array) -> Array:
        return as_floats(expit(-self._log_odds_dead(x, t_x, T)))

    def _none(self, days: Array, x: Array, t_x: Array, T: Array, odds: Array) -> Array:
        if self.regularity > 1:
            formulas = regular_pareto if self.name == "pareto_nbd" else regular
            silent = formulas.none_if_active(self.params, self.regularity, days, x, t_x, T)
        elif self.name == "pareto_nbd":
            silent = paretonbd.none_if_active(self.params, days, x, T)
        else:
            silent = betageometric.none_if_active(self.params, days, x, T)
        return as_floats(np.minimum(expit(odds) + expit(-odds) * silent, 1.0))

    def _orders(self, days: Array, x: Array, t_x: Array, T: Array, alive: Array) -> Array:
        if self.regularity > 1:
            formulas = regular_pareto if self.name == "pareto_nbd" else renewals
            orders = formulas.orders_if_active(self.params, self.regularity, days, x, t_x, T)
        elif self.name == "pareto_nbd":
            orders = paretonbd.orders_if_active(self.params, days, x, T)
        else:
            orders = betageometric.orders_if_active(self.params, FIRST_COIN[self.name], days, x, T)
        return as_floats(alive * orders)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or name not in PARAMETERS:
        raise ValueError(
            f"name {name!r} is not a customer-base model; known: {', '.join(PARAMETERS)}"
        )


def _regularity(name: str, value: object) -> int:
    k = count("regularity", value)
    if k > regular.LARGEST_K:
        raise ValueError(f"regularity is {k}; expected at most {regular.LARGEST_K}")
    if k > 1 and name == "bg_nbd":
        raise ValueError(f"regularity is {k}; {name} has random gaps, so it must be 1")
    return k

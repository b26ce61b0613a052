"""Fitted customer-base models, and their predictions for a customer with history (x, t_x, T).

x is the number of days with a repeat purchase, t_x the days from the first purchase to the last, T
the days from the first purchase to now. All times are in **days**, all methods work on arrays, and
no valid input gives NaN or infinity. The server imports this module; fitting is separate (see
:mod:`stagecast.training.learners.btyd.fit`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import betageometric, paretonbd
from stagecast.training.learners.btyd.stored import count, finite, positive, read_keys

DAYS_PER_YEAR: Final = 365.0

PARAMETERS: Final[dict[str, tuple[str, str, str, str]]] = {
    "bg_nbd": ("r", "alpha_days", "a", "b"),
    "mbg_nbd": ("r", "alpha_days", "a", "b"),
    "pareto_nbd": ("r", "alpha_days", "s", "beta_days"),
}
"""The models, each with the names of its parameters in the order of ``Model.params``."""

_FIRST_COIN = {"bg_nbd": 0, "mbg_nbd": 1}
_NODES, _WEIGHTS = (v for v in np.polynomial.legendre.leggauss(12))


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

    Raises
    ------
    ValueError
        Unknown name; a parameter that is not positive and finite.

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

    def log_likelihood_of(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return each customer's log-likelihood, without the constants that no parameter enters.

        Parameters
        ----------
        x, t_x, T : array_like, shapes that broadcast
            Repeat purchase days; days from first to last purchase (0 where x = 0); days from first
            purchase to now.

        Raises
        ------
        ValueError
            A value is not finite, or not ``x >= 0`` and ``0 <= t_x <= T``. So do all the methods
            below.
        """
        x, t_x, T = checked_history(x, t_x, T)
        if self.name == "pareto_nbd":
            return paretonbd.log_likelihood(self.params, x, t_x, T)
        return betageometric.log_likelihood(self.params, _FIRST_COIN[self.name], x, t_x, T)

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return P(still active at T | history).

        BG/NBD gives 1 for every customer without a repeat purchase, by construction; there it is no
        sign of churn.
        """
        return _array(expit(-self._log_odds_dead(*checked_history(x, t_x, T))))

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
        days, (x, t_x, T) = _days(days), checked_history(x, t_x, T)
        return self._none(days, x, T, self._log_odds_dead(x, t_x, T))

    def expected_orders(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return E[purchases in (T, T + days] | history]; relative error below 1e-9."""
        days, (x, t_x, T) = _days(days), checked_history(x, t_x, T)
        return self._orders(days, x, T, self._alive(x, t_x, T))

    def outlook(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> tuple[Array, Array, Array]:
        """Return ``p_none``, ``p_alive`` and ``expected_orders``, at a third of the work."""
        days, (x, t_x, T) = _days(days), checked_history(x, t_x, T)
        odds = self._log_odds_dead(x, t_x, T)
        alive = _array(expit(-odds))
        return self._none(days, x, T, odds), alive, self._orders(days, x, T, alive)

    def expected_orders_new(self, days: ArrayLike) -> Array:
        """Return E[X(days)], the expected repeat purchases within ``days`` of the first one."""
        zero = np.zeros(())
        return self._orders(_days(days), zero, zero, self._alive(zero, zero, zero))

    def expected_orders_discounted(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, annual_rate: float
    ) -> Array:
        """Return the expected number of purchases in (T, T + days], discounted to T.

        A purchase u days ahead counts ``(1 + annual_rate) ** (-u / 365)``. Integration by parts
        gives the discounted number at the end plus the interest on ``expected_orders`` until then,
        which is integrated with 12 Gauss-Legendre nodes in the logarithm of time: relative error
        below 1e-7 (1e-5 at ten years and a rate of 1).

        Parameters
        ----------
        annual_rate : float
            Effective yearly rate, at least 0; 0.10 is ten per cent. 0 gives ``expected_orders``.

        Raises
        ------
        ValueError
            The rate is negative or not finite.
        """
        if not (np.isfinite(annual_rate) and annual_rate >= 0):
            raise ValueError(
                f"annual_rate {annual_rate} is not a rate; write ten per cent as 0.10, at least 0"
            )
        days, (x, t_x, T) = _days(days), checked_history(x, t_x, T)
        alive = self._alive(x, t_x, T)
        undiscounted = self._orders(days, x, T, alive)
        if annual_rate == 0:
            return undiscounted
        daily = np.log1p(annual_rate) / DAYS_PER_YEAR
        times = zip(PARAMETERS[self.name], self.params, strict=True)
        scale = T + min(value for key, value in times if key.endswith("_days"))
        half_range = np.log1p(days / scale) / 2.0
        interest = np.zeros(undiscounted.shape)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            growth = np.exp(half_range * (1.0 + node))
            u = scale * (growth - 1.0)
            interest += (
                weight
                * half_range
                * scale
                * growth
                * np.exp(-daily * u)
                * self._orders(u, x, T, alive)
            )
        return _array(np.exp(-daily * days) * undiscounted + daily * interest)

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values, which :meth:`from_json` reads back exactly."""
        params = dict(zip(PARAMETERS[self.name], self.params, strict=True))
        return {
            "name": self.name,
            "params": params,
            "log_likelihood": self.log_likelihood,
            "customers": self.customers,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is invalid; the message names the key.
        """
        name, params, log_likelihood, customers = read_keys(
            "customer-base model", stored, ("name", "params", "log_likelihood", "customers")
        )
        _check_name(name)
        r, alpha, third, fourth = read_keys(f"params of {name}", params, PARAMETERS[name])
        return cls(name, (r, alpha, third, fourth), log_likelihood, customers)

    def _log_odds_dead(self, x: Array, t_x: Array, T: Array) -> Array:
        if self.name == "pareto_nbd":
            return paretonbd.log_odds_dead(self.params, x, t_x, T)
        return betageometric.log_odds_dead(self.params, _FIRST_COIN[self.name], x, t_x, T)

    def _alive(self, x: Array, t_x: Array, T: Array) -> Array:
        return _array(expit(-self._log_odds_dead(x, t_x, T)))

    def _none(self, days: Array, x: Array, T: Array, odds: Array) -> Array:
        if self.name == "pareto_nbd":
            silent = paretonbd.none_if_active(self.params, days, x, T)
        else:
            silent = betageometric.none_if_active(self.params, days, x, T)
        return _array(np.minimum(expit(odds) + expit(-odds) * silent, 1.0))

    def _orders(self, days: Array, x: Array, T: Array, alive: Array) -> Array:
        if self.name == "pareto_nbd":
            orders = paretonbd.orders_if_active(self.params, days, x, T)
        else:
            orders = betageometric.orders_if_active(self.params, _FIRST_COIN[self.name], days, x, T)
        return _array(alive * orders)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or name not in PARAMETERS:
        raise ValueError(
            f"name {name!r} is not a customer-base model; known: {', '.join(PARAMETERS)}"
        )


def _array(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


def _days(days: ArrayLike) -> Array:
    values = _array(days)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise ValueError(
            f"days {values[bad].flat[0]} is not a length of time; use a finite number of at least 0"
        )
    return values


def checked_history(x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the history as float arrays.

    Parameters
    ----------
    x, t_x, T : array_like, shapes that broadcast
        Repeat purchase days; days from first to last purchase; days from first purchase to now.

    Raises
    ------
    ValueError
        A value is not finite, or not ``x >= 0`` and ``0 <= t_x <= T``, or t_x is not 0 where x is;
        the message counts the customers and shows the first.
    """
    arrays = _array(x), _array(t_x), _array(T)
    broadcast = np.broadcast_arrays(*arrays)
    valid = (
        (broadcast[0] >= 0)
        & (broadcast[1] >= 0)
        & (broadcast[1] <= broadcast[2])
        & ((broadcast[0] > 0) | (broadcast[1] == 0))
    )
    bad = ~(valid & np.isfinite(broadcast[0]) & np.isfinite(broadcast[2]))
    if bad.any():
        position = int(np.flatnonzero(bad)[0])
        values = ", ".join(
            f"{name}={array.flat[position]:g}"
            for name, array in zip(("x", "t_x", "T"), broadcast, strict=True)
        )
        raise ValueError(
            f"{int(bad.sum())} customers have no possible history, first at position "
            f"{position}: {values}; "
            "0 <= x, 0 <= t_x <= T must hold, and t_x = 0 where x = 0"
        )
    return arrays

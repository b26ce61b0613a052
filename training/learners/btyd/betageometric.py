"""BG/NBD and MBG/NBD: an active customer buys at a constant rate, and may leave after a purchase.

Whether a customer leaves is decided by a coin. The models differ only in when it is tossed first:
after the first *repeat* purchase in BG/NBD, already after the first purchase in MBG/NBD. A customer
with ``x`` repeat purchases has therefore survived ``x`` coins in the one and ``x + 1`` in the
other; ``first_coin`` (0 or 1) is that difference, and all formulas below hold for both.

Rates are Gamma(r, alpha) and coins Beta(a, b) over customers. Alive at T, a customer's rate is
Gamma(r + x, alpha + T) and the coin Beta(a, b + coins).

Sources: Fader, Hardie and Lee (2005), "'Counting Your Customers' the Easy Way: An Alternative to
the Pareto/NBD Model", Marketing Science 24(2); Batislam, Denizel and Filiztekin (2007), "Empirical
validation and comparison of models for customer base analysis", IJRM 24(3); Wagner and Hoppe
(2008), "Erratum on the MBG/NBD Model", IJRM 25(3).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from stagecast.features.arrays import Array

Params = tuple[float, float, float, float]

# The part that the trapezoid rule leaves out is below exp(-_REACH) of the integral.
_REACH = 36.0
# Rows per block, whose arrays stay in the cache of the processor; summed with einsum, since a BLAS
# product of this size starts threads at a cost above their gain.
_ROWS_AT_ONCE = 256
# Up to this many rows it costs more to find equal ones than to compute each of them.
_FEW_ROWS = 128
_KNEE = 64.0
_LOG_KNEE = np.log(_KNEE)
# Points of an interpolation over z, others at which it is checked, and the error it may have there.
_POINTS = 32
_BETWEEN = np.array([-0.999, -0.93, -0.71, -0.37, 0.02, 0.41, 0.69, 0.94, 0.997])
_EXACT = 1e-12
_SMALLEST = 1e-300


def log_odds_dead(params: Params, first_coin: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of P(inactive at T) / P(active at T), per customer; ``-inf`` before the first coin.

    Source: Fader, Hardie and Lee (2008), "Computing P(alive) Using the BG/NBD Model"; Batislam et
    al. (2007), appendix A, eq. 5.
    """
    r, alpha, a, b = params
    coins = x + first_coin
    tossed = coins > 0
    silence = (r + x) * np.log1p((T - t_x) / (alpha + t_x))
    odds = np.log(a) - np.log(b + np.where(tossed, coins, 1.0) - 1.0) + silence
    return np.where(tossed, odds, -np.inf)


def log_likelihood(params: Params, first_coin: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of the density of the purchase times up to T, per customer.

    Source: Fader, Hardie and Lee (2005), eq. 6; Batislam et al. (2007), appendix A.
    """
    r, alpha, a, b = params
    buying = gammaln(r + x) - gammaln(r) - r * np.log1p(T / alpha) - x * np.log(alpha + T)
    surviving = betaln(a, b + x + first_coin) - betaln(a, b)
    log_density: Array = (
        buying + surviving + np.logaddexp(0.0, log_odds_dead(params, first_coin, x, t_x, T))
    )
    return log_density


def none_if_active(params: Params, days: Array, x: Array, T: Array) -> Array:
    """P(no purchase within ``days`` after T | active at T), per customer.

    Coins are tossed at purchases only, so it depends on the purchase rate alone.
    """
    r, alpha, _, _ = params
    return np.exp(-(r + x) * np.log1p(days / (alpha + T)))


def orders_if_active(params: Params, first_coin: int, days: Array, x: Array, T: Array) -> Array:
    """E[purchases within ``days`` after T | active at T], per customer.

    Given rate and coin p it is ``(1 - exp(-rate p days)) / p``; over Gamma(R, A) rates ``(1 - (1 +
    p z)^-R) / p`` with ``z = days / A``. The published form (Fader, Hardie and Lee 2005, eq. 10;
    Wagner and Hoppe 2008) takes the mean over p with a Gaussian hypergeometric function, which
    divides by a - 1 and suffers from cancellation; here the mean over p is a quadrature, so that a
    = 1 and large x are no special cases. Relative error below 1e-10.
    """
    r, alpha, a, b = params
    flat_x, flat_days, flat_T = (v.ravel() for v in np.broadcast_arrays(x, days, T))
    z = flat_days / (alpha + flat_T)
    orders = np.empty_like(z)
    for level, knee, rows in _node_sets(flat_x, (r + flat_x) * z):
        orders[rows] = _mean_over_coin(
            float(a), float(b + level + first_coin), float(r + level), knee, z[rows]
        )
    return orders.reshape(np.broadcast_shapes(x.shape, days.shape, T.shape))


def orders_of_one(
    params: Params, first_coin: int, days: Array, x: float, T: Array | float
) -> Array:
    """Return :func:`orders_if_active` of one customer, shape of ``days``.

    Parameters
    ----------
    days
        Spans in days, shape (spans,).
    x
        Repeat purchase days.
    T
        Days from the first purchase to the begin of each span.
    """
    r, alpha, a, b = params
    z = days / (alpha + T)
    power = np.ceil(np.log(np.maximum((r + x) * z, 1.0)) / _LOG_KNEE)
    orders = np.empty_like(z)
    for level in set(power.tolist()):
        rows = power == level
        orders[rows] = _mean_over_coin(
            float(a), float(b + x + first_coin), float(r + x), _KNEE**level, z[rows]
        )
    return orders


def _node_sets(x: Array, bend: Array) -> Iterator[tuple[float, float, NDArray[np.int64]]]:
    """Yield the rows that share the nodes of the quadrature: those of one x and of one knee.

    The knee is ``bend`` rounded up to a power of 64, so that the nodes of a row, and with them the
    last bits of the result, do not depend on the other rows.
    """
    power = np.ceil(np.log(np.maximum(bend, 1.0)) / _LOG_KNEE)
    order = np.lexsort((power, x))
    x, power = x[order], power[order]
    starts = np.flatnonzero(np.r_[True, (x[1:] != x[:-1]) | (power[1:] != power[:-1])])
    for start, end in pairwise((*starts.tolist(), len(order)) if len(order) else ()):
        yield float(x[start]), _KNEE ** float(power[start]), order[start:end]


def _mean_over_coin(a: float, b: float, R: float, knee: float, z: Array) -> Array:
    """E[(1 - (1 + p z)^-R) / p] for p of Beta(a, b), where R z is at most ``knee``.

    And above a 64th of it, unless the knee is 1. The mean over z is interpolated between that of
    few points, see :func:`_interpolated`, since customers of one x differ in z alone.
    """
    if len(z) > _FEW_ROWS:
        z, position = np.unique(z, return_inverse=True)
    else:
        position = None
    polynomial = _interpolated(a, b, R, knee)
    means = _means_at(a, b, R, knee, z) if polynomial is None else polynomial.of(z)
    return means if position is None else means[position]


class _Polynomial(NamedTuple):
    """Interpolation of a function of z over z, in t = log(1 + z).

    Parameters
    ----------
    t, weight, weighted
        Points, barycentric weights, and these times the values over z, shape (n_points,) each.
    """

    t: Array
    weight: Array
    weighted: Array

    def of(self, z: Array) -> Array:
        """Return the function, shape of ``z``."""
        means = np.empty_like(z)
        for start in range(0, len(z), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            near = np.log1p(z[rows])[:, None] - self.t
            near[near == 0.0] = _SMALLEST  # at a point, its value alone counts
            np.reciprocal(near, out=near)
            over_z = np.einsum("ij,j->i", near, self.weighted) / np.einsum(
                "ij,j->i", near, self.weight
            )
            means[rows] = z[rows] * over_z
        return means


@lru_cache(maxsize=4096)
def _interpolated(a: float, b: float, R: float, knee: float) -> _Polynomial | None:
    """Return the interpolation of :func:`_means_at` over z, or None where it is not exact.

    Of (1 - (1 + p z)^-R) / p, the singularities in t = log(1 + z) have imaginary parts of pi or
    more for all p, and the interval of t is at most log 64 wide: at Chebyshev points the error
    falls with 3.3^-n. Where the mean over p is dominated by large R p it may fall slower, which
    shows between the points.

    Source: Berrut and Trefethen (2004), "Barycentric Lagrange interpolation", SIAM Review 46.
    """
    first = np.log1p(knee / _KNEE / R) if knee > 1.0 else 0.0
    last = np.log1p(knee / R)
    angle = (2.0 * np.arange(_POINTS) + 1.0) * np.pi / (2.0 * _POINTS)
    middle, half = (first + last) / 2.0, (last - first) / 2.0
    t = middle + half * np.cos(angle)
    between = middle + half * _BETWEEN
    at = np.expm1(np.r_[t, between])
    if not (at > 0.0).all():
        return None
    over_z = _means_at(a, b, R, knee, at) / at
    weight = np.sin(angle) * (-1.0) ** np.arange(_POINTS)
    polynomial = _Polynomial(t, weight, weight * over_z[:_POINTS])
    error = polynomial.of(at[_POINTS:]) / at[_POINTS:] / over_z[_POINTS:] - 1.0
    return polynomial if np.abs(error).max() < _EXACT else None


def _means_at(a: float, b: float, R: float, knee: float, z: Array) -> Array:
    """Return what :func:`_mean_over_coin` does, by a quadrature over p.

    Uses the trapezoid rule in the logit of p, where the integrand is analytic in a strip. Long
    tails are shortened by subtracting f(1) p first, and f(0) (1 - p) where a < 1, whose means are
    known exactly.
    """
    nodes = _coin_nodes(a, b, knee)
    at_0 = R * z if a < 1.0 else 0.0
    at_1 = -np.expm1(-R * np.log1p(z))
    exact = at_0 * nodes.rest_of_q + at_1 * nodes.rest_of_p
    remainder = np.empty_like(z)
    for start in range(0, len(z), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        # -expm1(-R log1p(p z)), in one block of memory
        values = z[rows, None] * nodes.p
        np.log1p(values, out=values)
        values *= -R
        np.expm1(values, out=values)
        np.negative(values, out=values)
        remainder[rows] = np.einsum("ij,j->i", values, nodes.weight_over_p)
    return np.maximum(exact + remainder, 0.0)


class _CoinNodes(NamedTuple):
    """Nodes of :func:`_means_at`, shape (n_nodes,), and what they leave of the means.

    ``rest_of_p`` and ``rest_of_q`` are the exact means of p and 1 - p less those over the nodes.
    """

    p: Array
    weight_over_p: Array
    rest_of_p: float
    rest_of_q: float


@lru_cache(maxsize=1024)
def _coin_nodes(a: float, b: float, knee: float) -> _CoinNodes:
    p, q, weight = _logit_nodes(a, b, knee)
    of_p, of_q = float(a / (a + b) - weight @ p), float(b / (a + b) - weight @ q)
    return _CoinNodes(p, weight / p, of_p, of_q)


def _logit_nodes(a: float, b: float, knee: float) -> tuple[Array, Array, Array]:
    """Nodes p, 1 - p and their Beta(a, b) weights for functions that bend at ``p = 1 / knee``."""
    width = a * b / (a + b)  # the inverse variance of the logit, were it normal
    step = min(0.3, 0.5 / np.sqrt(width))
    bend = np.log(max(knee, 1e-300))
    peak = np.log(a / b)
    bell = 10.0 / np.sqrt(width) if width >= 144.0 else _REACH / width + 1.0
    fall = a + 1.0 if a < 1.0 else a
    low = max(min(peak, -np.log(max(b, knee, 1.0))) - _REACH / fall - 1.0, peak - bell)
    high = min(max(peak, np.log(max(a, 1.0))) + _REACH / (b + 1.0) + 1.0, peak + bell)
    s = np.arange(low, high + step, step)
    log_p, log_q = -np.logaddexp(0.0, -s), -np.logaddexp(0.0, s)
    log_weight = a * log_p + b * log_q - betaln(a, b) + np.log(step)
    # bound of the log of the integrand without its weight: relative to f(0) where that is
    # subtracted, else to min(f(0), 1)
    size = np.minimum(0.0, log_p + bend) if a < 1.0 else np.minimum(bend, -log_p) - min(bend, 0.0)
    relevant = log_weight + log_q + size > -_REACH
    return np.exp(log_p[relevant]), np.exp(log_q[relevant]), np.exp(log_weight[relevant])

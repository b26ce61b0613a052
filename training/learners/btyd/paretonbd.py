"""Pareto/NBD: an active customer buys at a constant rate and leaves unobserved at a constant rate.

Purchase rates are Gamma(r, alpha) and leaving rates Gamma(s, beta) over customers; alive at T, a
customer's are Gamma(r + x, alpha + T) and Gamma(s, beta + T).

All quantities depend on one integral, ``_leaving_integral``. It is evaluated by Gauss-Legendre
quadrature in the logarithm of time, where the integrand is smooth; the published Gaussian
hypergeometric functions overflow at x in the hundreds.

Sources: Schmittlein, Morrison and Colombo (1987), "Counting Your Customers", Management Science
33(1); Fader and Hardie (2005), "A Note on Deriving the Pareto/NBD Model and Related Expressions".
"""

from __future__ import annotations

import numpy as np
from scipy.special import exprel, gammaln

from stagecast.features.arrays import Array

Params = tuple[float, float, float, float]

_NODES, WEIGHTS = (v for v in np.polynomial.legendre.leggauss(32))
_REACH = 36.0
# Rows per block, whose arrays stay in the cache of the processor; summed with einsum, since a BLAS
# product of this size starts threads at a cost above their gain.
_ROWS_AT_ONCE = 512


def log_odds_dead(params: Params, x: Array, t_x: Array, T: Array) -> Array:
    """Log of P(inactive at T) / P(active at T), per customer; ``-inf`` where t_x = T.

    Source: Fader and Hardie (2005), eqs. 36 and 37.
    """
    r, alpha, s, beta = params
    leaving = _leaving_integral(r + x, s, alpha + t_x, beta + t_x, T - t_x)
    silence = (r + x) * np.log1p((T - t_x) / (alpha + t_x)) + s * np.log1p((T - t_x) / (beta + t_x))
    gap = leaving > 0
    return np.where(gap, np.log(s) + np.log(np.where(gap, leaving, 1.0)) + silence, -np.inf)


def log_likelihood(params: Params, x: Array, t_x: Array, T: Array) -> Array:
    """Log of the density of the purchase times up to T, per customer.

    Source: Fader and Hardie (2005), eq. 18.
    """
    r, alpha, s, beta = params
    buying = gammaln(r + x) - gammaln(r) - r * np.log1p(T / alpha) - x * np.log(alpha + T)
    log_density: Array = (
        buying - s * np.log1p(T / beta) + np.logaddexp(0.0, log_odds_dead(params, x, t_x, T))
    )
    return log_density


def none_if_active(params: Params, days: Array, x: Array, T: Array, pace: float = 1.0) -> Array:
    """P(no purchase within ``days`` after T | active at T), per customer.

    The customer is active and silent to the end, or leaves before the next purchase. ``pace`` is a
    factor of the purchase rate after T: it divides the inverse scale ``alpha + T`` of the rates.
    """
    r, alpha, s, beta = params
    scale = (alpha + T) / pace
    silent = np.exp(-(r + x) * np.log1p(days / scale) - s * np.log1p(days / (beta + T)))
    left_early: Array = s * _leaving_integral(r + x, s, scale, beta + T, days)
    return silent + left_early


def orders_if_active(params: Params, days: Array, x: Array, T: Array) -> Array:
    """E[purchases within ``days`` after T | active at T], per customer.

    Source: Fader and Hardie (2005), eq. 41, written so that s = 1 is no exception.
    """
    r, alpha, s, beta = params
    stretch = np.log1p(days / (beta + T))
    active_days = (beta + T) * stretch * exprel((1.0 - s) * stretch)
    orders: Array = (r + x) / (alpha + T) * active_days
    return orders


def rate_if_left(params: Params, x: Array, t_x: Array, T: Array) -> Array:
    """E[purchases per day while active | inactive at T], per customer.

    The customer left at some time u between the last purchase and T, with a density in proportion
    to ``(alpha + u)^-(r + x) (beta + u)^-(s + 1)``; given u, the rate is Gamma(r + x, alpha + u).
    """
    shape = np.broadcast_shapes(x.shape, t_x.shape, T.shape)
    columns = [np.broadcast_to(v, shape).ravel() for v in (x, t_x, T)]
    rate = np.empty(columns[0].shape)
    for start in range(0, len(rate), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        rate[rows] = _rates_if_left(params, *(v[rows, None] for v in columns))
    return rate.reshape(shape)


def _rates_if_left(params: Params, x: Array, start: Array, T: Array) -> Array:
    r, alpha, s, beta = params
    R, span = r + x, T - start
    scale = start + min(alpha, beta)
    half = np.log1p(span / scale) / 2.0
    growth = np.expm1(half * (1.0 + _NODES))
    u = start + scale * growth
    log_density = (
        -R * np.log((alpha + u) / (alpha + start))
        - (s + 1.0) * np.log((beta + u) / (beta + start))
        + np.log1p(growth)
    )
    weight = np.exp(log_density) * WEIGHTS
    rates: Array = np.sum(weight * R / (alpha + u), axis=-1) / np.sum(weight, axis=-1)
    return rates


def odds_and_none_of_one(
    params: Params, days: float, x: float, t_x: float, T: float
) -> tuple[float, float]:
    """Return :func:`log_odds_dead` and :func:`none_if_active` of one customer.

    Warnings of NumPy are the caller's to silence, who asks for much more of the customer.

    Parameters
    ----------
    days
        Days after T.
    x, t_x, T
        The history.
    """
    r, alpha, s, beta = params
    R, gap = r + x, T - t_x
    # both integrals in one call, which takes about as long as one of them
    R_, A, B, span = np.array(
        [[R, R], [alpha + t_x, alpha + T], [beta + t_x, beta + T], [gap, days]]
    )[:, :, None]
    leaving, left_early = _leaving_rows(s, R_, A, B, span).tolist()
    silence = R * np.log1p(gap / (alpha + t_x)) + s * np.log1p(gap / (beta + t_x))
    odds = np.log(s) + np.log(leaving) + silence if leaving > 0 else -np.inf
    silent = np.exp(-R * np.log1p(days / (alpha + T)) - s * np.log1p(days / (beta + T)))
    return float(odds), float(silent) + s * left_early


def rate_if_left_of_one(params: Params, x: float, t_x: float, T: float) -> float:
    """Return :func:`rate_if_left` of one customer."""
    r, alpha, s, beta = params
    R, scale = r + x, t_x + min(alpha, beta)
    growth = np.expm1(np.log1p((T - t_x) / scale) / 2.0 * (1.0 + _NODES))
    u = t_x + scale * growth
    own = alpha + u
    log_density = (
        -R * np.log(own / (alpha + t_x))
        - (s + 1.0) * np.log((beta + u) / (beta + t_x))
        + np.log1p(growth)
    )
    weight = np.exp(log_density) * WEIGHTS
    return float(np.add.reduce(weight * R / own) / np.add.reduce(weight))


def _leaving_integral(R: Array, s: float, A: Array, B: Array, span: Array) -> Array:
    """Integral of ``(1 + u/A)^-R (1 + u/B)^-s / (B + u)`` over u in (0, span), elementwise.

    With ``y = log(1 + u / min(A, B))`` the integrand is analytic where |Im y| < pi and falls from y
    = 0 on; the nodes are spread over the part where it is above exp(-36) of its start. Relative
    error below 1e-10.
    """
    if R.ndim == 1 and R.shape == A.shape == B.shape == span.shape:
        shape, columns = R.shape, [R, A, B, span]
    else:
        shape = np.broadcast_shapes(R.shape, A.shape, B.shape, span.shape)
        columns = [np.broadcast_to(v, shape).ravel() for v in (R, A, B, span)]
    result = np.empty(columns[0].shape)
    with np.errstate(over="ignore"):  # an infinite reach is limited to the span
        for start in range(0, len(result), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            result[rows] = _leaving_rows(s, *(v[rows, None] for v in columns))
    return result.reshape(shape)


def _leaving_rows(s: float, R: Array, A: Array, B: Array, span: Array) -> Array:
    _, log_integrand, half = leaving_nodes(s, R, A, B, span)
    integrals: Array = half[:, 0] * np.einsum("ij,j->i", np.exp(log_integrand), WEIGHTS)
    return integrals


def leaving_nodes(
    s: float, R: Array, A: Array, B: Array, span: Array
) -> tuple[Array, Array, Array]:
    """Return the nodes u of the integral over the time of leaving, and the log of its integrand
    there, shape (rows, nodes) each, and the half length in ``y``, shape (rows, 1).

    The integral is the sum of the integrand times ``WEIGHTS``, times the half length. Arguments are
    of shape (rows, 1).
    """
    scale = np.minimum(A, B)
    # where the integrand has fallen by exp(-36): R log(1 + u/A) + s log(1 + u/B) is at least as
    # large as each summand; it may overflow to infinity
    reach = np.minimum(A * np.expm1(_REACH / R), B * np.expm1(_REACH / s))
    half = np.log1p(np.minimum(span, reach) / scale) / 2.0
    u = scale * np.expm1(half * (1.0 + _NODES))
    log_integrand = -R * np.log1p(u / A) - s * np.log1p(u / B) + np.log((scale + u) / (B + u))
    return u, log_integrand, half

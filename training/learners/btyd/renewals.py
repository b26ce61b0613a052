"""Expected orders of MBG/CNBD-k: exactly by a sum over phases, or by a normal approximation.

Let M be the number of phases completed since the last purchase at the end of the window, ``d +
days`` after it. The window has ``N = floor(M / k)`` gaps that end, of which the n-th is a purchase
of someone who survived n - 1 coins. Hence

    E[orders | active] = sum over n >= 1 of c_n P(M >= n k | J < k),   c_n = E[(1 - p)^(n - 1)]

where J, the phases at T, is below k since nobody bought after t_x. Over Gamma(R, alpha + t_x) rates
M is negative binomial, and given M each phase falls before T with probability ``d / (d + days)``:

    P(M = m, J < k) = NB(m) P(Binomial(m, d / (d + days)) <= k - 1).

Both factors follow a recurrence from larger to smaller m of which all terms are positive. A
customer of the sum costs about 5 nanoseconds per phase; customers whose M spreads over more than
``MOST_PHASES`` get the approximation.

Source: the model of Reutterer, Platzer and Schroeder (2021), see
:mod:`stagecast.training.learners.btyd.regular`; the published expectation is an approximation that
is exact for k = 1 alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, exprel, gammaincinv, gammaln

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.regular import Params, log_few_phases

# Phases over which the sum runs at most, or eight times as many where fewer orders than these are
# expected; beyond, the approximation is off by less than 0.5 %.
MOST_PHASES = 512
FEW_ORDERS = 10.0
# Standard normal quantile of the ends of the sum, which leave out about 1e-9.
_TAIL = 6.0
# Log of the smallest probability from which the recurrence starts.
_LEAST = -600.0
# Windows shorter than this share of alpha + T have no orders.
_LEAST_SHARE = 1e-12
_ROWS_AT_ONCE = 1024
_NORMAL_NODES, _NORMAL_WEIGHTS = (v for v in np.polynomial.hermite_e.hermegauss(9))
_NORMAL_SHARES = _NORMAL_WEIGHTS / _NORMAL_WEIGHTS.sum()
_UNIFORM_NODES, _UNIFORM_SHARES = (v / 2.0 for v in np.polynomial.legendre.leggauss(16))
# Shape from which the cube root of a gamma variable counts as normal (Wilson and Hilferty 1931).
_NORMAL_SHAPE = 4.0


def orders_if_active(
    params: Params, k: int, days: Array, x: Array, t_x: Array, T: Array, stays: bool = False
) -> Array:
    """E[purchases within ``days`` after T | active at T], per customer.

    Parameters
    ----------
    params, k
        r, alpha in days, a, b; phases of a gap.
    days, x, t_x, T
        Window in days and history, shapes that broadcast.
    stays
        Whether the customer is taken never to leave, so that every c_n is 1.
    """
    shape = np.broadcast_shapes(x.shape, t_x.shape, T.shape, days.shape)
    columns = [np.broadcast_to(v, shape).ravel() for v in (days, x, t_x, T)]
    orders = np.zeros(columns[0].shape)
    ahead = np.flatnonzero(columns[0] > _LEAST_SHARE * (params[1] + columns[3]))
    if not len(ahead):
        return orders.reshape(shape)
    rows = _Rows.of(params, k, *(v[ahead] for v in columns))
    orders_expected = rows.R * rows.days / (params[1] + columns[3][ahead]) / k
    most = np.where(orders_expected < FEW_ORDERS, 8 * MOST_PHASES, MOST_PHASES)
    wide = rows.phases > most
    orders[ahead[wide]] = _approximated(params, rows.of_rows(np.flatnonzero(wide)), stays)
    narrow = np.flatnonzero(~wide)
    orders[ahead[narrow]] = _summed(params, rows.of_rows(narrow), stays)
    return orders.reshape(shape)


@dataclass(frozen=True)
class _Rows:
    """Windows and histories of customers, shape (n_rows,) each.

    Parameters
    ----------
    k
        Phases of a gap.
    days
        Window in days, above 0.
    x, silence
        Repeat purchase days; days since the last purchase.
    R, before
        Shape and inverse scale in days of the rates at the last purchase.
    first, last
        Numbers of orders in the window that are certain to be reached, and not to be passed.
    """

    k: int
    days: Array
    x: Array
    silence: Array
    R: Array
    before: Array
    first: Array
    last: Array

    @classmethod
    def of(cls, params: Params, k: int, days: Array, x: Array, t_x: Array, T: Array) -> _Rows:
        """Return the rows; given J = j phases at T, those of the window have the shape R + j."""
        r, alpha, _, _ = params
        R, odds = r + k * x, days / (alpha + T)
        odds_before = np.maximum((T - t_x) / (alpha + t_x), 1e-300)
        most_before = _quantile(R * odds_before, odds_before, _TAIL) + 6.0
        J = np.minimum(np.where(t_x < T, most_before, 0.0), k - 1.0)
        fewest = _quantile(R * odds, odds, -_TAIL) - 3.0
        most = J + _quantile((R + J) * odds, odds, _TAIL) + 6.0
        first = np.maximum(np.floor(fewest / k), 0.0)
        last = np.maximum(np.floor(most / k), first + 1.0)
        return cls(k, days, x, T - t_x, R, alpha + t_x, first, last)

    @property
    def phases(self) -> Array:
        """Number of phases over which the sum runs."""
        return self.k * (self.last - self.first)

    def of_rows(self, rows: NDArray[np.int64]) -> _Rows:
        """Return some of the rows."""
        return _Rows(self.k, *(getattr(self, field.name)[rows] for field in fields(self)[1:]))

    def log_top(self) -> tuple[Array, Array]:
        """Return the logs of P(M = m | J < k) and of the step of the recurrence at the largest m.

        The step is P(M = m, J < k in m phases, J = k in m + 1 phases | J < k).
        """
        k, d, days, R = self.k, self.silence, self.days, self.R
        m = k * (self.last + 1.0) - 1.0
        passed = d + days
        log_phases = (
            gammaln(R + m)
            - gammaln(R)
            - R * np.log1p(passed / self.before)
            - m * np.log1p(self.before / passed)
            - log_few_phases(R, k, d, self.before)
        )
        few = log_few_phases(m - k + 1.0, k, d, days)
        with np.errstate(divide="ignore"):  # no phase falls into a silence of no length
            log_share = np.log(d / passed)
        last_of_k = k * log_share - (m - k + 1.0) * np.log1p(d / days) - gammaln(float(k))
        return log_phases - gammaln(m + 1.0) + few, log_phases + last_of_k - gammaln(m - k + 2.0)


def _quantile(mean: Array, odds: Array, z: float) -> Array:
    """Quantile of a negative binomial, as a gamma variable of the same mean and variance."""
    spread = np.sqrt((1.0 + odds) / mean) / 3.0
    return np.asarray(mean * np.maximum(1.0 - spread**2 + z * spread, 0.0) ** 3)


def _summed(params: Params, rows: _Rows, stays: bool) -> Array:
    """Return the sum over phases."""
    log_mass, log_step = rows.log_top()
    # a range that begins far out in a light tail would begin with 0
    while (faint := (log_mass < _LEAST) & (rows.last > rows.first + 1)).any():
        fewer = rows.last - np.maximum(1.0, np.floor((rows.last - rows.first) / 8.0))
        rows = replace(rows, last=np.where(faint, fewer, rows.last))
        log_mass, log_step = rows.log_top()
    mass, step = np.exp(log_mass), np.exp(log_step)
    orders = np.empty(len(rows.x))
    sizes = (rows.last - rows.first).astype(np.int64)
    order = np.argsort(-sizes, kind="stable")
    for start in range(0, len(order), _ROWS_AT_ONCE):
        chosen = order[start : start + _ROWS_AT_ONCE]
        chunk = rows.of_rows(chosen)
        tails = _tails(chunk, sizes[chosen], mass[chosen], step[chosen])
        orders[chosen] = _weighted(params, chunk, tails, stays)
    return orders


def _tails(rows: _Rows, sizes: NDArray[np.int64], mass: Array, step: Array) -> Array:
    """Return P(M >= n k | J < k) for n = first + 1, first + 2, ..., shape (largest size, n_rows).

    Rows stand in descending order of their sizes, ``last - first``; entries beyond are 0.
    """
    k, end = rows.k, rows.before + rows.silence + rows.days
    per_phase, per_late_phase = end / (rows.silence + rows.days), end / rows.days
    m = k * (rows.last + 1.0) - 1.0
    shape, tail, ratio = rows.R + m, np.zeros(len(m)), np.empty(len(m))
    falling, falling_late = (m + 1.0) * per_phase, (m + 2.0 - k) * per_late_phase
    columns = (shape, tail, ratio, falling, falling_late, per_phase, per_late_phase, mass, step)
    tails = np.zeros((int(sizes[0]), len(m)))
    for n in reversed(range(len(tails))):
        active = int(np.searchsorted(-sizes, -n))  # the others begin further down
        _sum_of_one_gap(k, *(column[:active] for column in columns))
        tails[n, :active] = tail[:active]
    return np.minimum(tails, 1.0)


def _sum_of_one_gap(
    k: int,
    shape: Array,
    tail: Array,
    ratio: Array,
    falling: Array,
    falling_late: Array,
    per_phase: Array,
    per_late_phase: Array,
    mass: Array,
    step: Array,
) -> None:
    """Add k terms to the tail, in place."""
    for _ in range(k):
        tail += mass
        shape -= 1.0
        falling -= per_phase
        falling_late -= per_late_phase
        np.divide(falling, shape, out=ratio)
        mass *= ratio
        np.divide(falling_late, shape, out=ratio)
        step *= ratio
        mass += step


def _weighted(params: Params, rows: _Rows, tails: Array, stays: bool) -> Array:
    """Return the sum of c_n P(M >= n k | J < k), which is c_n alone up to ``first``."""
    if stays:
        total = np.zeros(len(rows.first))
        # one after the other, so that the last bits do not depend on the number of rows
        for tail in tails:
            total += tail
        return np.asarray(rows.first + total)
    _, _, a, b = params
    coins = b + rows.x + 1.0
    orders = _survived(rows.first, a, coins)
    weight = np.exp(betaln(a, coins + rows.first) - betaln(a, coins))
    for n, tail in enumerate(tails):
        orders += weight * tail
        weight *= (coins + rows.first + n) / (a + coins + rows.first + n)
    return orders


def _survived(orders: Array, a: float, b: Array) -> Array:
    """E[(1 - (1 - p)^n) / p] = c_1 + ... + c_n for p of Beta(a, b) and n orders, b >= 1.

    It is ``(a + b - 1) / (a - 1) (1 - c'_n)`` with a ratio c' of gamma functions. Near a = 1, where
    both factors vanish, the log of c' is a difference of digamma functions.
    """
    away = a - 1.0
    if abs(away) < 1e-4:
        slope = digamma(b + orders + away / 2.0) - digamma(b + away / 2.0)
    else:
        log_ratio = gammaln(b + orders) - gammaln(b) - gammaln(a + b + orders - 1.0)
        slope = -(log_ratio + gammaln(a + b - 1.0)) / away
    return np.asarray((a + b - 1.0) * slope * exprel(-away * slope))


def _approximated(params: Params, rows: _Rows, stays: bool) -> Array:
    """Return the expected orders where they are many: N is a gamma variable, and continuous.

    Its mean is that of ``(M - (k - 1) / 2) / k``, as if the window ended anywhere in a gap. The
    moments of the rate given the silence are ratios of negative binomial probabilities.
    """
    k, days, R = rows.k, rows.days, rows.R
    if not len(R):
        return np.zeros(0)
    silent, silent_1, silent_2 = (
        log_few_phases(R + more, k, rows.silence, rows.before) for more in (0.0, 1.0, 2.0)
    )
    rate = R / rows.before * np.exp(silent_1 - silent)
    square = R * (R + 1.0) / rows.before**2 * np.exp(silent_2 - silent)
    phases_before = np.clip(rate * (rows.before + rows.silence) - R, 0.0, k - 1.0)
    mean = np.maximum(rate * days + phases_before - (k - 1.0) / 2.0, 0.0) / k
    longer = log_few_phases(R, k, rows.silence + days, rows.before)
    any_order = -np.expm1(np.minimum(longer - silent, 0.0))
    mean = np.maximum(mean, any_order)
    if stays:
        return np.asarray(mean)
    _, _, a, b = params
    spread = np.maximum(square - rate**2, rate**2 / (R + k)) * days**2 + rate * days
    shape = mean**2 / (spread / k**2)
    orders = np.zeros(len(mean))
    coins = b + rows.x + 1.0
    near = shape >= _NORMAL_SHAPE
    for node, share in zip(_NORMAL_NODES, _NORMAL_SHARES, strict=True):
        width = 1.0 / (3.0 * np.sqrt(shape[near]))
        count = mean[near] * np.maximum(1.0 - width**2 + node * width, 0.0) ** 3
        orders[near] += share * _survived(count, a, coins[near])
    for node, share in zip(_UNIFORM_NODES, _UNIFORM_SHARES, strict=True):
        count = mean[~near] * gammaincinv(shape[~near], 0.5 + node) / shape[~near]
        orders[~near] += share * _survived(count, a, coins[~near])
    return np.asarray(np.clip(orders, any_order, mean))

"""Log-likelihood of each customer with its slopes in the parameters, in closed form, for fits.

A fit asks for both at every step. Slopes by finite differences are two evaluations per parameter;
these are about one more, and are exact to rounding. Only training imports this module.

Each function returns the log-likelihood of :mod:`stagecast.training.learners.btyd.densities`, shape
(n_customers,), and its slopes, shape (4, n_customers), in the order of
:data:`stagecast.training.learners.btyd.closed_forms.PARAMETERS`. The log-likelihood of all models
is that of the purchases and of staying, plus ``log(1 + odds)`` with the odds of being gone, so that
the slopes of the log odds enter with the probability of being gone.

Source: derivatives of the equations that the functions of the same models give; those of the
integrals of Pareto/NBD and Pareto/CNBD-k are means over the time of leaving.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import betaln, digamma, expit, gammaln, logsumexp

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import betageometric, paretonbd, regular_pareto
from stagecast.training.learners.btyd.densities import FIRST_COIN

Params = tuple[float, float, float, float]
Slopes = tuple[Array, Array]
"""Log-likelihood, shape (n_customers,), and slopes, shape (n_parameters, n_customers)."""

# Rows per block, whose arrays stay in the cache of the processor.
_ROWS_AT_ONCE: Final = 512


def log_likelihood_slopes(
    name: str, params: Params, regularity: int, x: Array, t_x: Array, T: Array
) -> Slopes:
    """Return each customer's log-likelihood and its slopes in the parameters.

    Parameters
    ----------
    name, params, regularity
        As in :func:`stagecast.training.learners.btyd.densities.log_likelihood`.
    x, t_x, T
        Checked histories in days, shape (n_customers,) each.
    """
    if name != "pareto_nbd":
        if regularity > 1:
            return _regular(params, regularity, x, t_x, T)
        return _betageometric(params, FIRST_COIN[name], x, t_x, T)
    of_block = _paretonbd if regularity == 1 else _regular_pareto
    density, slopes = np.empty(len(x)), np.empty((4, len(x)))
    for start in range(0, len(x), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        density[rows], slopes[:, rows] = of_block(params, regularity, x[rows], t_x[rows], T[rows])
    return density, slopes


def spend_slopes(p: float, q: float, v: float, x: Array, monetary: Array) -> Slopes:
    """Return each repeater's log-density of the mean spend, and its slopes in p, q and v.

    As :func:`stagecast.training.learners.btyd.gammagamma.log_density`, which takes the same.
    """
    spent = x * monetary
    own, prior = np.log1p(v / spent), np.log1p(spent / v)
    both = digamma(p * x + q)
    density = -p * x * own - q * prior - np.log(monetary) - betaln(p * x, q)
    slopes = np.array(
        [
            x * (both - digamma(p * x) - own),
            both - digamma(q) - prior,
            (q * spent / v - p * x) / (spent + v),
        ]
    )
    return density, slopes


def _buying(r: float, alpha: float, R: Array, until: Array, phases: Array) -> tuple[Array, ...]:
    """Return the log-density of purchases at a constant rate until then, and its slopes in r and
    alpha.
    """
    spread = np.log1p(until / alpha)
    density = gammaln(R) - gammaln(r) - r * spread - phases * np.log(alpha + until)
    in_alpha = (r * until / alpha - phases) / (alpha + until)
    return density, digamma(R) - digamma(r) - spread, in_alpha


def _betageometric(params: Params, first_coin: int, x: Array, t_x: Array, T: Array) -> Slopes:
    r, alpha, a, b = params
    R, coins = r + x, x + first_coin
    buying, in_r, in_alpha = _buying(r, alpha, R, T, x)
    odds = betageometric.log_odds_dead(params, first_coin, x, t_x, T)
    gone = expit(odds)
    density = buying + betaln(a, b + coins) - betaln(a, b) + np.logaddexp(0.0, odds)
    both = digamma(a + b) - digamma(a + b + coins)
    # where no coin was tossed nobody is gone, whatever is divided by
    last = b + np.maximum(coins, 1.0) - 1.0
    silence = np.log1p((T - t_x) / (alpha + t_x))
    slopes = np.array(
        [
            in_r + gone * silence,
            in_alpha - gone * R * (T - t_x) / ((alpha + T) * (alpha + t_x)),
            both + gone / a,
            both + digamma(b + coins) - digamma(b) - gone / last,
        ]
    )
    return density, slopes


def _regular(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Slopes:
    r, alpha, a, b = params
    R = r + k * x
    buying, in_r, in_alpha = _buying(r, alpha, R, t_x, k * x)
    silent, silent_in_R, silent_in_before = _few_phases(R, k, T - t_x, alpha + t_x)
    odds = np.log(a) - np.log(b + x) - silent
    alive = expit(-odds)
    density = buying + betaln(a + 1.0, b + x) - betaln(a, b) + np.logaddexp(0.0, -odds)
    both = digamma(a + b) - digamma(a + b + x + 1.0)
    slopes = np.array(
        [
            in_r + alive * silent_in_R,
            in_alpha + alive * silent_in_before,
            both + (1.0 - alive) / a,
            both + digamma(b + x) - digamma(b) + alive / (b + x),
        ]
    )
    return density, slopes


def _paretonbd(params: Params, _: int, x: Array, t_x: Array, T: Array) -> Slopes:
    r, alpha, s, beta = params
    R, A, B, silence = r + x, alpha + t_x, beta + t_x, T - t_x
    buying, in_r, in_alpha = _buying(r, alpha, R, T, x)
    with np.errstate(over="ignore"):  # an infinite reach is limited to the silence
        u, log_integrand, half = paretonbd.leaving_nodes(
            s, R[:, None], A[:, None], B[:, None], silence[:, None]
        )
    share = np.exp(log_integrand) * paretonbd.WEIGHTS
    total = share.sum(axis=1)
    leaving = half[:, 0] * total
    gap = leaving > 0
    share /= np.where(total > 0, total, 1.0)[:, None]
    own, other = np.log1p(silence / A), np.log1p(silence / B)
    odds = np.where(gap, np.log(s) + np.log(np.where(gap, leaving, 1.0)), -np.inf)
    odds += R * own + s * other
    gone = expit(odds)
    in_time = np.log1p(T / beta)
    density = buying - s * in_time + np.logaddexp(0.0, odds)

    def mean(values: Array) -> Array:
        return np.asarray(np.einsum("ij,ij->i", share, values))

    A_u, B_u = A[:, None] + u, B[:, None] + u
    odds_in_A = R * (mean(u / A_u) - silence / (A + silence)) / A
    # the derivative of -log(B + u) is that of -log(1 + u/B) less 1/B
    odds_in_B = (mean((s + 1.0) * u / B_u) - s * silence / (B + silence) - 1.0) / B
    slopes = np.array(
        [
            in_r + gone * (own - mean(np.log1p(u / A[:, None]))),
            in_alpha + gone * odds_in_A,
            gone * (1.0 / s + other - mean(np.log1p(u / B[:, None]))) - in_time,
            s * T / (beta * (beta + T)) + gone * odds_in_B,
        ]
    )
    return density, slopes


def _regular_pareto(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Slopes:
    r, alpha, s, beta = params
    R, A, B, silence = r + k * x, alpha + t_x, beta + t_x, T - t_x
    buying, in_r, in_alpha = _buying(r, alpha, R, t_x, k * x)
    silent, silent_in_R, silent_in_before = _few_phases(R, k, silence, A)
    gap_days = k * A / (R + 1.0)
    w, log_step = regular_pareto.silence_nodes(gap_days, silence)
    few, few_in_R, few_in_before = _few_phases(R[:, None], k, w, A[:, None])
    left = np.log1p(w / B[:, None])
    log_share = log_step + np.log(s) - np.log(B)[:, None] - (s + 1.0) * left + few
    total = logsumexp(log_share, axis=1)
    gap = (silence > 0) & ~np.isneginf(total)
    share = np.exp(log_share - np.where(gap, total, 0.0)[:, None])
    other = np.log1p(silence / B)
    odds = np.where(gap, total + s * other - silent, -np.inf)
    gone = expit(odds)
    in_time = np.log1p(T / beta)
    density = buying + silent - s * in_time + np.logaddexp(0.0, odds)

    def mean(values: Array) -> Array:
        return np.asarray(np.einsum("ij,ij->i", share, values))

    late = (s + 1.0) / (B[:, None] + w)
    odds_in_B = (mean(late * w) - s * silence / (B + silence) - 1.0) / B
    # the nodes, too, move with the usual gap, which matters where they are too few for the integral
    w_in_gap, step_in_gap = regular_pareto.node_slopes(gap_days, silence)
    with np.errstate(divide="ignore", invalid="ignore"):
        density_in_w = np.where(w > 0, -few_in_before * A[:, None] / w, 0.0) - late
    moved = np.where(gap, mean(step_in_gap + density_in_w * w_in_gap), 0.0)
    slopes = np.array(
        [
            in_r
            + silent_in_R
            + gone * (mean(few_in_R) - silent_in_R - moved * gap_days / (R + 1.0)),
            in_alpha
            + silent_in_before
            + gone * (mean(few_in_before) - silent_in_before + moved * gap_days / A),
            gone * (1.0 / s + other - mean(left)) - in_time,
            s * T / (beta * (beta + T)) + gone * odds_in_B,
        ]
    )
    return density, slopes


def _few_phases(R: Array, k: int, elapsed: Array, before: Array) -> tuple[Array, Array, Array]:
    """Return :func:`stagecast.training.learners.btyd.regular.log_few_phases`, and its slopes in R
    and ``before``.

    With ``y = before / (before + elapsed)`` it is the log of I_y(R, k), whose slope in y is the
    density of Beta(R, k). In R, term j of the sum of phases has the slope
    ``1 / R + ... + 1 / (R + j - 1)`` of itself.
    """
    R, elapsed, before = np.broadcast_arrays(R, elapsed, before)
    share, log_y = elapsed / (before + elapsed), -np.log1p(elapsed / before)
    term, total = np.ones(R.shape), np.ones(R.shape)
    slope, total_slope = np.zeros(R.shape), np.zeros(R.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(1, k):
            shape = R + (j - 1.0)
            term *= shape / j * share
            slope += 1.0 / shape
            total += term
            total_slope += term * slope
        log_total, in_R = np.log(total), total_slope / total
    large = ~(np.isfinite(total) & np.isfinite(total_slope))
    if large.any():
        phases, R_large = np.arange(float(k)), R[large][:, None]
        log_terms = gammaln(R_large + phases) - gammaln(R_large) - gammaln(phases + 1.0)
        log_terms += phases * np.log(share[large])[:, None]
        log_total[large] = logsumexp(log_terms, axis=1)
        weight = np.exp(log_terms - log_total[large][:, None])
        in_R[large] = (weight * (digamma(R_large + phases) - digamma(R_large))).sum(axis=1)
    log_few = np.minimum(log_total + R * log_y, 0.0)
    with np.errstate(divide="ignore"):  # no phase falls into a silence of no length
        log_late = k * np.log(share)
    in_before = np.exp(R * log_y + log_late - betaln(R, float(k)) - log_few) / before
    return log_few, in_R + log_y, in_before

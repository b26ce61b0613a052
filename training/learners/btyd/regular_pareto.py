"""Pareto/CNBD-k: an active customer buys at regular gaps, and leaves at any time, unobserved.

Gaps are Erlang(k, rate) as in MBG/CNBD-k (:mod:`stagecast.training.learners.btyd.regular`), with
rates of Gamma(r, alpha) over customers; customers leave at a constant rate of Gamma(s, beta) over
customers, as in Pareto/NBD, whatever they buy. With k = 1 it is Pareto/NBD. Times are in days.

With ``R = r + k x``, the silence ``d = T - t_x`` and S(w) the probability of fewer than k phases in
w days, an active customer has been silent for d with probability S(d). Who left did so w days after
the last purchase, and was silent until then:

    odds of being gone at T = integral over w in (0, d) of
                              s (beta + T)^s (beta + t_x + w)^-(s + 1) S(w) dw / S(d)

The integrals are Gauss-Legendre sums in the log of ``1 + w / (usual gap)``.

Source: the Pareto/GGG model of Platzer and Reutterer (2016), "Ticking Away the Moments", Marketing
Science 35(5), with one k of all customers, by which its integrals over the rates have closed forms.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, logsumexp

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import renewals
from stagecast.training.learners.btyd.regular import Params, log_few_phases

_NODES, _WEIGHTS = (v for v in np.polynomial.legendre.leggauss(48))
_SOME_NODES, _SOME_WEIGHTS = (v for v in np.polynomial.legendre.leggauss(16))
_FEW = tuple(np.polynomial.legendre.leggauss(6))
_FEW_OF_DISCOUNT = tuple(np.polynomial.legendre.leggauss(12))


def log_odds_dead(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of P(inactive at T) / P(active at T), per customer; ``-inf`` where t_x = T."""
    r, alpha, s, beta = params
    _, log_density = _silences(params, k, x, t_x, T)
    # in logs: the chance of having left overflows where a silence is long beyond all gaps
    log_share = logsumexp(log_density + s * np.log1p((T - t_x) / (beta + t_x))[..., None], axis=-1)
    silent = log_few_phases(r + k * x, k, T - t_x, alpha + t_x)
    return np.where((t_x < T) & ~np.isneginf(log_share), log_share - silent, -np.inf)


def log_likelihood(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of the density of the purchase times up to T, per customer, without the gaps' product.

    As in :func:`stagecast.training.learners.btyd.regular.log_likelihood`, the term of the single
    gaps is left out.
    """
    r, alpha, s, beta = params
    R = r + k * x
    buying = gammaln(R) - gammaln(r) - r * np.log1p(t_x / alpha) - k * x * np.log(alpha + t_x)
    silent = log_few_phases(R, k, T - t_x, alpha + t_x) - s * np.log1p(T / beta)
    log_density: Array = buying + silent + np.logaddexp(0.0, log_odds_dead(params, k, x, t_x, T))
    return log_density


def rate_if_left(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Array:
    """E[purchases per day while active | inactive at T], per customer.

    Given that the customer left after a silence of w, in which there were fewer than k phases, the
    mean rate of phases is ``R / (alpha + t_x) S(w; R + 1) / S(w; R)``.
    """
    r, alpha, _, _ = params
    R, before = r + k * x, alpha + t_x
    w, log_density = _silences(params, k, x, t_x, T)
    # in proportion to the density; scaled so that nothing underflows
    top = log_density.max(axis=-1, keepdims=True)
    weight = np.exp(log_density - np.where(np.isfinite(top), top, 0.0))
    longer = log_few_phases(R[..., None] + 1.0, k, w, before[..., None])
    longer = longer - log_few_phases(R[..., None], k, w, before[..., None])
    total = weight.sum(axis=-1)
    share = np.where(
        total > 0, (weight * np.exp(longer)).sum(axis=-1) / np.where(total > 0, total, 1.0), 1.0
    )
    return np.asarray(R / before * share / k)


def none_if_active(params: Params, k: int, days: Array, x: Array, t_x: Array, T: Array) -> Array:
    """P(no purchase within ``days`` after T | active at T), per customer.

    The customer is active and silent to the end, or leaves before the next purchase.
    """
    r, alpha, s, beta = params
    R, before, silence = r + k * x, alpha + t_x, T - t_x
    so_far = log_few_phases(R, k, silence, before)
    silent = log_few_phases(R, k, silence + days, before) - s * np.log1p(days / (beta + T))
    none = np.exp(silent - so_far)
    for node, weight in zip(_SOME_NODES, _SOME_WEIGHTS, strict=True):
        v = days * (1.0 + node) / 2.0
        leaving = np.log(s) - np.log(beta + T) - (s + 1.0) * np.log1p(v / (beta + T))
        left = np.exp(leaving + log_few_phases(R, k, silence + v, before) - so_far)
        none = none + weight * days / 2.0 * left
    return np.asarray(np.minimum(none, 1.0))


def orders_if_active(
    params: Params, k: int, days: Array, x: Array, t_x: Array, T: Array, daily: float = 0.0
) -> Array:
    """E[purchases within ``days`` after T | active at T], per customer.

    By parts: the purchases up to each time of one who stays, times the chance of leaving then. With
    ``daily``, the continuous interest of a day, they are discounted to T.
    """
    _, _, s, beta = params

    def stays(until: Array) -> Array:
        return renewals.orders_if_active(params, k, until, x, t_x, T, stays=True)

    orders = stays(days) * np.exp(-s * np.log1p(days / (beta + T)))
    if daily:
        orders = orders * np.exp(-daily * days)
    for node, weight in zip(*(_FEW_OF_DISCOUNT if daily else _FEW), strict=True):
        v = days * (1.0 + node) / 2.0
        leaving = s / (beta + T) * np.exp(-(s + 1.0) * np.log1p(v / (beta + T)))
        if daily:
            # interest takes orders away as leaving does
            leaving = leaving * (1.0 + daily * (beta + T + v) / s) * np.exp(-daily * v)
        orders = orders + weight * days / 2.0 * leaving * stays(v)
    return np.asarray(orders)


def _silences(params: Params, k: int, x: Array, t_x: Array, T: Array) -> tuple[Array, Array]:
    """Return the nodes of w, and the log of their share of the integral without ``(beta + T)^s``
    and with ``(beta + t_x)^s``, shape (rows, nodes) each.
    """
    r, alpha, s, beta = params
    R, before = r + k * x, alpha + t_x
    w, log_step = silence_nodes(k * before / (R + 1.0), T - t_x)
    start = (beta + t_x)[..., None]
    log_leaving = np.log(s) - np.log(start) - (s + 1.0) * np.log1p(w / start)
    return w, log_step + log_leaving + log_few_phases(R[..., None], k, w, before[..., None])


def silence_nodes(gap_days: Array, silence: Array) -> tuple[Array, Array]:
    """Return the nodes of w and the log of their weights, shape (rows, nodes) each.

    Parameters
    ----------
    gap_days
        Usual gap, shape (rows,).
    silence
        Days from the last purchase to T, shape (rows,).
    """
    half = np.log1p(silence / gap_days)[..., None] / 2.0
    growth = half * (1.0 + _NODES)
    w = gap_days[..., None] * np.expm1(growth)
    with np.errstate(divide="ignore"):
        log_step = np.log(half * _WEIGHTS * gap_days[..., None]) + growth
    return w, log_step


def node_slopes(gap_days: Array, silence: Array) -> tuple[Array, Array]:
    """Return the slopes of :func:`silence_nodes` in the usual gap; 0 where there is no silence."""
    gap, silence = gap_days[..., None], silence[..., None]
    half = np.log1p(silence / gap) / 2.0
    half_slope = -silence / (2.0 * gap * (gap + silence))
    growth, growth_slope = half * (1.0 + _NODES), half_slope * (1.0 + _NODES)
    in_w = np.expm1(growth) + gap * np.exp(growth) * growth_slope
    relative = np.where(half > 0, half_slope / np.where(half > 0, half, 1.0), 0.0)
    return in_w, relative + 1.0 / gap + growth_slope

"""MBG/CNBD-k: an active customer buys at regular gaps, and may leave after each purchase.

Gaps are Erlang(k, rate): each is the sum of k exponential phases, so that k = 1 is MBG/NBD and a
large k a fixed rhythm. Rates are Gamma(r, alpha) over customers; the coin of leaving is tossed at
every purchase, the first included, and is Beta(a, b) over customers. Times are in days.

After x gaps that last t_x days in all, a rate is Gamma(R, alpha + t_x) with ``R = r + k x``. The
customer has been silent for ``d = T - t_x`` days, in which an active customer has completed fewer
than k phases. The number of phases in a time is negative binomial, so that this has the probability
``I_y(R, k)``, the regularised incomplete beta function at ``y = (alpha + t_x) / (alpha + T)``; all
formulas below rest on it. Expected orders are in :mod:`stagecast.training.learners.btyd.renewals`.

Source: Reutterer, Platzer and Schroeder (2021), "Leveraging purchase regularity for predicting
customer behavior the easy way", IJRM 38(1).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

from stagecast.features.arrays import Array

Params = tuple[float, float, float, float]

LARGEST_K = 400


def log_few_phases(R: Array, k: int, elapsed: Array, before: Array) -> Array:
    """Log of P(fewer than k phases in ``elapsed`` days) for rates of Gamma(R, before).

    This is the log of ``I_y(R, k)`` at ``y = before / (before + elapsed)``, written as the finite
    sum of the negative binomial probabilities of 0, ..., k - 1 phases, all of which are positive.

    Parameters
    ----------
    R
        Shape of the rates, above 0.
    k
        Phases of a gap.
    elapsed
        Days, at least 0.
    before
        Inverse scale of the rates in days, above 0.
    """
    R, elapsed, before = np.broadcast_arrays(R, elapsed, before)
    share = elapsed / (before + elapsed)
    term, total = np.ones(R.shape), np.ones(R.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(1, k):
            term *= (R + (j - 1.0)) / j * share
            total += term
        log_total = np.asarray(np.log(total))  # of one customer it would be no array
    large = ~np.isfinite(total)
    if large.any():
        phases = np.arange(float(k))
        R_large, share_large = R[large][:, None], share[large][:, None]
        log_terms = gammaln(R_large + phases) - gammaln(R_large) - gammaln(phases + 1.0)
        log_total[large] = logsumexp(log_terms + phases * np.log(share_large), axis=1)
    return np.asarray(np.minimum(log_total - R * np.log1p(elapsed / before), 0.0))


def log_odds_dead(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of P(inactive at T) / P(active at T), per customer.

    The coin after the last purchase came up with odds ``a / (b + x)``; an active customer has also
    been silent since. Source: Reutterer et al. (2021), appendix, P(alive).
    """
    r, alpha, a, b = params
    silent = log_few_phases(r + k * x, k, T - t_x, alpha + t_x)
    odds: Array = np.log(a) - np.log(b + x) - silent
    return odds


def log_likelihood(params: Params, k: int, x: Array, t_x: Array, T: Array) -> Array:
    """Log of the density of the purchase times up to T, per customer, without the gaps' product.

    The term of the single gaps, ``(k - 1) sum(log gap) - x log Gamma(k)``, holds no parameter but
    k; :func:`log_gap_term` gives it. Source: Reutterer et al. (2021), appendix, likelihood.
    """
    r, alpha, a, b = params
    R = r + k * x
    buying = gammaln(R) - gammaln(r) - r * np.log1p(t_x / alpha) - k * x * np.log(alpha + t_x)
    leaving = betaln(a + 1.0, b + x) - betaln(a, b)
    odds = log_odds_dead(params, k, x, t_x, T)
    log_density: Array = buying + leaving + np.logaddexp(0.0, -odds)
    return log_density


def log_gap_term(k: int, x: Array, log_gaps: Array) -> Array:
    """Log of the product of ``gap^(k - 1) / Gamma(k)`` over the x gaps of each customer.

    Parameters
    ----------
    k
        Phases of a gap.
    x
        Number of gaps.
    log_gaps
        Sum of the logs of the gaps in days.
    """
    term: Array = (k - 1.0) * log_gaps - x * gammaln(float(k))
    return term


def none_if_active(params: Params, k: int, days: Array, x: Array, t_x: Array, T: Array) -> Array:
    """P(no purchase within ``days`` after T | active at T), per customer.

    Silent for ``d + days``, given a silence of ``d``.
    """
    r, alpha, _, _ = params
    R, before = r + k * x, alpha + t_x
    longer = log_few_phases(R, k, T - t_x + days, before)
    return np.asarray(np.exp(np.minimum(longer - log_few_phases(R, k, T - t_x, before), 0.0)))

"""Fitting of :class:`stagecast.training.learners.regularities.RegularityBase`.

The rhythms are of the kind that the customer base prefers: customers leave at an order (MBG/CNBD-k)
or at any time (Pareto/CNBD-k). They share the parameters of rates and leaving, in orders and not in
phases, and differ in k alone. The rates are those of the customer base. Leaving is fitted again,
since the silence of a regular customer tells more of it; this and the shares are the likeliest
ones, by expectation and maximisation. Rates that were fitted, too, foretold no purchase worse.

The likelihood that decides whether they are used takes the digamma function of a gap for its log,
for which whole days make no short gap regular (:mod:`stagecast.training.learners.btyd.gaps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model, regular
from stagecast.training.learners.btyd.densities import log_likelihood
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.rhythm import LEAST_GAIN, LEAST_Z, vuong_statistic
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.regularities import (
    GAP_LOGS,
    RegularityBase,
    group_of,
    regularity_chances,
)

History = tuple[Array, Array, Array]

REGULARITIES: Final = (1, 2, 4, 8, 16)
NAMES: Final = ("mbg_nbd", "pareto_nbd")
SAMPLE_CUSTOMERS: Final = {"mbg_nbd": 2_000, "pareto_nbd": 700}
"""About how many customers the rhythms are fitted on, the slower ones on fewer."""
HALF_GAIN: Final = 0.8
"""Gain in log-likelihood per repeat buyer with which the rhythms weigh half.

Where it is 4 or more, as in wholesale, P(no purchase) was best by the rhythms alone; on an online
grocer, where it is 1, with half of either; at .15, as in a gift shop, hardly any weight helped.
"""
LEAST_WEIGHT: Final = 0.25
"""A smaller weight of the rhythms is not worth models for each group."""
RHYTHMS_OF_GROUP: Final = 3
"""Rhythms that a group is asked of, the likeliest ones."""
PRIOR_CUSTOMERS: Final = 0.3
"""As if of so many customers more each regularity were that of."""
_ROUNDS, _STEPS, _STEPS_OF_SHARES = 3, 6, 30
_CLOSE, _FURTHEST, _LEAST_CUSTOMERS = 0.1, 1.5, 1e-6


def with_regularities(
    base: CustomerBase, features: Mapping[str, Array], gaps: LogGaps
) -> CustomerBase:
    """Return the customer base with a regularity of each customer; as it is where these say little.

    Parameters
    ----------
    base
        The customer base of one date, without plans or dates of payments. Where all gaps are of
        one regularity that is above 1 it stays as it is: in weekly boxes, some of which are left
        out, a regularity of each foretold no purchase worse (log loss 0 to 2.5 %).
    features
        ``frequency``, ``t_x_days`` and ``T_days`` of its buyers, shape (n_buyers,) each.
    gaps
        Sums over the gaps of each.
    """
    is_plan = base.has_dates or base.due is not None or base.regular_model is not None
    if is_plan or base.reads or not {model.name for model in base.models} <= set(NAMES):
        return base
    _, likeliest = max(zip(base.weights, base.models, strict=True), key=lambda pair: pair[0])
    if likeliest.regularity > 1:
        return base
    name = likeliest.name
    customers = len(features["frequency"])
    rows = slice(None, None, max(1, -(-customers // SAMPLE_CUSTOMERS[name])))
    x, t_x, T = (features[name][rows] for name in HISTORY)
    history = x, t_x, T
    sample = gaps.of_rows(rows)
    orders = np.log(likeliest.params)
    equal = np.full(len(REGULARITIES), 1.0 / len(REGULARITIES))
    shares = _shares(_densities(name, orders, history, sample.log), equal)
    # a quick look before the fit: random gaps gain nothing by any shares
    if _gain(base, name, orders, shares, history, sample).sum() <= 0.0:
        return base
    orders, shares = _fitted(name, orders, shares, history, sample.log)
    gain = _gain(base, name, orders, shares, history, sample)
    repeaters = max(1, int((x > 0).sum()))
    of_repeater = max(0.0, float(gain.sum())) / repeaters
    weight = of_repeater / (of_repeater + HALF_GAIN)
    if gain.sum() <= LEAST_GAIN or vuong_statistic(gain) <= LEAST_Z or weight < LEAST_WEIGHT:
        return base
    return _base(base, name, orders, shares, weight, history, sample.log)


def _base(
    base: CustomerBase,
    name: str,
    orders: Array,
    shares: Array,
    weight: float,
    history: History,
    log_gaps: Array,
) -> RegularityBase:
    """Return the customer base whose rhythms have that weight in each group."""
    r, alpha, *leaving = np.exp(orders).tolist()
    customers = len(history[0])
    rhythms = tuple(
        Model(name, (r, alpha / k, *leaving), 0.0, customers, regularity=k) for k in REGULARITIES
    )
    of_rhythms = tuple(shares.tolist())
    features = {**dict(zip(HISTORY, history, strict=True)), GAP_LOGS: log_gaps}
    chances = regularity_chances(rhythms, of_rhythms, features)
    group = group_of(chances)
    of_all = [(1.0 - weight) * share for share in base.weights]
    groups = []
    for k in range(len(rhythms)):
        own = np.eye(len(rhythms))[k] + chances[:, group == k].sum(axis=1)
        own = np.maximum(own, _LEAST_CUSTOMERS)  # also where the chance of a rhythm underflows
        own[np.argsort(-own, kind="stable")[RHYTHMS_OF_GROUP:]] = 0.0
        own = weight * own / own.sum()
        groups.append((*own.tolist(), *of_all))
    return RegularityBase(
        base.models,
        base.spend,
        base.weights,
        rhythms=rhythms,
        shares=of_rhythms,
        groups=tuple(groups),
    )


def _densities(name: str, orders: Array, history: History, log_gaps: Array) -> Array:
    """Return the log-likelihood of each customer by each regularity, (regularities, customers)."""
    r, alpha, *leaving = np.exp(orders).tolist()
    x, t_x, T = history
    result = []
    for k in REGULARITIES:
        density = log_likelihood(name, (r, alpha / k, *leaving), k, x, t_x, T)
        result.append(density if k == 1 else density + regular.log_gap_term(k, x, log_gaps))
    return np.array(result)


def _shares(densities: Array, shares: Array) -> Array:
    """Return the likeliest shares of the regularities, by expectation and maximisation."""
    for _ in range(_STEPS_OF_SHARES):
        logs = densities + np.log(shares)[:, None]
        counts = np.exp(logs - logsumexp(logs, axis=0)).sum(axis=1) + PRIOR_CUSTOMERS
        shares = counts / counts.sum()
    return shares


def _fitted(
    name: str, orders: Array, shares: Array, history: History, log_gaps: Array
) -> tuple[Array, Array]:
    """Return the parameters, in logs, with the likeliest ones of leaving, and the shares."""
    rate, leaving = orders[:2], orders[2:]
    for _ in range(_ROUNDS):
        densities = _densities(name, np.r_[rate, leaving], history, log_gaps)
        shares = _shares(densities, shares)
        log_shares = np.log(shares)[:, None]

        def loss(theta: Array, log_shares: Array = log_shares) -> float:
            logs = _densities(name, np.r_[rate, theta], history, log_gaps) + log_shares
            return -float(logsumexp(logs, axis=0).sum())

        before = -float(logsumexp(densities + log_shares, axis=0).sum())
        bounds = [(value - _FURTHEST, value + _FURTHEST) for value in leaving]
        found = minimize(
            loss, leaving, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}
        )
        leaving = found.x
        if before - found.fun < _CLOSE:
            break
    orders = np.r_[rate, leaving]
    return orders, _shares(_densities(name, orders, history, log_gaps), shares)


def _gain(
    base: CustomerBase,
    name: str,
    orders: Array,
    shares: Array,
    history: History,
    gaps: LogGaps,
) -> Array:
    """Return the log-likelihood of each customer, less that by the best model of all, (rows,)."""
    of_all = [model.log_likelihood_of(*history, gaps.digamma) for model in base.models]
    best = max(of_all, key=lambda likelihood: float(likelihood.sum()))
    logs = _densities(name, orders, history, gaps.digamma) + np.log(shares)[:, None]
    return np.asarray(logsumexp(logs, axis=0) - best)

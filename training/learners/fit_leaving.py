"""Fitting of :class:`stagecast.training.learners.leaving.Leaving`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.special import softmax

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.fit_seasonal_pareto import fit_seasonal_pareto
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.repeated import fit
from stagecast.training.learners.btyd.rhythm import choose_regularity
from stagecast.training.learners.btyd.seasonal_pareto import Histories
from stagecast.training.learners.customer_base import HISTORY, MODELS, CustomerBase
from stagecast.training.learners.leaving import LEAST_WEIGHT, Leaving
from stagecast.training.learners.pace_of_log import Pace

MAX_CUSTOMERS: Final = 5_000
"""About how many customers the models of leaving are fitted on."""
SEASON_CUSTOMERS: Final = 2_000
"""The same for the model of a season, whose likelihood is a sum over the days of a silence."""
LEAST_REGULARITY: Final = 2


def fit_leaving(
    base: CustomerBase,
    features: Mapping[str, Array],
    gaps: LogGaps | None,
    season: Pace | None = None,
) -> Leaving | None:
    """Return the models of leaving; None where the customer base has no two models to weigh.

    None, too, where it knows the dates of payments, or has plans: who pays on dates leaves on one.

    Parameters
    ----------
    base
        The customer base of these customers.
    features
        ``frequency``, ``t_x_days``, ``T_days`` and ``first_day`` of the buyers, shape (n_buyers,)
        each.
    gaps
        Sums over the gaps of each; None where they are not known.
    season
        The season of the purchases, or the pace of a young log with a peak; where gaps are random,
        the models are fitted in its time. None or an even one: time runs evenly.
    """
    if tuple(model.name for model in base.models) != MODELS or base.has_dates or base.reads:
        return None
    rows = slice(None, None, max(1, -(-len(features["frequency"]) // MAX_CUSTOMERS)))
    sample = {name: features[name][rows] for name in (*HISTORY, "first_day")}
    history = sample["frequency"], sample["t_x_days"], sample["T_days"]
    sample_gaps = None if gaps is None else gaps.of_rows(rows)
    try:
        models = base.models if sample_gaps is None else _models(base, history, sample_gaps)
    except FitError:
        models = base.models
    log_gaps = None if sample_gaps is None else sample_gaps.log
    if log_gaps is None and any(model.regularity > 1 for model in models):
        return None  # their densities cannot be compared
    totals = [model.log_likelihood_of(*history, log_gaps).sum() for model in models]
    posterior = softmax(np.array(totals))
    if models is base.models:
        gone_weights = _gone_weights(models, posterior, sample)
        if season is None or season.is_even:
            return Leaving(gone_weights)
        return _with_season(Leaving(gone_weights), base, sample, season)
    likely_models, weights = _likely(models, posterior)
    return Leaving(
        _gone_weights(likely_models, weights, sample), likely_models, tuple(map(float, weights))
    )


def _likely(models: Sequence[Model], posterior: Array) -> tuple[tuple[Model, ...], Array]:
    """Return the models of at least ``LEAST_WEIGHT``, and their weights, which add up to 1."""
    likely = [k for k, p in enumerate(posterior) if p >= LEAST_WEIGHT]
    return tuple(models[k] for k in likely), posterior[likely] / posterior[likely].sum()


def _with_season(
    even: Leaving, base: CustomerBase, features: Mapping[str, Array], season: Pace
) -> Leaving:
    """Return the leaving by a model of the season; as it is where one leaves at a purchase."""
    rows = slice(None, None, max(1, -(-len(features["frequency"]) // SEASON_CUSTOMERS)))
    x, t_x, T, first = (features[name][rows] for name in (*HISTORY, "first_day"))
    at_purchase, any_time = base.models
    past = Histories.of(x, t_x, T, float(first[0] + T[0]), season)
    try:
        seasonal, likelihood = fit_seasonal_pareto(past, season, any_time.params)
        start = season.time_at(first)
        history = x, season.time_at(first + t_x) - start, past.age
        other = fit(at_purchase.name, *history, start=at_purchase)
    except FitError:
        return even
    if float(other.log_likelihood_of(*history).sum()) > likelihood:
        return even
    return replace(even, seasonal=seasonal)


def _models(
    base: CustomerBase, history: tuple[Array, Array, Array], gaps: LogGaps
) -> tuple[Model, ...]:
    """Return both models with regular gaps; those of the customer base where gaps are random."""
    at_purchase, any_time = base.models
    if at_purchase.regularity > 1:
        k = at_purchase.regularity
    else:
        chosen = choose_regularity(at_purchase, *history, gaps, least=LEAST_REGULARITY)
        k = chosen.regularity
        if k == 1:
            return base.models
        at_purchase = fit("mbg_nbd", *history, start=chosen, regularity=k)
    return at_purchase, fit("pareto_nbd", *history, start=any_time, regularity=k)


def _gone_weights(
    models: Sequence[Model], posterior: Array, features: Mapping[str, Array]
) -> tuple[float, ...]:
    """Return the weights with the least expected square of the relative error of what is gone."""
    alone = CustomerBase(tuple(models), None)
    alive = alone.p_alive_by_model(features)
    regained = alone.regained_by_model(YEAR_DAYS, features, 0.0)
    totals = np.array(
        [float(((1.0 - p) * orders).sum()) for p, orders in zip(alive, regained, strict=True)]
    )
    if not (totals > 0).all():
        return tuple(map(float, posterior))
    shares = posterior / totals**2
    return tuple(map(float, shares / shares.sum()))

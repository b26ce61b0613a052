"""Fitting of :class:`stagecast.training.learners.btyd.seasonal_pareto.SeasonalPareto`."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.seasonal_pareto import Histories, SeasonalPareto
from stagecast.training.learners.pace_of_log import Pace

MOST_ITERATIONS: Final = 100
_SHAPE, _DAYS = (-6.0, 6.0), (-3.0, 14.0)  # bounds of logs
_WORST: Final = 1e9


def fit_seasonal_pareto(
    past: Histories, season: Pace, start: tuple[float, ...]
) -> tuple[SeasonalPareto, float]:
    """Fit the model by maximum likelihood; also return the log-likelihood. Deterministic.

    Parameters
    ----------
    past
        Histories of buyers in the time of the season.
    season
        The season.
    start
        ``r, alpha, s, beta`` of a Pareto/NBD without a season, from which the search begins.

    Raises
    ------
    FitError
        The likelihood is no number at the start, or the search does not improve on it.
    """

    def at(logs: Array) -> SeasonalPareto:
        r, alpha, s, beta = map(float, np.exp(logs))
        return SeasonalPareto((r, alpha, s, beta), season)

    def loss(logs: Array) -> float:
        with np.errstate(all="ignore"):
            mean = float(at(logs).log_likelihood(past).mean())
        return -mean if np.isfinite(mean) else _WORST

    bounds = (_SHAPE, _DAYS, _SHAPE, _DAYS)
    least, most = np.array(bounds).T
    first = np.clip(np.log(start), least, most)
    best = minimize(
        loss, first, method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_ITERATIONS}
    )
    if not (best.fun < _WORST and best.fun <= loss(first)):
        raise FitError("the customers are too few, or too similar, for a model of their season")
    return at(best.x), -float(best.fun) * len(past.x)

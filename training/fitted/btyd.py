"""The customer-base models of a training by name, as models that stand alone.

training -> log_covariances -> bundle -> btyd_models -> standard errors of ``summary``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.customer_base.uncertainty import covariance_of_logs
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.btyd.gammagamma import log_density
from stagecast.training.learners.btyd.stored import Covariances
from stagecast.training.learners.fit_customer_base import without_outliers

if TYPE_CHECKING:
    from stagecast.features.snapshots import Snapshot
    from stagecast.training.customer_base import GammaGamma
    from stagecast.training.customer_base.purchase_model import PurchaseModel
    from stagecast.training.learners.btyd import GammaGamma as SpendModel
    from stagecast.training.learners.btyd import Model
    from stagecast.training.learners.customer_base import CustomerBase

_NO_HISTORIES = (10, 365.0)
"""Largest frequency, and days, that charts draw where the histories of the fit are not known."""
MAX_ROWS = 20_000
"""Of more customers, covariances are computed from so many, each of whom stands for several."""
_DIGITS = 9
_HISTORY = ("frequency", "t_x_days", "T_days", "monetary")


def btyd_models(
    base: CustomerBase | None,
    features: Mapping[str, Array] | None = None,
    covariances: Covariances | None = None,
) -> Mapping[str, PurchaseModel | GammaGamma]:
    """Return the models of purchases by their names, and ``gamma_gamma`` where one was fitted.

    Parameters
    ----------
    base
        The fitted models.
    features
        As :func:`histories_of` returns them; None: not known.
    covariances
        As :func:`log_covariances` returns them. None: standard errors are not known, and NaN.
    """
    if base is None:
        return MappingProxyType({})
    histories = None if features is None else _histories(features)
    models: dict[str, PurchaseModel | GammaGamma] = {
        model.name: _purchases(model, histories) for model in base.models
    }
    if base.spend is not None:
        models["gamma_gamma"] = _spend(base.spend, histories)
    for name, alone in models.items():
        matrix, size = (covariances or {}).get(name), len(alone.params_)
        alone.log_covariance_ = np.full((size, size), np.nan) if matrix is None else matrix.copy()
    return MappingProxyType(models)


def histories_of(now: Snapshot) -> dict[str, Array]:
    """Return the features of the buyers of a snapshot that the models are fitted on."""
    return {name: now.features[name][now.buyers] for name in _HISTORY}


def log_covariances(base: CustomerBase | None, features: Mapping[str, Array]) -> Covariances:
    """Return the covariance of the logs of the parameters of each model, by its name.

    Parameters
    ----------
    base
        The fitted models.
    features
        As :func:`histories_of` returns them.

    Returns
    -------
    mapping
        Name -> matrix, shape (n_parameters, n_parameters), to nine digits; None where the data do
        not determine a parameter.
    """
    if base is None:
        return {}
    x, t_x, T, monetary = _histories(features)
    step = max(1, -(-len(x) // MAX_ROWS))
    x, t_x, T, monetary = (values[::step] for values in (x, t_x, T, monetary))
    matrices = {
        model.name: covariance_of_logs(
            partial(_log_likelihood, model, x, t_x, T),
            np.array(model.params),
            np.full(len(x), float(step)),
        )
        for model in base.models
    }
    if base.spend is not None:
        repeaters = (x > 0) & (monetary > 0)
        orders, spend = x[repeaters], without_outliers(monetary[repeaters])
        matrices["gamma_gamma"] = covariance_of_logs(
            lambda v: log_density(float(v[0]), float(v[1]), float(v[2]), orders, spend),
            np.array([base.spend.p, base.spend.q, base.spend.v]),
            np.full(len(orders), float(step)),
        )
    return {
        name: None if np.isnan(matrix).any() else _rounded(matrix)
        for name, matrix in matrices.items()
    }


def _log_likelihood(model: Model, x: Array, t_x: Array, T: Array, params: Array) -> Array:
    return replace(model, params=tuple(params.tolist())).log_likelihood_of(x, t_x, T)


def _rounded(matrix: Array) -> Array:
    # so that a bundle is the same where only the last bits differ
    return np.array([[float(f"{cell:.{_DIGITS}g}") for cell in row] for row in matrix.tolist()])


def _histories(features: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return frequency, recency, T (days) and mean spend of the customers of the fit."""
    from stagecast.training.fit_bases import MAX_CUSTOMERS

    step = max(1, -(-len(features["frequency"]) // MAX_CUSTOMERS))
    x, t_x, T, monetary = (features[name][::step] for name in _HISTORY)
    return x, t_x, T, np.nan_to_num(monetary, nan=0.0)


def _purchases(model: Model, histories: tuple[Array, Array, Array, Array] | None) -> PurchaseModel:
    from stagecast.training.customer_base import ModifiedBetaGeo, ParetoNBD

    alone = ParetoNBD() if model.name == "pareto_nbd" else ModifiedBetaGeo()
    if isinstance(alone, ModifiedBetaGeo):
        alone.regularity = model.regularity
    if isinstance(model, DatedModel):
        model = model.of_phases  # dates are the log's, and not the model's of the publication
    if histories is None:
        alone._take(model, 1.0, _NO_HISTORIES, float("nan"))
        return alone
    x, _, T, _ = histories
    alone._take(model, 1.0, (int(x.max(initial=0)), float(T.max(initial=0.0))), float(x.sum()))
    return alone


def _spend(model: SpendModel, histories: tuple[Array, Array, Array, Array] | None) -> GammaGamma:
    from stagecast.training.customer_base import GammaGamma
    from stagecast.training.customer_base.spend import _correlation

    alone = GammaGamma()
    if histories is None:
        alone._take(model, float("nan"))
        return alone
    frequency, _, _, monetary = histories
    repeaters = (frequency > 0) & (monetary > 0)
    x, spend = frequency[repeaters], without_outliers(monetary[repeaters])
    alone._take(model, _correlation(x, spend, np.ones(len(x))))
    return alone

"""The customer-base models of a training by name, as models that stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from stagecast.features.arrays import Array

if TYPE_CHECKING:
    from stagecast.training.customer_base import GammaGamma
    from stagecast.training.customer_base.purchase_model import PurchaseModel
    from stagecast.training.learners.btyd import GammaGamma as SpendModel
    from stagecast.training.learners.btyd import Model
    from stagecast.training.learners.customer_base import CustomerBase

_NO_HISTORIES = (10, 365.0)
"""Largest frequency, and days, that charts draw where the histories of the fit are not known."""


def btyd_models(
    base: CustomerBase | None, features: Mapping[str, Array] | None = None
) -> Mapping[str, PurchaseModel | GammaGamma]:
    """Return the models of purchases by their names, and ``gamma_gamma`` where one was fitted.

    Parameters
    ----------
    base
        The fitted models.
    features
        Features of the buyers that they were fitted on, shape (n_buyers,) each. None: standard
        errors are not known, and NaN.
    """
    if base is None:
        return MappingProxyType({})
    histories = None if features is None else _histories(features)
    models: dict[str, PurchaseModel | GammaGamma] = {
        model.name: _purchases(model, histories) for model in base.models
    }
    if base.spend is not None:
        models["gamma_gamma"] = _spend(base.spend, histories)
    return MappingProxyType(models)


def _histories(features: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return frequency, recency, T (days) and mean spend of the customers of the fit."""
    from stagecast.training.panel import MAX_CUSTOMERS

    step = max(1, -(-len(features["frequency"]) // MAX_CUSTOMERS))
    x, t_x, T, monetary = (
        features[name][::step] for name in ("frequency", "t_x_days", "T_days", "monetary")
    )
    return x, t_x, T, np.nan_to_num(monetary, nan=0.0)


def _purchases(model: Model, histories: tuple[Array, Array, Array, Array] | None) -> PurchaseModel:
    from stagecast.training.customer_base import ModifiedBetaGeo, ParetoNBD
    from stagecast.training.customer_base.uncertainty import covariance_of_logs
    from stagecast.training.learners.btyd import Model

    alone = ParetoNBD() if model.name == "pareto_nbd" else ModifiedBetaGeo()
    if isinstance(alone, ModifiedBetaGeo):
        alone.regularity = model.regularity
    if histories is None:
        alone._take(model, 1.0, _NO_HISTORIES, float("nan"))
        alone.log_covariance_ = np.full((len(model.params), len(model.params)), np.nan)
        return alone
    x, t_x, T, _ = histories
    alone._take(model, 1.0, (int(x.max(initial=0)), float(T.max(initial=0.0))), float(x.sum()))
    alone.log_covariance_ = covariance_of_logs(
        lambda params: Model(
            model.name, tuple(params.tolist()), 0.0, 1, model.regularity
        ).log_likelihood_of(x, t_x, T),
        np.array(model.params),
        np.ones(len(x)),
        "hessian",
    )
    return alone


def _spend(model: SpendModel, histories: tuple[Array, Array, Array, Array] | None) -> GammaGamma:
    from stagecast.training.customer_base import GammaGamma
    from stagecast.training.customer_base.spend import _correlation
    from stagecast.training.customer_base.uncertainty import covariance_of_logs
    from stagecast.training.learners.btyd.gammagamma import log_density
    from stagecast.training.learners.customer_base import without_outliers

    alone = GammaGamma()
    if histories is None:
        alone._take(model, float("nan"))
        alone.log_covariance_ = np.full((3, 3), np.nan)
        return alone
    frequency, _, _, monetary = histories
    repeaters = (frequency > 0) & (monetary > 0)
    x, spend = frequency[repeaters], without_outliers(monetary[repeaters])
    weight = np.ones(len(x))
    alone._take(model, _correlation(x, spend, weight))
    alone.log_covariance_ = covariance_of_logs(
        lambda v: log_density(float(v[0]), float(v[1]), float(v[2]), x, spend),
        np.array([model.p, model.q, model.v]),
        weight,
        "hessian",
    )
    return alone

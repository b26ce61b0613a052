"""Baselines of buyers to beat, fitted on the same past as the blend.

A baseline that learns from outcomes uses those of the newest past date: features of one horizon
ago, and who has bought since. The customer-base models are fitted on the whole history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.columns import buyer_columns
from stagecast.training.inactivity.recipes import RFM
from stagecast.training.learners import boosting, glm
from stagecast.training.learners.btyd.fit import FitError, fit
from stagecast.training.learners.design import Recipe
from stagecast.training.panel import Frame, Panel

LABELS = {
    "recency": "recency rule",
    "bg_nbd": "BG/NBD (lifetimes)",
    "mbg_nbd": "MBG/NBD (lifetimes)",
    "pareto_nbd": "Pareto/NBD (lifetimes)",
    "rfm_logistic": "logistic regression on RFM",
    "lightgbm": "LightGBM with its defaults",
    "lightgbm_small": "LightGBM, regularised",
    "share": "share that bought nothing before",
}
SPEND_LABELS = {
    "btyd": "customer base x Gamma-Gamma",
    "past_rate": "spend so far, carried on",
    "lightgbm": "LightGBM with its defaults",
    "lightgbm_small": "LightGBM, regularised",
}
# The fast ones, which every training is compared with.
QUICK = ("recency", "bg_nbd", "rfm_logistic", "share")
CUSTOMER_BASE = ("bg_nbd", "mbg_nbd", "pareto_nbd")
RECENCY_GROUPS = 10
WINDOWS = (
    *(
        "recency_days",
        "frequency",
        "T_days",
        "spend_mean",
        "orders_30d",
        "orders_90d",
        "orders_180d",
        "orders_365d",
    ),
    *("spend_90d", "spend_365d", "activity_30d", "activity_90d"),
)
# LightGBM's own defaults, and usual settings for a few thousand customers.
DEFAULTS: Mapping[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "lambda_l2": 0.0,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "max_bin": 255,
    "min_data_in_leaf": 20,
}
SMALL: Mapping[str, Any] = {
    **DEFAULTS,
    "learning_rate": 0.03,
    "num_leaves": 7,
    "lambda_l2": 10.0,
    "min_data_in_leaf": 50,
}
ENSEMBLES: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "lightgbm": (100, DEFAULTS),
    "lightgbm_small": (150, SMALL),
}


def fit_and_predict(
    panel: Panel,
    horizon_days: int,
    names: Sequence[str] = QUICK,
    seed: int = 0,
    share: float = 0.5,
) -> dict[str, Array]:
    """Return each baseline's P(no purchase in the horizon) for the buyers of the panel's as_of.

    A baseline that cannot be fitted, since there are too few repeat buyers or no past date, is left
    out. The share never is.

    Parameters
    ----------
    names
        Keys of :data:`LABELS`.
    share
        Share that buys nothing, where there is no past date to count it on.
    """
    now = _now(panel, horizon_days)
    newest = _newest(panel, horizon_days)
    predictions: dict[str, Array] = {}
    for name in names:
        if name in CUSTOMER_BASE:
            try:
                model = fit(name, now["frequency"], now["t_x_days"], now["T_days"])
            except FitError:
                continue  # too few repeat buyers; the report shows the others
            predictions[name] = model.p_none(
                horizon_days, now["frequency"], now["t_x_days"], now["T_days"]
            )
        elif name == "share":
            predictions[name] = _shares(panel, newest, share)
        elif newest is not None:
            past, target = newest.columns, newest.inactive
            if name == "recency":
                predictions[name] = _recency_rule(past["recency_days"], target, now["recency_days"])
            elif name == "rfm_logistic":
                recipe = Recipe(
                    {
                        column: transform
                        for column, transform in RFM.columns.items()
                        if _varies(past, column)
                    }
                )
                predictions[name] = glm.fit_logistic(
                    recipe, past, target, np.ones(len(target))
                ).probability(now)
            elif target.any() and not target.all():
                raw = _boosted(name, past, target.astype(np.float64), "binary", seed, now)
                predictions[name] = 1.0 / (1.0 + np.exp(-raw))
    return predictions


def fit_and_predict_spend(panel: Panel, horizon_days: int, seed: int = 0) -> dict[str, Array]:
    """Return each baseline's spend in the horizon for the buyers of the panel's as_of.

    ``btyd`` is the customer base of the panel times Gamma-Gamma. A baseline that cannot be fitted
    is left out.
    """
    now = _now(panel, horizon_days)
    predictions: dict[str, Array] = {}
    per_order = None if panel.base is None else panel.base.spend_per_order(now)
    if panel.base is not None and per_order is not None:
        predictions["btyd"] = panel.base.columns(now, horizon_days)["btyd_orders"] * per_order
    # at least a day, since a customer who bought first today has no rate yet
    predictions["past_rate"] = now["spend"] / np.maximum(now["T_days"], 1.0) * horizon_days
    newest = _newest(panel, horizon_days)
    if newest is not None and float(np.ptp(newest.spend)) > 0:
        for name in ENSEMBLES:
            raw = _boosted(name, newest.columns, newest.spend, "regression", seed, now)
            predictions[name] = np.maximum(raw, 0.0)
    return predictions


def _now(panel: Panel, horizon_days: int) -> dict[str, Array]:
    return buyer_columns(panel.now.features, np.flatnonzero(panel.now.buyers), None, horizon_days)


def _newest(panel: Panel, horizon_days: int) -> Frame | None:
    return panel.dates[0] if panel.dates and panel.dates[0].back == horizon_days else None


def _boosted(
    name: str,
    past: Mapping[str, Array],
    target: Array,
    objective: str,
    seed: int,
    now: Mapping[str, Array],
) -> Array:
    trees, settings = ENSEMBLES[name]
    columns = [column for column in WINDOWS if column in past and column in now]
    weight = np.ones(len(target))
    model = boosting.fit(
        past, columns, target, weight, objective, trees=trees, seed=seed, **settings
    )
    return model.raw(now)


def _shares(panel: Panel, newest: Frame | None, share: float) -> Array:
    """Return the share that bought nothing, of the active and of the lapsed, shape (n_buyers,)."""
    stage = panel.now.stage[panel.now.buyers]
    if newest is None:
        return np.full(len(stage), share)
    active = np.array([stage.state == "active" for stage in panel.scheme.stages])
    shares = [
        (float(newest.inactive[rows].sum()) + 0.5) / (float(rows.sum()) + 1.0)
        for rows in (~active[newest.stage], active[newest.stage])
    ]
    return np.where(active[stage], shares[1], shares[0])


def _varies(columns: Mapping[str, Array], name: str) -> bool:
    return float(np.nanmax(columns[name]) - np.nanmin(columns[name])) > 0


def _recency_rule(past: Array, inactive: NDArray[np.bool_], now: Array) -> Array:
    """Return the share that bought nothing in the horizon, by tenths of days since a purchase."""
    cuts = np.unique(np.quantile(past, np.linspace(0, 1, RECENCY_GROUPS + 1)[1:-1]))
    group = np.searchsorted(cuts, past)
    count = np.bincount(group, minlength=len(cuts) + 1)
    left = np.bincount(group, weights=inactive, minlength=len(cuts) + 1)
    return np.asarray(((left + 0.5) / (count + 1.0))[np.searchsorted(cuts, now)])

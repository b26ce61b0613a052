"""Baselines of buyers to beat, fitted on the same past as the blend.

LightGBM and one of the two regressions learn from the outcomes of all past dates that the blend
learns from, stacked. The recency rule, the other regression and the share of the shop are those of
the newest date, as a person would carry them forward: where a season has just passed they are the
better ones. The customer-base models are fitted on the whole history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.columns import buyer_columns
from stagecast.training.inactivity.recipes import RFM
from stagecast.training.learners import boosting, glm
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.repeated import fit
from stagecast.training.learners.customer_base import log_odds
from stagecast.training.learners.design import Recipe
from stagecast.training.panel import Frame, Panel, stack, thinned

LABELS = {
    "recency": "recency rule",
    "bg_nbd": "BG/NBD (lifetimes)",
    "mbg_nbd": "MBG/NBD (lifetimes)",
    "pareto_nbd": "Pareto/NBD (lifetimes)",
    "rfm_logistic": "logistic regression on RFM",
    "rfm_stacked": "logistic regression on RFM, all past dates",
    "lightgbm": "LightGBM with its defaults",
    "lightgbm_small": "LightGBM, regularised",
    "average": "LightGBM, regularised, and logistic regression on RFM, all past dates, averaged",
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
NEWEST = ("recency", "rfm_logistic")
"""Baselines that learn from the newest date alone."""
RECENCY_GROUPS = 10
# About how many rows of all past dates are learned from: as many as by the blend.
MAX_ROWS = 400_000
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


@dataclass(frozen=True)
class _Past:
    """Past dates, stacked: columns, and what came after."""

    columns: Mapping[str, Array]
    inactive: NDArray[np.bool_]
    spend: Array


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
    past = None if newest is None else _stacked(panel)
    last = None if newest is None else _Past(newest.columns, newest.inactive, newest.spend)
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
        elif past is not None and last is not None:
            known = last if name in NEWEST else past
            p = _learned(name, known, now, seed, predictions)
            if p is not None:
                predictions[name] = p
    return predictions


def _learned(
    name: str,
    past: _Past,
    now: Mapping[str, Array],
    seed: int,
    others: Mapping[str, Array],
) -> Array | None:
    """Return P(no purchase) by a baseline that learns from outcomes; None without both of them.

    Parameters
    ----------
    others
        Predictions that were made before, of which the average takes its two.
    """
    target = past.inactive
    if name == "recency":
        return _recency_rule(past.columns["recency_days"], target, now["recency_days"])
    if name in ("rfm_logistic", "rfm_stacked"):
        return _regression(past, now)
    if not target.any() or target.all():
        return None
    if name == "average":
        parts = [
            others[part] if part in others else _learned(part, past, now, seed, others)
            for part in ("lightgbm_small", "rfm_stacked")
        ]
        return np.asarray(expit(np.mean([log_odds(p) for p in parts if p is not None], axis=0)))
    raw = _boosted(name, past.columns, target.astype(np.float64), "binary", seed, now)
    return np.asarray(expit(raw))


def _regression(past: _Past, now: Mapping[str, Array]) -> Array:
    recipe = Recipe(
        {
            column: transform
            for column, transform in RFM.columns.items()
            if _varies(past.columns, column)
        }
    )
    weight = np.ones(len(past.inactive))
    return glm.fit_logistic(recipe, past.columns, past.inactive, weight).probability(now)


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
    past = None if _newest(panel, horizon_days) is None else _stacked(panel)
    if past is not None and float(np.ptp(past.spend)) > 0:
        for name in ENSEMBLES:
            raw = _boosted(name, past.columns, past.spend, "regression", seed, now)
            predictions[name] = np.maximum(raw, 0.0)
    return predictions


def _now(panel: Panel, horizon_days: int) -> dict[str, Array]:
    return buyer_columns(panel.now.features, np.flatnonzero(panel.now.buyers), None, horizon_days)


def _newest(panel: Panel, horizon_days: int) -> Frame | None:
    return panel.dates[0] if panel.dates and panel.dates[0].back == horizon_days else None


def _stacked(panel: Panel) -> _Past:
    frames = thinned(panel.dates, MAX_ROWS)
    return _Past(
        stack(frames),
        np.concatenate([frame.inactive for frame in frames]),
        np.concatenate([frame.spend for frame in frames]),
    )


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

"""What a data scientist would try first, fitted on the same past: the bar that the blend has to clear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training import glm
from training.btyd.fit import FitError, fit
from training.churn import RFM
from training.design import Recipe
from training.panel import Panel, buyer_columns

Array = NDArray[np.float64]

LABELS = {
    "recency": "recency rule",
    "bg_nbd": "BG/NBD (lifetimes)",
    "rfm_logistic": "logistic regression on RFM",
}
RECENCY_GROUPS = 10


def fit_and_predict(panel: Panel, horizon_days: int) -> dict[str, Array]:
    """Return each baseline's P(no purchase in the horizon) for the buyers of the panel's as_of.

    The recency rule and the regression learn from the newest past date, as one would by hand; BG/NBD from the whole
    history. A baseline that cannot be fitted is left out.
    """
    buyers = np.flatnonzero(panel.now.buyers)
    now = buyer_columns(panel.now.features, buyers, None, horizon_days)
    found: dict[str, Array] = {}
    if panel.dates and panel.dates[0].back == horizon_days:
        past, target = panel.dates[0].columns, panel.dates[0].inactive
        found["recency"] = _recency_rule(past["recency_days"], target, now["recency_days"])
    try:
        model = fit("bg_nbd", now["frequency"], now["t_x_days"], now["T_days"])
        found["bg_nbd"] = model.p_none(horizon_days, now["frequency"], now["t_x_days"], now["T_days"])
    except FitError:
        pass  # too few repeat buyers; the report shows the baselines that are there
    if "recency" in found:
        recipe = Recipe({name: how for name, how in RFM.columns.items() if _varies(past, name)})
        found["rfm_logistic"] = glm.fit_logistic(recipe, past, target, np.ones(len(target))).probability(now)
    return found


def _varies(columns: Mapping[str, Array], name: str) -> bool:
    return float(np.nanmax(columns[name]) - np.nanmin(columns[name])) > 0


def _recency_rule(past: Array, inactive: NDArray[np.bool_], now: Array) -> Array:
    """Return the share that was inactive a horizon later, by tenths of days since the last purchase."""
    cuts = np.unique(np.quantile(past, np.linspace(0, 1, RECENCY_GROUPS + 1)[1:-1]))
    group = np.searchsorted(cuts, past)
    count = np.bincount(group, minlength=len(cuts) + 1)
    gone = np.bincount(group, weights=inactive, minlength=len(cuts) + 1)
    return np.asarray(((gone + 0.5) / (count + 1.0))[np.searchsorted(cuts, now)])

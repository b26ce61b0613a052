"""Columns of a score that say what it costs to wait: ``loss_per_week`` and ``window_closes``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.clock import day_number
from stagecast.features.snapshots import Snapshot
from stagecast.training.models import Models, Predictions
from stagecast.training.waiting.price import price_of_waiting


def waiting_columns(
    models: Models, snapshot: Snapshot, predicted: Predictions, state: NDArray[np.str_]
) -> dict[str, Any]:
    """Return the two columns, NaN where they are null, shape (rows,) each.

    Null for prospects, for open contracts, whose silence tells nothing, and without a customer
    base; the loss also for the lapsed and in a log without amounts.

    Parameters
    ----------
    models
        The fitted models.
    snapshot
        The customers.
    predicted
        The predictions for them.
    state
        ``prospect``, ``active`` or ``lapsed``, shape (rows,).
    """
    loss, closes = np.full(len(snapshot), np.nan), np.full(len(snapshot), np.nan)
    rows, columns = predicted.buyers, predicted.columns
    if models.base is not None and len(rows) and models.has_purchases:
        at_risk = np.where(state[rows] == "lapsed", np.nan, predicted.value_at_risk[rows])
        for part in models.base.parts(columns):
            own = rows[part.rows]
            waiting = price_of_waiting(
                part.base.models[0],
                part.histories,
                predicted.p_inactive[own],
                at_risk[part.rows],
                horizon_days=models.config.horizon_days,
                value_days=models.config.value_horizon_days,
                ended=partial(models.value.ended, part.base, plan=part.plan),
            )
            loss[own] = waiting.loss_per_week
            closes[own] = np.floor(day_number(snapshot.as_of)) + waiting.closes_in_days
        if snapshot.contracts is not None:
            loss[snapshot.contracts.open] = closes[snapshot.contracts.open] = np.nan
    return {"loss_per_week": loss, "window_closes": closes}

"""Columns of a score that say how late a customer is: ``usual_gap_days`` and ``days_overdue``."""

from __future__ import annotations

from typing import Any

import numpy as np

from stagecast.features.snapshots import Snapshot
from stagecast.training.models import Models
from stagecast.training.usual_gap import days_overdue, usual_gap


def rhythm_columns(models: Models, snapshot: Snapshot) -> dict[str, Any]:
    """Return the two columns, NaN where they are null, shape (rows,) each.

    Null below three purchase days; for open contracts, whose silence tells nothing; and for
    everybody where churn is a cancellation or the bundle's catalogue has no mean gap.

    Parameters
    ----------
    models
        The fitted models.
    snapshot
        The customers.
    """
    features, null = snapshot.features, np.full(len(snapshot), np.nan)
    if not has_rhythm(models) or "gap_mean" not in features:
        return {"usual_gap_days": null, "days_overdue": null}
    gap = usual_gap(features["gap_mean"], features["frequency"])
    if snapshot.contracts is not None:
        gap = np.where(snapshot.contracts.open, np.nan, gap)
    return {"usual_gap_days": gap, "days_overdue": days_overdue(features["recency_days"], gap)}


def has_rhythm(models: Models) -> bool:
    """Return whether the silence of a customer of these models means anything."""
    return models.config.churn != "cancellation"

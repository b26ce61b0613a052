"""Columns of the regressions of P(no purchase): name -> (log, number of knots; 0 for linear)."""

from __future__ import annotations

from stagecast.training.learners.design import Recipe

RFM = Recipe(
    {
        "recency_days": (True, 0),
        "frequency": (True, 0),
        "T_days": (True, 0),
        "spend_mean": (True, 0),
    },
)
RECENCY = Recipe({"recency_days": (True, 5)})
SPLINES = Recipe(
    {
        "recency_days": (True, 5),
        "frequency": (True, 4),
        "T_days": (True, 3),
        "overdue_ratio": (True, 5),
        "rhythm_days": (True, 3),
        "orders_90d": (True, 0),
        "orders_180d": (True, 0),
        "orders_365d": (True, 0),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
        "spend_mean": (True, 3),
        "gap_last": (True, 0),
        "btyd_none_mbg_nbd": (False, 0),
        "btyd_none_pareto_nbd": (False, 0),
    }
)

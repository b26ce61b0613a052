"""Columns of a score whose values need amounts, and the score of a log that has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

MONEY_COLUMNS = (
    "expected_spend",
    "expected_spend_low",
    "expected_spend_high",
    "clv",
    "clv_low",
    "clv_high",
    "value_at_risk",
    "value_gone",
    "value_if_kept",
    "clv_by_year",
    "clv_residual",
    "monetary",
    "spend",
)
"""Names of the columns with money, which are null without amounts."""


def without_money(
    columns: Mapping[str, Any], rows: int, features: Collection[str]
) -> dict[str, Any]:
    """Return the columns of scores with null for money, and without reasons that name money.

    Parameters
    ----------
    columns
        Name -> values, shape (rows,).
    rows
        Number of scores.
    features
        Features whose unit is money.
    """
    null = np.full(rows, np.nan)
    no_list = pa.nulls(rows, pa.list_(pa.float64()))
    reasons, rest = columns["reasons"], columns["risk_rest"]
    if isinstance(reasons, list):
        # what a reason that is left out explained belongs to the rest: the sum stays the risk
        rest = rest + [
            sum(reason["effect"] or 0.0 for reason in row if reason["feature"] in features)
            for row in reasons
        ]
        reasons = [[r for r in row if r["feature"] not in features] for row in reasons]
    return {
        **columns,
        "reasons": reasons,
        "risk_rest": rest,
        **{name: no_list if name == "clv_by_year" else null for name in MONEY_COLUMNS},
    }

"""Columns of a score whose values need amounts, and the score of a log that has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from stagecast.features.requests import CustomerEvents

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
    "loss_per_week",
    "monetary",
    "spend",
)
"""Names of the columns with money, which are null without amounts."""


def by_amounts(customers: Sequence[CustomerEvents]) -> list[tuple[list[int], bool]]:
    """Return the positions of the customers with amounts, and of those without, as far as any.

    A customer is without amounts who has purchases, none of which has an amount, whoever else is
    asked for. Each group comes with whether it has amounts.
    """
    groups: dict[bool, list[int]] = {True: [], False: []}
    for position, customer in enumerate(customers):
        groups[has_amounts_of(customer)].append(position)
    return [(positions, has) for has, positions in groups.items() if positions]


def has_amounts_of(customer: CustomerEvents) -> bool:
    """Return whether a customer has amounts: no purchase, or one with an amount."""
    has_purchases = False
    for event in customer.events:
        if event.event == "purchase":
            if event.amount is not None:
                return True
            has_purchases = True
    return not has_purchases


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
        **dict.fromkeys(MONEY_COLUMNS, null),
        "clv_by_year": np.full_like(columns["clv_by_year"], np.nan),
    }

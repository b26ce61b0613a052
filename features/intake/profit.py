"""Profit as the amount: a loss is no refund, and a log of profits is refused with what to do.

A negative amount takes something back. Where the amount is a difference whose first part is above
0, such as ``revenue - cost``, or where its column is called profit, it is an order made at a loss,
and to read it as a refund would take back the order before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.expressions import Compiled

LOSS = "order_at_a_loss"
"""Reason for which such a row is refused."""
SHARE = 0.01
"""Share of the rows at a loss from which the whole log is refused: it holds profits."""
_NAMED_PROFIT = re.compile(r"profit|margin|earning", re.IGNORECASE)


def is_loss(amount: Compiled) -> str | None:
    """Return SQL of the condition that a purchase was made at a loss; None: it cannot be told."""
    is_negative = "p_event = 'purchase' AND p_amount < 0"
    if amount.minuend is not None:
        return f"{is_negative} AND ({amount.minuend}) > 0"
    if amount.single_column is not None and _NAMED_PROFIT.search(amount.label):
        return is_negative
    return None


def check_no_profit(
    amounts: Sequence[Compiled],
    rows_in: int,
    by_first: Mapping[str, int],
    examples: Mapping[str, Mapping[str, Any]],
) -> None:
    """Refuse a log of which more than :data:`SHARE` of the rows are orders at a loss.

    Parameters
    ----------
    amounts
        The mapped amounts.
    rows_in
        Number of source rows.
    by_first, examples
        As of :func:`stagecast.features.intake.quarantine.describe_rejected`.

    Raises
    ------
    DataRefusedError
        The message holds the count, an example and what to map instead.
    """
    losses = by_first.get(LOSS, 0)
    if losses <= SHARE * rows_in:
        return
    label = next((amount.label for amount in amounts if is_loss(amount) is not None), "")
    revenue = next(
        (
            amount.columns[0].name
            for amount in amounts
            if amount.minuend is not None and amount.columns
        ),
        "REVENUE",
    )
    example = examples[LOSS]["examples"][0]
    raise DataRefusedError(
        f"{losses:,} of {rows_in:,} orders were made at a loss ({example['file']}, line "
        f"{example['line']}: {label} is {example['value']}): profit as the amount is not "
        f"supported, since values are learned from what customers pay. Give the revenue "
        f"(--amount {revenue!r}), and to `run` and `train` --margin SHARE, the share of it that is "
        "profit over all orders"
    )

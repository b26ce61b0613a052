"""What is still expected of buyers whose contract is over.

The models of purchases know payments alone, and not that a contract was cancelled: who paid a week
before the end looks like who will pay again. How much of what they expect comes is learned from
buyers whose contract was over at past dates; a contract that begins anew counts as come.

Rows of such buyers, with the share s:

    P(purchase), orders, spend and clv    times s
    value at risk                         times s
    value gone                            plus what the others lost: the value if kept stays
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stagecast.features.contracts import Contracts
from stagecast.training.value.money import Money


def is_over(contracts: Contracts | None, rows: int) -> NDArray[np.bool_]:
    """Return whether a customer had a contract and has none, shape (rows,)."""
    if contracts is None:
        return np.zeros(rows, dtype=bool)
    return np.asarray(contracts.ever_had & ~contracts.open)


def after_contract(money: Money, over: NDArray[np.bool_], share: float) -> Money:
    """Return the money with the share of it where a contract is over.

    Parameters
    ----------
    money
        Of buyers.
    over
        See :func:`is_over`, shape (rows,).
    share
        See :func:`stagecast.training.value.fit_after_contract.learned_share`.
    """
    if share == 1.0 or not over.any():
        return money
    of_row = np.where(over, share, 1.0)
    scaled = {
        name: getattr(money, name) * of_row
        for name in ("expected_orders", "expected_spend", "clv", "clv_residual", "value_at_risk")
    }
    left = money.clv + money.value_at_risk
    return replace(
        money,
        **scaled,
        clv_by_year=money.clv_by_year * of_row[:, None],
        value_p_none=1.0 - (1.0 - money.value_p_none) * of_row,
        value_gone=money.value_gone + left * (1.0 - of_row),
    )

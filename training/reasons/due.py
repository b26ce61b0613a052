"""What a silence says where it is known when the next order or payment is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.reasons.families import Family
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import LOWERS, PLAIN, RAISES

PAYMENT_LATE: Final = "payment_late_days"
"""Column of contracts: days by which the payment is late, 0 where it is not; NaN where the billing
period is not known.
"""
FREE: Final = "free_days"
"""In place of the silence of who has paid nothing: days since what was free."""
OF_ALL: Final = "_of_all"
"""Ending of what a silence is compared with where the usual gap is that of the log."""


def late_payment(late_days: float, effect: float) -> Reason | None:
    """Return what the silence of a contract with a known billing period says.

    A payment that is not late says on which day of the period it falls alone, which the reason of
    the next payment tells; one that is late lowers no risk.
    """
    if late_days < 1 or effect < 0:
        return None
    return Reason(f"{PAYMENT_LATE}.{PLAIN}", PAYMENT_LATE, late_days, np.nan, effect, RAISES)


def due_reason(
    family: Family,
    row: int,
    columns: Mapping[str, Array],
    gap_of_all: float,
    effect: float,
    horizon_days: float,
) -> Reason | None:
    """Return that the next order is due in the horizon or after it, or None.

    None unless the usual gap is longer than the horizon, the silence is no longer than the gap, and
    the effect is that of what is due.

    Parameters
    ----------
    family
        The family of the silence.
    row
        The row.
    columns
        Feature -> values, shape (rows,).
    gap_of_all
        Usual gap in days of the active customers, for who has none; NaN: not known.
    effect
        Effect of the silence on the log odds.
    horizon_days
        Days of the horizon.
    """
    if not np.isfinite(horizon_days):
        return None
    silence, gaps = float(columns[family.feature][row]), columns["frequency"][row]
    is_own = bool(gaps >= family.least_gaps)
    gap = float(columns[family.own_past][row]) if is_own else gap_of_all
    if not gap > horizon_days or not silence <= gap:
        return None
    is_due = silence + horizon_days >= gap
    if is_due == (effect > 0):
        return None
    code = f"{family.feature}.{'due' if is_due else 'not_due'}{'' if is_own else OF_ALL}"
    direction = LOWERS if is_due else RAISES
    return Reason(code, family.feature, silence, gap, effect, direction)

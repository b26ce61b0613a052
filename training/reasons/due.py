"""What a silence says where it is known when the next order or payment is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.reasons.families import Family
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import LOWERS, OWN, PLAIN, RAISES, shown

PAYMENT_LATE: Final = "payment_late_days"
"""Column of contracts: days by which the payment is late, 0 where it is not; NaN where the billing
period is not known.
"""
FREE: Final = "free_days"
"""In place of the silence of who has paid nothing: days since what was free."""
USUAL_GAP: Final = "usual_gap_days"
"""Column of buyers who pay on dates: days of the customer's own gap. Other logs have it not."""
SAME_GAP: Final = 0.1
"""Part by which the mean gap may differ from the own one."""
LATE: Final = 0.01
LATE_DAYS: Final = 2.0
"""Part of the gap, and days, beyond which a payment is late without a doubt."""
GAP: Final = "gap"
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
    is_own = bool(columns["frequency"][row] >= family.least_gaps)
    gap = float(columns[family.own_past][row]) if is_own else gap_of_all
    silence = float(columns[family.feature][row])
    return _due(family, silence, gap, effect, horizon_days, is_own=is_own)


def reason_of_payer(
    family: Family, row: int, columns: Mapping[str, Array], effect: float, horizon_days: float
) -> Reason | None:
    """Return what the silence of who pays on dates says, or None.

    It is compared with the customer's own gap alone, never with a silence that is usual of others:
    a silence shorter than the gap raises no risk, unless the next order is due after the horizon,
    and one that is longer lowers none. The parameters are those of :func:`due_reason`.
    """
    silence, gap = float(columns[family.feature][row]), float(columns[USUAL_GAP][row])
    own = float(columns[family.own_past][row])
    is_own = bool(columns["frequency"][row] >= family.least_gaps)
    is_own &= abs(own / gap - 1.0) <= SAME_GAP  # else its mean is none, as after a year left out
    if silence <= gap and gap > horizon_days:  # whether it is due is all that the silence says
        return _due(family, silence, gap, effect, horizon_days, is_own=is_own)
    if (silence > gap) != (effect > 0):
        return None
    if shown(family.feature, silence) == shown(family.feature, gap):
        return None
    code = f"{family.feature}.{OWN if is_own else GAP}{'' if is_own else OF_ALL}"
    direction = RAISES if effect > 0 else LOWERS
    return Reason(code, family.feature, silence, gap, effect, direction)


def fact_of_payer(
    families: Sequence[Family], row: int, columns: Mapping[str, Array], horizon_days: float
) -> Reason | None:
    """Return that a payment is late, or due after the horizon, whatever its effect; or None.

    Of who pays on dates this is what a reader asks first. The effect of the silence may
    be another where the average customer is not due, or late as well: it is null.
    """
    family = next((f for f in families if f.overdue), None)
    if family is None or USUAL_GAP not in columns:
        return None
    silence, gap = float(columns[family.feature][row]), float(columns[USUAL_GAP][row])
    over = max(LATE_DAYS, LATE * gap)
    if silence <= gap + over and silence + horizon_days + over >= gap:
        return None
    reason = reason_of_payer(family, row, columns, 1.0, horizon_days)
    return None if reason is None else replace(reason, effect=np.nan)


def _due(
    family: Family,
    silence: float,
    gap: float,
    effect: float,
    horizon_days: float,
    *,
    is_own: bool,
) -> Reason | None:
    if not gap > horizon_days or not silence <= gap:
        return None
    is_due = silence + horizon_days >= gap
    if is_due == (effect > 0):
        return None
    code = f"{family.feature}.{'due' if is_due else 'not_due'}{'' if is_own else OF_ALL}"
    direction = LOWERS if is_due else RAISES
    return Reason(code, family.feature, silence, gap, effect, direction)

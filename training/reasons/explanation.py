"""Why a risk is as it is: up to three reasons that raise it and up to two that speak against it.

Everything is measured in log odds from one base, the average active customer of the training:

    log odds of the risk = base + effects of the reasons + rest

The effect of a family of columns is that against the average active customer. Where it has the
other sign against the usual customer of the same stage, and the stage's is the larger one or raises
the risk, the reason is the stage's, and the difference between stage and average is part of the
rest. So a loyal customer who is overdue is told so, although loyal customers leave less.

A reason is shown with a number that differs, in the direction of its effect, from the customer's
own past, else from what is usual on the stage, else from what is usual of the active; a family
without such a number explains nothing. A silence longer than the customer's own gaps never lowers
the risk, and a shorter one never raises it, whatever is usual of others: the one is told as overdue
beside the reason, the other is what all who order rarely have, of which their gap speaks. A high
risk without a reason gets that of the stage, or the average of the log.

Where the usual gap is longer than the horizon, a silence shorter than it tells when the next order
is due: it raises the risk where that is after the horizon, as just after a yearly payment, and
lowers it within. Of a contract with a known billing period the silence is told as a payment that is
late, or not at all. Who has paid nothing has no order to speak of. Where payments come on dates the
silence is compared with the customer's own gap alone. A fact that two families would tell is told
once (:mod:`stagecast.training.reasons.told_once`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.reasons.due import (
    FREE,
    PAYMENT_LATE,
    USUAL_GAP,
    due_reason,
    fact_of_payer,
    late_payment,
    reason_of_payer,
)
from stagecast.training.reasons.families import SEASON, Family
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import (
    ACTIVE,
    LOWERS,
    NO_ORDER,
    OWN,
    PLAIN,
    RAISES,
    STAGE,
    shown,
)
from stagecast.training.reasons.told_once import told_once
from stagecast.training.reference.usual import AVERAGE, Usual

MOST_RAISING, MOST_LOWERING = 3, 2
# Effects below this, in log odds, are no reasons.
SMALLEST_EFFECT = 0.05
# Share of the larger of two numbers by which they must differ to explain anything.
SMALLEST_DIFFERENCE = 0.05
# Features of buyers whose null is no 0.
MAY_BE_UNKNOWN = ("gap_mean", "payment_days", "orders_90d")
# Features that speak of orders, which those who have paid nothing have none of.
OF_ORDERS = ("orders", "orders_90d", "gap_mean", "T_days")
_SURE = 1e-9


@dataclass(frozen=True)
class Explanation:
    """The reasons of one customer's risk.

    Parameters
    ----------
    reasons
        Those that raise the risk, then those that lower it, each strongest first.
    base
        Log odds of the average active customer; NaN where no model gave the risk.
    rest
        What remains of the log odds of the risk after the base and the effects of the reasons.
    """

    reasons: tuple[Reason, ...]
    base: float = np.nan
    rest: float = np.nan


@dataclass(frozen=True)
class Explained:
    """Rows to explain.

    Parameters
    ----------
    effects
        Effects of the families on the log odds, shape (rows, families).
    columns
        Feature of a family -> values, shape (rows,); a null value is no reason.
    groups
        Group of the reference that each row is compared with, shape (rows,).
    titles
        Title of each row's stage, shape (rows,).
    risk
        The risk to explain, shape (rows,).
    names_risk
        Whether reasons that name a risk say that it is of ordering nothing, because churn is
        something else.
    horizon_days
        Days of the horizon of a risk of no order; infinite where the risk is another.
    """

    effects: Array
    columns: Mapping[str, Array]
    groups: NDArray[np.str_]
    titles: NDArray[np.str_]
    risk: Array
    names_risk: bool = False
    horizon_days: float = math.inf


def explain(
    families: Sequence[Family], rows: Explained, usual: Usual, high_risk: float
) -> list[Explanation]:
    """Return the explanation of each row.

    Parameters
    ----------
    families
        The families.
    rows
        The rows.
    usual
        What is usual of customers like these.
    high_risk
        A risk of at least this much gets a reason in any case.
    """
    base = usual.base[AVERAGE]
    of_all = np.array(usual.mean_effects[AVERAGE])
    by_group = [usual.mean_effects.get(str(group), of_all) for group in rows.groups]
    means = np.array(by_group).reshape(rows.effects.shape)
    own, means, average = told_once(
        families, rows.columns, rows.effects, means, np.broadcast_to(of_all, means.shape)
    )
    within, between = own - means, means - average
    against_average = within + between
    larger = np.abs(within) >= np.abs(against_average)
    on_stage = (within * against_average <= 0) & (np.abs(within) >= SMALLEST_EFFECT)
    on_stage &= larger | (within > 0)
    effects = np.where(on_stage, within, against_average)
    has_amounts = usual.medians[AVERAGE].get("spend_mean", np.nan) > 0
    values = _values(families, rows.columns, has_amounts=has_amounts)
    order = np.argsort(-np.abs(effects), axis=1, kind="stable")
    log_odds = logit(np.clip(rows.risk, _SURE, 1 - _SURE))
    result = []
    for row in range(len(rows.risk)):
        group = str(rows.groups[row])
        sides: dict[str, list[Reason]] = {RAISES: [], LOWERS: []}
        untold = float(between[row].sum())
        for k in order[row]:
            effect = float(effects[row, k])
            if abs(effect) < SMALLEST_EFFECT:
                break
            side = RAISES if effect > 0 else LOWERS
            if len(sides[side]) == (MOST_RAISING if effect > 0 else MOST_LOWERING):
                continue
            reason = _reason(families[k], values[k], row, rows, usual, group, effect)
            if reason is not None:
                sides[side].append(reason)
                untold -= 0.0 if on_stage[row, k] else float(between[row, k])
        fact = fact_of_payer(families, row, rows.columns, rows.horizon_days)
        if fact is not None and all(r.feature != fact.feature for r in sides[RAISES]):
            sides[RAISES] = [fact, *sides[RAISES][: MOST_RAISING - 1]]
        if not sides[RAISES] and rows.risk[row] >= high_risk:
            sides[RAISES].append(
                of_stage(usual, group, str(rows.titles[row]), untold, names_risk=rows.names_risk)
                or _plain(families, values, row, effects[row])
                or of_average(usual, names_risk=rows.names_risk)
            )
        reasons = (*sides[RAISES], *sides[LOWERS])
        rest = (
            float(log_odds[row]) - base - sum(r.effect for r in reasons if not math.isnan(r.effect))
        )
        result.append(Explanation(reasons, base, rest))
    return result


def _values(
    families: Sequence[Family], columns: Mapping[str, Array], *, has_amounts: bool
) -> list[Array]:
    """Return the values to show; null in a catalogue feature of a buyer means none yet.

    A customer of one order has no gap, and of a trial it is not known whether a payment is due:
    neither is a reason of its own. All orders of a customer who
    came within a window lie in it: their number in the window is that of all orders once more. What
    was free is no order where the log has amounts.
    """
    bought = columns["orders"] > 0
    free = paid_nothing(columns) & has_amounts
    values = []
    for family in families:
        shown_values = np.where(
            bought & (not family.meaning) & (family.feature not in MAY_BE_UNKNOWN),
            np.nan_to_num(columns[family.feature]),
            columns[family.feature],
        )
        if family.window_days:
            came_within = columns["T_days"] <= family.window_days
            shown_values = np.where(came_within, np.nan, shown_values)
        if family.feature in OF_ORDERS:
            shown_values = np.where(free, np.nan, shown_values)
        if family.feature == "spend_mean":  # nothing was paid, or all of it was given back
            shown_values = np.where((shown_values == 0) & ~free, np.nan, shown_values)
        values.append(shown_values)
    return values


def paid_nothing(columns: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Return who has orders that were all for nothing, as a trial or a sample, shape (rows,).

    Who was given all of it back has paid.
    """
    unknown = np.full(len(columns["orders"]), np.nan)
    spend, refunds = columns.get("spend_mean", unknown), columns.get("refund_share", unknown)
    return np.asarray((columns["orders"] > 0) & (spend == 0) & ~(refunds > 0))


def _reason(
    family: Family,
    values: Array,
    row: int,
    rows: Explained,
    usual: Usual,
    group: str,
    effect: float,
) -> Reason | None:
    """Return the reason of a family with the first comparison that shows its effect, or None."""
    value, label = float(values[row]), family.meaning or None
    direction = RAISES if effect > 0 else LOWERS
    if family.feature == SEASON:
        return Reason(f"{SEASON}.{PLAIN}", SEASON, value, np.nan, effect, direction)
    columns = rows.columns
    if family.overdue:
        if PAYMENT_LATE in columns and not np.isnan(columns[PAYMENT_LATE][row]):
            return late_payment(float(columns[PAYMENT_LATE][row]), effect)
        medians = usual.medians[AVERAGE]
        if medians.get("spend_mean", np.nan) > 0 and paid_nothing(columns)[row]:
            return Reason(f"{FREE}.{PLAIN}", FREE, value, np.nan, effect, direction)
        gap_of_all = medians.get(family.own_past, np.nan)
        if USUAL_GAP in columns:
            return reason_of_payer(family, row, columns, effect, rows.horizon_days)
        reason = due_reason(family, row, columns, gap_of_all, effect, rows.horizon_days)
        if reason is not None:
            return reason
    for versus, compared in _comparisons(family, row, columns, usual, group):
        if versus == OWN and family.overdue and (value - compared) * effect < 0:
            return None
        if family.turns_at:
            turn = float(columns[family.turns_at][row])
            if (turn - value) * effect <= 0 or math.isnan(value):
                return None
        elif not _shows(family, value, compared, effect):
            continue
        code = f"{family.feature}.{versus}"
        return Reason(code, family.feature, value, compared, effect, direction, label)
    return None


def _comparisons(
    family: Family, row: int, columns: Mapping[str, Array], usual: Usual, group: str
) -> Iterator[tuple[str, float]]:
    """Yield what a value can be compared with, the most telling first."""
    average = usual.medians[AVERAGE]
    if family.own_past:
        # before a first order there are no orders, which says nothing of the customer
        days, gaps = 2 * family.window_days, family.least_gaps
        is_known = not days or columns["T_days"][row] >= days
        if is_known and (not gaps or columns["frequency"][row] >= gaps):
            yield OWN, float(columns[family.own_past][row])
    if group in usual.medians and group != AVERAGE:
        yield STAGE, usual.medians[group][family.feature]
    yield ACTIVE, average[family.feature]


def _shows(family: Family, value: float, usual: float, effect: float) -> bool:
    """Return whether the numbers are known, differ, and do not contradict the effect."""
    if math.isnan(value) or math.isnan(usual):
        return False
    if shown(family.feature, value) == shown(family.feature, usual):
        return False
    # 80 orders where 83 are usual explain nothing, whatever the direction
    if abs(value - usual) < SMALLEST_DIFFERENCE * max(abs(value), abs(usual)):
        return False
    return not family.raises or family.raises * (value - usual) * effect > 0


def _plain(
    families: Sequence[Family], values: Sequence[Array], row: int, effects: Array
) -> Reason | None:
    """Return the strongest family that raises the risk, compared with nothing; None without one."""
    for k in np.argsort(-effects, kind="stable"):
        if effects[k] <= SMALLEST_EFFECT:
            return None
        value = float(values[k][row])
        if not np.isnan(value):
            name, label = families[k].feature, families[k].meaning or None
            effect = float(effects[k])
            return Reason(f"{name}.{PLAIN}", name, value, np.nan, effect, RAISES, label)
    return None


def of_stage(
    usual: Usual, group: str, title: str, effect: float, *, names_risk: bool = False
) -> Reason | None:
    """Return the reason of a stage whose customers leave more than the active do, or None."""
    if group == AVERAGE or group not in usual.base or effect < SMALLEST_EFFECT:
        return None
    here, average = float(expit(usual.base[group])), float(expit(usual.base[AVERAGE]))
    if here <= average or shown("stage", here) == shown("stage", average):
        return None
    code = f"stage.{NO_ORDER if names_risk else ACTIVE}"
    return Reason(code, "stage", here, average, effect, RAISES, title)


def of_average(usual: Usual, *, names_risk: bool = False) -> Reason:
    """Return the reason of a risk that is high because that of the average customer is."""
    average = float(expit(usual.base[AVERAGE]))
    code = f"average.{NO_ORDER if names_risk else PLAIN}"
    return Reason(code, "average", average, np.nan, np.nan, RAISES)

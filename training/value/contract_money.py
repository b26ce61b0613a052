"""Money of contracts whose billing period is known: their payments, instead of purchases."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.billing.ahead import ContractsAhead
from stagecast.training.value.kept import ValueParts
from stagecast.training.value.money import Money

RANGES: Final = ("known_low", "known_high", "known_spend_low", "known_spend_high")
_SMALLEST: Final = 1e-9


def of_former(
    parts: ValueParts, ahead: ContractsAhead, span_days: float, price: Array, margin: float
) -> ValueParts:
    """Return the parts of the value with those of customers whose contract is over.

    What they bring if they begin it again is what is gone, but for the clv: who has cancelled is no
    customer, so nothing else can be lost.

    Parameters
    ----------
    parts
        As the models of purchases expect them, which know nothing of contracts.
    ahead
        The contracts of the buyers.
    span_days
        Days of the value horizon, discounted.
    price
        What a payment is expected to bring, shape (rows,).
    margin
        Share of it that is earned.
    """
    rows, share, money = ahead.begun_again(span_days, price)
    at_risk, gone = parts.at_risk.copy(), parts.gone.copy()
    if_again = np.maximum(margin * money - parts.clv[rows], 0.0)
    at_risk[rows] *= 1.0 - share
    gone[rows] = share * if_again + (1.0 - share) * gone[rows]
    return ValueParts(parts.clv, at_risk, gone)


def with_payments(
    money: Money,
    ahead: ContractsAhead,
    p_purchase: Array,
    per_order: Array | None,
    margin: float,
) -> Money:
    """Return the money of buyers with that of the payments of open contracts.

    Parameters
    ----------
    money
        As the models of purchases and P(cancel) expect it.
    ahead
        The contracts of the buyers.
    p_purchase
        P(purchase within the horizon), shape (rows,), than which there are no fewer orders.
    per_order
        What a payment is expected to bring, shape (rows,); None in a log without amounts.
    margin
        Share of it that is earned.
    """
    plan, rows, spans = ahead.schedule, ahead.rows, ahead.spans
    if plan is None:
        return with_beginnings(money, ahead, per_order, margin)
    of_last = np.full(len(rows), np.nan) if per_order is None else per_order[rows]
    price, of_value = (ahead.prices_within(of_last, end) for end in (spans.horizon, spans.value))
    earned = of_value * margin
    cheapest, dearest = (end * margin for end in ahead.price_ends(of_value, spans.value))
    least, most = ahead.price_ends(price, spans.horizon)
    prices_until = np.column_stack([ahead.prices_within(of_last, end) for end in spans.ends])
    until = plan.until * prices_until * margin
    p_any, value_p_any = 1.0 - plan.p_none, 1.0 - plan.value_p_none
    values = {
        "expected_orders": plan.orders,
        "orders_if_any": np.maximum(plan.orders / np.maximum(p_any, _SMALLEST), 1.0),
        "expected_spend": plan.orders * price,
        "clv": plan.value * earned,
        "value_p_none": plan.value_p_none,
        "value_orders_if_any": np.maximum(plan.value / np.maximum(value_p_any, _SMALLEST), 1.0),
        "clv_by_year": np.diff(until, axis=1, prepend=0.0),
        "clv_residual": np.maximum(until[:, -1] - plan.value * earned, 0.0),
        "value_at_risk": np.maximum(plan.kept - plan.value, 0.0) * earned,
        "known_low": plan.low * cheapest,
        "known_high": plan.high * dearest,
        "known_spend_low": plan.orders_low * least,
        "known_spend_high": plan.orders_high * most,
    }
    changed = {}
    for name, value in values.items():
        changed[name] = getattr(money, name).copy()
        old, share = changed[name][rows], plan.share
        if name in RANGES:  # of the one or of the other
            changed[name][rows] = np.where(share > 0.5, value, old)
        else:  # null stays null
            share = share.reshape((-1,) + (1,) * (value.ndim - 1))
            changed[name][rows] = share * value + (1.0 - share) * old
    more = np.maximum(p_purchase[rows] - changed["expected_orders"][rows], 0.0)
    changed["expected_orders"][rows] += more
    changed["expected_spend"][rows] += more * price
    for prefix, of in (("known", "clv"), ("known_spend", "expected_spend")):
        low, high = changed[f"{prefix}_low"], changed[f"{prefix}_high"]
        known = np.isfinite(low)
        changed[f"{prefix}_low"] = np.where(known, np.fmin(low, changed[of]), low)
        changed[f"{prefix}_high"] = np.where(known, np.fmax(high, changed[of]), high)
    return with_beginnings(replace(money, **changed), ahead, per_order, margin)


def with_beginnings(
    money: Money, ahead: ContractsAhead, per_order: Array | None, margin: float
) -> Money:
    """Return the money of buyers with that of trials, and of customers who may come back.

    The parameters are those of :func:`with_payments`. What a former customer brings if kept stays;
    what the clv does not hold of it is gone.
    """
    if not ahead.beginning:
        return money
    changed = {f.name: getattr(money, f.name).copy() for f in fields(money)}
    own = np.full(len(ahead.p_cancel), np.nan) if per_order is None else per_order
    # the money of plans that follow a trial is known, where any is
    scale = own if per_order is None else np.where(ahead.in_payments, own, 1.0)
    is_open = ahead.contracts.open
    for rows, plan in ahead.beginning:
        price = scale[rows]
        earned = price * margin
        p_any, value_p_any = 1.0 - plan.p_none, 1.0 - plan.value_p_none
        clv = plan.value * earned
        if_kept = money.clv[rows] + money.value_at_risk[rows] + money.value_gone[rows]
        at_risk = np.where(is_open[rows], (plan.kept - plan.value) * earned, 0.0 * clv)
        values = {
            "expected_orders": plan.orders,
            "orders_if_any": np.maximum(plan.orders / np.maximum(p_any, _SMALLEST), 1.0),
            "expected_spend": plan.spend * price,
            "clv": clv,
            "value_p_none": np.where(np.isfinite(price), plan.value_p_none, np.nan),
            "value_orders_if_any": np.maximum(
                plan.value_orders / np.maximum(value_p_any, _SMALLEST), 1.0
            ),
            "clv_by_year": np.diff(plan.until, axis=1, prepend=0.0) * earned[:, None],
            "clv_residual": np.maximum(plan.until[:, -1] - plan.value, 0.0) * earned,
            "value_at_risk": at_risk,
            "value_gone": np.where(is_open[rows], 0.0, np.maximum(if_kept - clv, 0.0)),
        }
        if is_open[rows].all():  # the ranges of the others are those of customers without one
            values |= {
                "known_low": plan.low * earned,
                "known_high": np.maximum(plan.high * earned, clv),
                "known_spend_low": plan.spend_low * price,
                "known_spend_high": np.maximum(plan.spend_high, plan.spend) * price,
            }
        if ahead.orders_of_models(rows):
            del values["expected_orders"], values["orders_if_any"]
        for name, value in values.items():
            changed[name][rows] = value
    return replace(money, **changed)


def of_unpaid(
    money: Money, ahead: ContractsAhead, span_days: float, margin: float, *, has_amounts: bool
) -> Money:
    """Return the money of contracts of customers who have bought nothing yet.

    Their contract may turn into a plan, as trials do that begin without a payment of 0, or is over.

    Parameters
    ----------
    money
        As of customers without a contract.
    ahead
        Their contracts.
    span_days, margin
        As of :func:`of_former`.
    has_amounts
        Whether the log has amounts.
    """
    if not ahead.beginning:
        return money
    if not has_amounts:
        return with_beginnings(money, ahead, None, margin)
    nothing = np.zeros(len(ahead.p_cancel))
    parts = of_former(ValueParts(money.clv, nothing, nothing), ahead, span_days, nothing, margin)
    at_risk, gone = money.value_at_risk.copy(), money.value_gone.copy()
    for rows, _ in ahead.beginning:
        at_risk[rows], gone[rows] = parts.at_risk[rows], parts.gone[rows]
    money = replace(money, value_at_risk=at_risk, value_gone=gone)
    return with_beginnings(money, ahead, nothing, margin)


def after_contract(money: Money, over: NDArray[np.bool_], share: Array) -> Money:
    """Return the money with the share of it where a contract is over.

    Parameters
    ----------
    money
        Of buyers.
    over
        See :func:`stagecast.training.value.after_contract.is_over`, shape (rows,).
    share
        Of :meth:`stagecast.training.value.after_contract.AfterContract.share`, shape (rows,).
    """
    if not over.any():
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

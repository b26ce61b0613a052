"""Where the rules of a scheme lead customers who order again, without an outcome to learn from.

Each customer is given orders within the horizon, and the rules are tried at its end: most customers
go on ordering at their usual gap, the others order once and stay silent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.record import PurchaseDays, Record, SignalEvents
from stagecast.features.stages.facts import facts_at
from stagecast.features.stages.lifecycle import Lifecycle

# Share of those who order again who then stay silent; it is a guess that few counts replace.
SILENT_SHARE = 0.05
# About how many customers are looked at, and how many orders each is given at most.
CUSTOMERS, MOST_ORDERS = 20_000, 20


def after_another_order(life: Lifecycle, as_of: datetime) -> Array:
    """Return P(stage at the end of the horizon | orders again) by the rules, by current stage.

    Parameters
    ----------
    life
        The lifecycle; what its record holds from the as_of on is not used.
    as_of
        Begin of the horizon, whose length is that of the lifecycle.

    Returns
    -------
    numpy.ndarray
        Shape (stages, stages); a row is 0 where no customer is on that stage.
    """
    stages = len(life.scheme.stages)
    instant = microseconds(as_of)
    stage, _ = life.journeys.at(instant, len(life.record))
    known = np.flatnonzero(stage >= 0)
    rows = known[:: max(1, -(-len(known) // CUSTOMERS))]
    if not len(rows):
        return np.zeros((stages, stages))
    record, current = _before(life.record, rows, instant), stage[rows]
    counts = np.zeros((stages, stages))
    for share, orders in ((1 - SILENT_SHARE, MOST_ORDERS), (SILENT_SHARE, 0)):
        days = _with_orders(life, record, as_of, orders)
        end = microseconds(as_of + timedelta(days=life.horizon_days))
        facts = facts_at(
            life.vocabulary,
            Record(days, record.first_events, record.signals),
            end,
            limits=life.scheme.clock_limits,
        )
        np.add.at(counts, (current, life.scheme.assign(facts)), share)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12))


def _before(record: Record, rows: Integers, instant: int) -> Record:
    """Return the record of some customers, numbered anew, without events from the instant on."""
    number = np.full(len(record), -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    days, signals = record.days, record.signals
    day = np.flatnonzero((number[days.customer] >= 0) & (days.first_purchase < instant))
    event = np.flatnonzero((number[signals.customer] >= 0) & (signals.instant < instant))
    return Record(
        PurchaseDays(
            number[days.customer[day]], days.day[day], days.spend[day], days.first_purchase[day]
        ),
        record.first_events[rows],
        SignalEvents(
            signals.names,
            number[signals.customer[event]],
            signals.instant[event],
            signals.signal[event],
        ),
    )


def _with_orders(life: Lifecycle, record: Record, as_of: datetime, most: int) -> PurchaseDays:
    """Return the purchase days with further orders of each customer within the horizon.

    Orders are a usual gap apart, the last one half a gap before the end; at most ``most``. With 0
    there is one order, on the first day of the horizon.
    """
    days, count = record.days, len(record)
    instant = microseconds(as_of)
    start, horizon = instant / DAY_MICROSECONDS, life.horizon_days
    rhythm = facts_at(life.vocabulary, record, instant)["rhythm_days"]
    usual = float(life.catalog.parameters["shop_gap_days"])
    gap = np.maximum(np.where(np.isfinite(rhythm), rhythm, usual), 1.0)
    silence = np.minimum(gap, horizon) / 2
    orders = np.clip(np.floor((horizon - silence) / gap).astype(np.int64) + 1, 1, max(most, 1))
    customer = np.repeat(np.arange(count), orders)
    nth = np.arange(len(customer)) - np.repeat(np.cumsum(orders) - orders, orders)
    day = start + horizon - silence[customer] - nth * gap[customer]
    if not most:
        day = np.full(count, start)
    day = np.floor(np.maximum(day, start)).astype(np.int64)
    bought = np.bincount(days.customer, minlength=count)
    total = np.bincount(days.customer, weights=days.spend, minlength=count)
    mean_spend = float(days.spend.mean()) if len(days.spend) else 0.0
    spend = np.where(bought > 0, total / np.maximum(bought, 1), mean_spend)[customer]
    owner = np.r_[days.customer, customer]
    purchase_day = np.r_[days.day, day]
    order = np.lexsort((purchase_day, owner))
    owner, purchase_day = owner[order], purchase_day[order]
    first = np.r_[days.first_purchase, day * DAY_MICROSECONDS][order]
    # a day on which the customer has bought already, or was given two orders, counts once
    distinct = np.r_[True, (owner[1:] != owner[:-1]) | (purchase_day[1:] != purchase_day[:-1])]
    return PurchaseDays(
        owner[distinct],
        purchase_day[distinct],
        np.r_[days.spend, spend][order][distinct],
        first[distinct],
    )

"""The catalogue for customers whose events are in memory: NumPy, no SQL, many customers at once.

Gives what :mod:`features.sql` gives for the same events; both are held to one oracle in ``tests/parity``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import formula
from features.catalog import MARKETER_EVENTS, Catalog, Feature
from features.clock import DAY_MICROSECONDS, day_number, microseconds
from features.errors import NotEnoughDataError
from features.leads import CHANNEL, Texts, given_at_start, memory_events
from features.record import NO_SIGNALS, Counted, PurchaseDays, Record, SignalEvents
from features.requests import CustomerEvents

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

AMOUNT_SCALE = 1_000_000  # amounts are kept as whole millionths, so that sums are exact in any order
_MONEY = ("spend", "gross_spend", "refund")
_NO_ACTIVITY = frozenset({"purchase", "refund", *MARKETER_EVENTS})


class MemoryEvents:
    """Events of some customers as arrays, cut at one instant.

    Parameters
    ----------
    customers
        The customers in the order in which rows are wanted.
    as_of
        Events that happened or were recorded at or after it are not seen.

    Raises
    ------
    NotEnoughDataError
        A customer has no event before the as_of; the message names the first.
    """

    def __init__(self, customers: Sequence[CustomerEvents], as_of: datetime) -> None:
        self.as_of = as_of
        self._asked = customers
        self.customers: NDArray[np.object_] = np.array([c.customer_id for c in customers], dtype=object)
        at = microseconds(as_of)
        rows = [
            (i, happened, event.event, event.amount or 0.0)
            for i, customer in enumerate(customers)
            for event in customer.events
            if (happened := microseconds(event.timestamp)) < at
            and (event.recorded_at is None or microseconds(event.recorded_at) < at)
        ]
        owner, instants, kinds, amounts = zip(*rows, strict=True) if rows else ((), (), (), ())
        self.customer: Integers = np.array(owner, dtype=np.int64)
        self.happened: Integers = np.array(instants, dtype=np.int64)
        self.day: Integers = self.happened // DAY_MICROSECONDS
        self.kinds: NDArray[np.object_] = np.array(kinds, dtype=object)
        self.is_purchase = np.array([kind == "purchase" for kind in kinds], dtype=np.bool_)
        self.is_refund = np.array([kind == "refund" for kind in kinds], dtype=np.bool_)
        self.is_activity = np.array([kind not in _NO_ACTIVITY for kind in kinds], dtype=np.bool_)
        self.amount = _millionths(np.array(amounts, dtype=np.float64))
        seen = np.bincount(self.customer, minlength=len(customers))
        if (seen == 0).any():
            who = self.customers[int(np.flatnonzero(seen == 0)[0])]
            raise NotEnoughDataError(f"customer '{who}' has no event before the as_of {as_of.isoformat()}")

    def first_events(self) -> Integers:
        """Return the instant of each customer's first event, in microseconds since 1970."""
        first = np.full(len(self.customers), np.iinfo(np.int64).max, dtype=np.int64)
        np.minimum.at(first, self.customer, self.happened)
        return first

    def record(self, counted: Counted) -> Record:
        """Return what the rules of a scheme can see; see :meth:`features.stages.Scheme.counted`."""
        return Record(self.purchase_days(), self.first_events(), self._signals(counted))

    def _signals(self, counted: Counted) -> SignalEvents:
        if not counted:
            return NO_SIGNALS
        heard = [
            np.flatnonzero(self.is_activity if types is None else np.isin(self.kinds.astype(str), list(types)))
            for types in counted.values()
        ]
        rows = np.concatenate(heard)
        signal = np.repeat(np.arange(len(heard)), [len(some) for some in heard])
        order = np.lexsort((signal, self.happened[rows], self.customer[rows]))
        rows = rows[order]
        return SignalEvents(tuple(counted), self.customer[rows], self.happened[rows], signal[order])

    def categories(self, known_at_start: Sequence[str] = ()) -> dict[str, Texts]:
        """Return what was known of each customer from the start: ``channel`` of the first event, and attributes."""
        first = memory_events(self._asked, self.as_of).first_channels()
        return {CHANNEL: first, **given_at_start([one.attributes for one in self._asked], known_at_start)}

    def last_event(self) -> int:
        """Return the instant of the last event seen, in microseconds since 1970."""
        return int(self.happened.max())

    def purchase_days(self) -> PurchaseDays:
        """Return every purchase day, net of refunds as :func:`features.sql.net_days` says, by customer and day."""
        order = np.lexsort((self.happened, self.day, self.customer))
        order = order[self.is_purchase[order]]
        customer, day = self.customer[order], self.day[order]
        if not len(order):
            empty = np.zeros(0, dtype=np.int64)
            return PurchaseDays(empty, empty, np.zeros(0), empty)
        starts = np.flatnonzero(np.r_[True, (customer[1:] != customer[:-1]) | (day[1:] != day[:-1])])
        customer, day, first = customer[starts], day[starts], self.happened[order][starts]
        gross = np.add.reduceat(self.amount[order], starts)
        net = self._net(customer, day, gross)
        kept = (net > 0) | (gross == 0)
        spend = (net[kept] / AMOUNT_SCALE).astype(np.float64)
        return PurchaseDays(customer[kept], day[kept], spend, first[kept])

    def _net(self, customer: Integers, day: Integers, gross: NDArray[Any]) -> NDArray[Any]:
        """Return what refunds leave of each day's purchases, in millionths; rows are ordered by customer and day."""
        back = np.flatnonzero(self.is_refund)
        if not len(back):
            return gross
        net = gross.copy()
        # rows of one customer stand together
        owners, begins = np.unique(self.customer[back], return_index=True)
        of_owner = np.searchsorted(customer, np.column_stack([owners, owners + 1]))
        for (start, end), refunds in zip(of_owner, np.split(back, begins[1:]), strict=True):
            net[start:end] = _after_refunds(day[start:end], gross[start:end], self.day[refunds], self.amount[refunds])
        return net

    def features(self, catalog: Catalog) -> dict[str, Array]:
        """Return every feature of the catalogue, one row per customer in their order; null is NaN."""
        days, count = self.purchase_days(), len(self.customers)
        as_of_day = day_number(self.as_of)
        same = days.customer[1:] == days.customer[:-1]
        day_columns: dict[str, NDArray[Any]] = {
            "day": days.day.astype(np.float64),
            "age": as_of_day - days.day,
            "spend": np.rint(days.spend * AMOUNT_SCALE),
            "gap": np.r_[np.nan, np.where(same, np.diff(days.day).astype(np.float64), np.nan)][: len(days.day)],
        }
        log_columns: dict[str, NDArray[Any]] = {
            "day": self.day.astype(np.float64),
            "age": as_of_day - self.day,
            "purchases": self.is_purchase.astype(np.float64),
            "gross_spend": np.where(self.is_purchase, self.amount, 0),
            "refund": np.where(self.is_refund, self.amount, 0),
            "activity": self.is_activity.astype(np.float64),
            "active_day": np.where(self.is_activity, self.day.astype(np.float64), np.nan),
        }
        relations = {
            "days": (days.customer, day_columns),
            "log": (self.customer, log_columns),
        }
        values: dict[str, Array | float] = {"as_of_day": as_of_day, **catalog.parameters}
        for feature in catalog.features:
            if feature.formula is not None:
                result = formula.evaluate(feature.formula, values)
                values[feature.name] = np.broadcast_to(result, (count,))
            elif feature.relation is not None:
                owner, columns = relations[feature.relation]
                values[feature.name] = _aggregate(feature, owner, columns, count)
        return {name: np.asarray(values[name]) for name in catalog.names}


def _millionths(amounts: Array) -> NDArray[Any]:
    """Return amounts as whole millionths: 64 bits, or Python's own integers where a sum could exceed them.

    Halves are rounded away from zero, as the cast to ``decimal(18,6)`` of the event table does.
    """
    scaled = amounts * AMOUNT_SCALE
    near = np.abs(scaled) < 2**51  # beyond, doubles have no place for a half
    whole = np.where(near, np.trunc(scaled + np.copysign(0.5, scaled)), scaled)
    if np.abs(whole).sum() < 2**62:
        return whole.astype(np.int64)
    return np.array([int(value) for value in whole.tolist()], dtype=object)


def _after_refunds(day: Integers, gross: NDArray[Any], refund_day: Integers, refund: NDArray[Any]) -> NDArray[Any]:
    """Return what refunds leave of one customer's purchase days, which are in order; refunds need not be."""
    # a refund between two purchase days takes back the same as one on the earlier of them; one before all, nothing
    at = np.searchsorted(day, refund_day, side="right") - 1
    returned = np.zeros_like(gross)
    np.add.at(returned, at[at >= 0], refund[at >= 0])
    balance = np.cumsum(gross - returned)
    lowest = np.minimum.accumulate(balance[::-1])[::-1]
    return np.asarray(np.maximum(np.minimum(gross, lowest - (balance - gross + returned)), 0))


def _aggregate(feature: Feature, owner: Integers, columns: dict[str, NDArray[Any]], count: int) -> Array:
    """Return one aggregate per customer; rows within a customer are in the order of time where it matters."""
    column, age = columns[str(feature.column)], columns["age"]
    no_nulls = feature.function in ("first", "last") or column.dtype != np.float64
    kept = np.ones(len(column), dtype=np.bool_) if no_nulls else ~np.isnan(column)
    if feature.window_days is not None:
        newer, older = feature.window_days
        kept &= (age > newer) & (age <= older)
    scale = AMOUNT_SCALE if feature.column in _MONEY else 1
    owner_kept, values = owner[kept], column[kept]
    if feature.function == "count":
        return np.bincount(owner_kept, minlength=count).astype(np.float64)
    if feature.function == "sum":
        return np.asarray(_sums(owner_kept, values, count) / scale, dtype=np.float64)
    result = np.full(count, np.nan)
    if feature.function == "sum_of_squares":
        total = np.bincount(owner_kept, weights=values * values, minlength=count)
        some = np.bincount(owner_kept, minlength=count) > 0
        result[some] = total[some]
    elif feature.function in ("min", "max"):
        best = np.fmin if feature.function == "min" else np.fmax
        best.at(result, owner_kept, values)
        result /= scale
    else:
        order = slice(None, None, -1) if feature.function == "first" else slice(None)
        # the last assignment to a customer stands
        result[owner_kept[order]] = values[order]
        result /= scale
    return result


def _sums(owner: Integers, values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return one sum per customer, the same in whatever order rows are."""
    if values.dtype == np.float64:
        # whole numbers below 2^53 add up exactly
        return np.bincount(owner, weights=values, minlength=count)
    total = np.zeros(count, dtype=values.dtype)
    np.add.at(total, owner, values)
    return total

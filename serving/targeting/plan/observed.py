"""What the customers of a plan did in its window, up to each look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import iso, microseconds
from stagecast.features.contracts import Terms
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.serving.quoting import quote
from stagecast.serving.targeting.plan.kept_contracts import kept_by

if TYPE_CHECKING:
    from stagecast.features.events import EventLog

LOOKS_MAX = 12


@dataclass(frozen=True)
class Observed:
    """Orders of customers from the start of a window up to each look.

    Parameters
    ----------
    days
        Days from the start of the window to each look, shape (n_looks,).
    orders
        Purchase days up to each look, shape (n, n_looks), without those that were refunded in full
        by the end of what is known. Of contracts: 1 for who is a customer still at the look, else
        0, and the spend is what they paid.
    spend
        Money spent on them, net of refunds, shape (n, n_looks); None where there are no amounts.
    until
        End of what is known, UTC.
    closed
        Whether the window is over.
    """

    days: NDArray[np.int64]
    orders: Array
    spend: Array | None
    until: datetime
    closed: bool


def look_days(window_days: int) -> NDArray[np.int64]:
    """Return the days from the start of a window to its looks, at most :data:`LOOKS_MAX`.

    >>> look_days(30).tolist()
    [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    """
    step = -(-window_days // LOOKS_MAX)
    return np.unique(np.r_[np.arange(step, window_days, step), window_days])


def observe(
    log: EventLog,
    ids: Sequence[str],
    starts_at: datetime,
    window_days: int,
    *,
    until: datetime | None = None,
    looks: NDArray[np.int64] | None = None,
    terms: Terms | None = None,
) -> Observed:
    """Return what customers did in a window, from a log of events.

    Who has no event in the log has ordered nothing. While the window is open, what came after the
    last look that has passed is left out.

    Parameters
    ----------
    log
        The log.
    ids
        The customers, n of them.
    starts_at, window_days
        The window.
    until
        End of what is looked at; None: the day after the last event.
    looks
        Days from the start to the looks, ascending; None: :func:`look_days`.
    terms
        Types of events that begin and cancel a contract; None: churn is no purchase.

    Raises
    ------
    NotEnoughDataError
        The log ends before the first look, or begins after the start of the window.
    DataRefusedError
        None of the customers is in the log.
    """
    from stagecast.features.engines.duckdb import DailyTable  # DuckDB is slow to import

    anchor = log.choose_as_of(until)
    start = log.clock.shop(starts_at)
    looks = look_days(window_days) if looks is None else looks
    passed = looks[looks <= (anchor - start).days]
    if not len(passed):
        raise NotEnoughDataError(
            f"the log is known up to {iso(anchor)}, and the first look of the window that starts "
            f"at {iso(start)} is {looks[0]} days after it; read out later"
        )
    first = log.clock.shop(log.first_event)
    if first >= start:
        raise NotEnoughDataError(
            f"the log begins at {iso(first)}, and the window at {iso(start)}: what is missing "
            "would count as no orders; give a log that begins before the window"
        )
    back = int(passed[-1])
    end = start + timedelta(days=back)
    orders, spend = np.zeros((len(ids), len(passed))), np.zeros((len(ids), len(passed)))
    table = DailyTable(log.con, end)
    try:
        position = _positions(table.customers, ids)
        for look, days in enumerate(passed):
            # counted as the outcomes that the models are trained on
            later = table.outcomes(int(days), [back])
            row = position[later["customer"].astype(np.int64)]
            orders[row[row >= 0], look] = later["orders"][row >= 0]
            spend[row[row >= 0], look] = later["spend"][row >= 0]
        if terms is not None:
            spells = table.spells(terms)
            rows = _positions(spells.customers, ids)
            still_open = kept_by(spells, microseconds(start), passed)
            orders = np.zeros_like(orders)
            orders[rows[rows >= 0]] = still_open[rows >= 0]
    finally:
        table.close()
    if len(ids) and not (position >= 0).any():
        raise DataRefusedError(
            f"none of the {len(ids):,} customers is in the log before {iso(end)}, such as "
            f"'{quote(ids[0])}'; is it the log of the same shop, and the same --customer column?"
        )
    return Observed(
        passed,
        orders,
        spend if log.has_amounts else None,
        log.clock.instant(end),
        closed=len(passed) == len(looks),
    )


def observed_at_end(
    rows: Mapping[str, tuple[float, float | None]],
    ids: Sequence[str],
    window_days: int,
    until: datetime,
) -> Observed:
    """Return outcomes of a closed window that somebody else counted.

    Parameters
    ----------
    rows
        Customer -> orders and spend; None where there are no amounts. Who is missing has ordered
        nothing.
    ids
        The customers, n of them.
    window_days
        Length of the window.
    until
        End of the window, UTC.

    Raises
    ------
    NotEnoughDataError
        The window is still open.
    """
    if until > datetime.now(UTC):
        raise NotEnoughDataError(
            f"the window is open until {iso(until)}; what the customers did in all of it is known "
            "after that"
        )
    orders = np.array([rows.get(id_, (0.0, 0.0))[0] for id_ in ids])
    has_amounts = any(spend is not None for _, spend in rows.values())
    spend = np.array([rows.get(id_, (0.0, 0.0))[1] or 0.0 for id_ in ids])
    return Observed(
        np.array([window_days]),
        orders[:, None],
        spend[:, None] if has_amounts else None,
        until,
        closed=True,
    )


def outcomes_by_customer(
    rows: Iterable[tuple[str, float, float | None]], ids: Sequence[str], name: str
) -> dict[str, tuple[float, float | None]]:
    """Return counted outcomes by customer.

    Parameters
    ----------
    rows
        Customer, orders, and spend in money or None.
    ids
        The customers of the plan.
    name
        Its name, for errors.

    Raises
    ------
    DataRefusedError
        A customer stands twice, is not of the plan, has no whole number of orders from 0 on, or has
        no spend where others have; or there is no row, which a list that was not filled in looks
        like.
    """
    known = set(ids)
    outcomes_of_customers: dict[str, tuple[float, float | None]] = {}
    for id_, orders, spend in rows:
        if id_ not in known:
            raise DataRefusedError(
                f"customer '{quote(id_)}' is not on the list of plan {name}; give the outcomes "
                "of its customers alone"
            )
        if id_ in outcomes_of_customers:
            raise DataRefusedError(
                f"customer '{quote(id_)}' stands more than once; add up the rows of each customer"
            )
        if not orders >= 0 or orders != orders // 1:
            raise DataRefusedError(
                f"customer '{quote(id_)}' has {orders:g} orders; give a whole number, 0 or more"
            )
        outcomes_of_customers[id_] = (orders, spend)
    if not outcomes_of_customers:
        raise DataRefusedError(
            f"there is no outcome of plan {name}, and to read it out would close it; if nobody "
            "ordered, give one of its customers with 0 orders"
        )
    has_spend = any(spend is not None for _, spend in outcomes_of_customers.values())
    for id_, (orders, spend) in outcomes_of_customers.items():
        if has_spend and spend is None and orders:
            raise DataRefusedError(
                f"customer '{quote(id_)}' has {orders:g} orders and no spend, and others have one; "
                "give it of all who ordered, or of nobody"
            )
    return outcomes_of_customers


def _positions(customers: NDArray[np.object_], ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the position among the ids of each customer of a log; -1 where there is none."""
    position = {id_: k for k, id_ in enumerate(ids)}
    return np.fromiter((position.get(id_, -1) for id_ in customers), np.int64, len(customers))

"""Rows of single events: signals, contract events, and amounts of some types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.catalog.feature import NO_ACTIVITY
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import ContractEvents, Terms
from stagecast.features.engines.duckdb.expressions import HAPPENED, RECORDED
from stagecast.features.engines.duckdb.known_events import KnownEvents
from stagecast.features.record import NO_SIGNALS, SignalEvents, SignalTypes
from stagecast.features.shop.events import KNOWN


def events_of(
    known: KnownEvents,
    types_by_kind: Sequence[Sequence[str] | None],
    known_before: int | None,
    more_columns: str = "",
    source: str = "known_events",
) -> dict[str, NDArray[np.int64]]:
    """Return customer, instant and kind of events of known customers, ordered by these.

    An event that belongs to two kinds is returned twice.

    Parameters
    ----------
    known
        The events known at the anchor.
    types_by_kind
        Event types of kind 0, 1, ...; None: those of activity.
    known_before
        Events known at or after it are left out, microseconds since 1970; None: none are.
    more_columns
        Further columns to select, each after a comma.
    source
        View to read.

    Returns
    -------
    dict
        ``customer`` (row of :attr:`KnownEvents.customers`), ``instant`` (microseconds since 1970),
        ``kind`` and the further columns -> values, shape (n_events,).
    """
    condition = (
        "customer in (select customer from daily)"
        if known_before is None
        else f"{KNOWN} < {known_before}"
    )
    queries: list[str] = []
    parameters: list[str] = []
    for kind, types in enumerate(types_by_kind):
        operator, names = ("not in", NO_ACTIVITY) if types is None else ("in", tuple(types))
        if not names:
            continue
        queries.append(
            f"select customer, {HAPPENED} as instant, {kind} as kind{more_columns} "
            f"from {source} where {condition} "
            f"and event {operator} ({', '.join('?' * len(names))})"
        )
        parameters += names
    query = " union all ".join(queries) + " order by 1, 2, 3"
    return {name: values.astype(np.int64) for name, values in known.rows(query, parameters).items()}


def signal_events(known: KnownEvents, signal_types: SignalTypes, back: int) -> SignalEvents:
    """Return the events of signals that were known ``back`` days before the anchor."""
    if not signal_types:
        return NO_SIGNALS
    columns = events_of(known, list(signal_types.values()), known.at - back * DAY_MICROSECONDS)
    return SignalEvents(
        tuple(signal_types), columns["customer"], columns["instant"], columns["kind"]
    )


def contract_events(known: KnownEvents, terms: Terms) -> ContractEvents:
    """Return the contract events of some terms, those announced included.

    See :meth:`stagecast.features.engines.duckdb.DailyTable.contract_events`.
    """
    ends = [(), (), terms.ends]
    past = events_of(known, terms.types, known.at, f", {RECORDED} as recorded")
    ahead = events_of(known, ends, None, f", {RECORDED} as recorded", "announced_events")
    columns = {name: np.r_[values, ahead[name]] for name, values in past.items()}
    order = np.lexsort((columns["kind"], columns["instant"], columns["customer"]))
    return ContractEvents(
        known.at,
        *(columns[name][order] for name in ("customer", "instant", "recorded", "kind")),
    )


def amounts_of(
    known: KnownEvents, types: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return customers, times and amounts of the events of some types that have an amount.

    See :meth:`stagecast.features.engines.duckdb.DailyTable.amounts_of`.
    """
    placeholders = ", ".join("?" * len(types))
    query = (
        f"select customer, {HAPPENED} as instant, cast(amount as double) as amount "
        f"from known_events where event in ({placeholders}) and amount is not null "
        "order by 1, 2, 3"
    )
    columns = known.rows(query, types)
    return columns["customer"], columns["instant"].astype(np.int64), columns["amount"]

"""Facts of contracts that the rules of a scheme may read.

``contracts`` is the number of contracts that began so far, ``open_contracts`` is 1 while a contract
is open, else 0. They are computed from the scheme's signals ``starts``, ``renewals`` and ``ends``,
the event types of :class:`stagecast.features.contracts.Terms`, and change like other signals at
instants of the log.
"""

from __future__ import annotations

import numpy as np

from stagecast.features.contract_spells import spells_of
from stagecast.features.contracts import KINDS, ContractEvents, Terms
from stagecast.features.record import SignalEvents

CONTRACTS, OPEN_CONTRACTS = CONTRACT_FACTS = ("contracts", "open_contracts")


def with_contract_changes(signals: SignalEvents, customers: int) -> SignalEvents:
    """Return the signals with those of :data:`CONTRACT_FACTS`.

    Parameters
    ----------
    signals
        Must have the signals ``starts`` and ``ends``.
    customers
        Number of customers.
    """
    kind_of_signal = np.array(
        [KINDS.index(name) if name in KINDS else -1 for name in signals.names], dtype=np.int64
    )
    kind = kind_of_signal[signals.signal]
    rows = np.flatnonzero(kind >= 0)
    rows = rows[np.lexsort((kind[rows], signals.instant[rows], signals.customer[rows]))]
    instant = signals.instant[rows]
    # every event of the record was known before the as_of, so none lies after it
    as_of = int(instant.max(initial=0)) + 1
    events = ContractEvents(as_of, signals.customer[rows], instant, instant, kind[rows])
    spells = spells_of(events, np.empty(customers, dtype=object), Terms().last_bill_days)
    over = np.flatnonzero(~spells.open)
    names = (*signals.names, *CONTRACT_FACTS)
    counts = [len(signals.customer), len(spells), len(spells), len(over)]
    positions = [names.index(name) for name in (CONTRACTS, OPEN_CONTRACTS, OPEN_CONTRACTS)]
    customer = np.r_[
        signals.customer, spells.customer, spells.customer, spells.customer[over]
    ].astype(np.int64)
    all_instants = np.r_[signals.instant, spells.start, spells.start, spells.end[over]]
    signal = np.r_[signals.signal, np.repeat(positions, counts[1:])].astype(np.int64)
    change = np.r_[signals.changes, np.repeat([1, 1, -1], counts[1:])].astype(np.int64)
    order = np.lexsort((signal, all_instants, customer))
    return SignalEvents(
        names, customer[order], all_instants[order].astype(np.int64), signal[order], change[order]
    )

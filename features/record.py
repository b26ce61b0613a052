"""Facts of customers that stage rules read: purchase days, first events and signal events.

Engines build them (:meth:`stagecast.features.engines.duckdb.DailyTable.record`,
:meth:`stagecast.features.engines.memory.MemoryEvents.record`);
:mod:`stagecast.features.stages.facts` and :mod:`stagecast.features.stages.journeys` read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers

ACTIVITY = "activity"
"""Name of the signal that every scheme has: events other than purchases, refunds and those that
the marketer makes.
"""

SignalTypes = Mapping[str, Sequence[str] | None]
"""Name of a signal -> event types that it counts; None: those of :data:`ACTIVITY`."""


@dataclass(frozen=True)
class PurchaseDays:
    """Every purchase day known at the anchor, ordered by customer and day.

    A day whose purchases were refunded in full is left out.

    Parameters
    ----------
    customer
        Row of :attr:`DailyTable.customers`, shape (n_days,).
    day
        Days since 1970, UTC.
    spend
        Money spent on the day, net of refunds.
    first_purchase
        Time of the day's first purchase, microseconds since 1970, UTC.
    """

    customer: Integers
    day: Integers
    spend: NDArray[np.float64]
    first_purchase: Integers

    def of(self, rows: Integers) -> PurchaseDays:
        """Return these purchase days."""
        return PurchaseDays(
            self.customer[rows], self.day[rows], self.spend[rows], self.first_purchase[rows]
        )


@dataclass(frozen=True)
class SignalEvents:
    """Events that signals count, ordered by customer and time.

    An event that counts for two signals has two rows. A signal is the sum of the changes so far:
    the number of its events, unless ``change`` says otherwise.

    Parameters
    ----------
    names
        Names of the signals.
    customer
        Row of the customers, shape (n_events,).
    instant
        Microseconds since 1970, UTC.
    signal
        Position in ``names``.
    change
        What each event adds to its signal; None: 1.
    """

    names: tuple[str, ...]
    customer: Integers
    instant: Integers
    signal: Integers
    change: Integers | None = None

    @property
    def changes(self) -> Integers:
        """What each event adds to its signal, shape (n_events,)."""
        return np.ones(len(self.customer), dtype=np.int64) if self.change is None else self.change


_EMPTY = np.zeros(0, dtype=np.int64)
NO_SIGNALS = SignalEvents((), _EMPTY, _EMPTY, _EMPTY)


@dataclass(frozen=True)
class Record:
    """Purchase days, first events and signal events of the customers numbered 0, 1, 2, ...

    Parameters
    ----------
    days
        Purchase days.
    first_events
        Time of each customer's first event, microseconds since 1970, UTC, shape (n_customers,).
        The largest integer for a customer without a known event.
    signals
        Events that signals count.
    """

    days: PurchaseDays
    first_events: Integers
    signals: SignalEvents = NO_SIGNALS

    def __len__(self) -> int:
        return len(self.first_events)

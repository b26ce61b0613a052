"""What the rules can see of the customers of a log: purchase days, first events, and the events
that count as signals.

Engines fill it (:meth:`stagecast.features.engines.duckdb.DailyTable.record`,
:meth:`stagecast.features.engines.evaluator.MemoryEvents.record`);
:mod:`stagecast.features.stages.facts` and :mod:`stagecast.features.stages.journeys` read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers

ACTIVITY = "activity"
"""Every event that is neither purchase nor refund nor made by the marketer, as a signal that
each scheme has.
"""

Counted = Mapping[str, Sequence[str] | None]
"""Name of a signal -> types of the events that count; None: those of :data:`ACTIVITY`."""


@dataclass(frozen=True)
class PurchaseDays:
    """Every purchase day known at the anchor, ordered by customer and day.

    ``customer`` is the row of :attr:`DailyTable.customers`, ``day`` a day number,
    ``first_purchase`` the instant of the day's first purchase in microseconds since 1970, ``spend``
    what refunds have left of the day's purchases. A day of which they have left nothing is not
    among them.
    """

    customer: Integers
    day: Integers
    spend: NDArray[np.float64]
    first_purchase: Integers


@dataclass(frozen=True)
class SignalEvents:
    """The events that count as signals, ordered by customer and instant.

    ``signal`` is a position in ``names``; ``instant`` is in microseconds since 1970. An event that
    counts for two signals stands there twice.
    """

    names: tuple[str, ...]
    customer: Integers
    instant: Integers
    signal: Integers


_NONE = np.zeros(0, dtype=np.int64)
NO_SIGNALS = SignalEvents((), _NONE, _NONE, _NONE)


@dataclass(frozen=True)
class Record:
    """Purchase days, first events and signals of the customers numbered 0, 1, 2, ...

    ``first_events`` has one entry per customer, in microseconds since 1970; the largest integer for
    those of whom nothing is known.
    """

    days: PurchaseDays
    first_events: Integers
    signals: SignalEvents = NO_SIGNALS

    def __len__(self) -> int:
        return len(self.first_events)

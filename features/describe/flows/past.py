"""What had happened before the as_of: journeys and purchase days, cut there.

Journeys run on by themselves: a silence that is still to come already has its stages in them. A
table that counted those would tell of a future that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Spells:
    """Spells that began before ``as_of``, ordered by customer and start; instants in microseconds
    since 1970.

    ``stage`` is a position in ``ids``. ``end`` is where the customer's next spell starts; of a
    spell that was not ``over`` it is the as_of.
    """

    ids: tuple[str, ...]
    as_of: int
    customer: Ints
    stage: Ints
    start: Ints
    end: Ints
    over: NDArray[np.bool_]


def spells_before(journeys: Journeys, as_of: int) -> Spells:
    """Return the spells that began before an instant, each with its end as it was known then."""
    kept = journeys.start < as_of
    customer, stage, start = journeys.customer[kept], journeys.stage[kept], journeys.start[kept]
    over = np.zeros(len(start), dtype=bool)
    over[:-1] = customer[1:] == customer[:-1]
    end = np.full(len(start), as_of, dtype=np.int64)
    end[:-1][over[:-1]] = start[1:][over[:-1]]
    return Spells(journeys.scheme.ids, as_of, customer, stage, start, end, over)


def bought_before(days: PurchaseDays, as_of: int) -> PurchaseDays:
    """Return the purchase days whose first purchase stands before an instant."""
    kept = days.first_purchase < as_of
    if kept.all():
        return days
    return PurchaseDays(
        days.customer[kept], days.day[kept], days.spend[kept], days.first_purchase[kept]
    )

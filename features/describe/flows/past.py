"""Journeys and purchase days as they were before the as_of.

Journeys include the stages that customers will reach if nothing more happens. Tables must not count
those, since nobody has seen them yet.
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
    """Spells that began before an as_of, ordered by customer and start.

    Parameters
    ----------
    ids
        Ids of the scheme's stages.
    as_of
        Microseconds since 1970, UTC.
    customer
        Row of the customer, shape (n_spells,).
    stage
        Position in ``ids``, shape (n_spells,).
    start, end
        Microseconds since 1970, UTC, shape (n_spells,). A spell ends where the customer's next one
        starts, or at the as_of if it is not over.
    over
        Whether the spell had ended before the as_of, shape (n_spells,).
    """

    ids: tuple[str, ...]
    as_of: int
    customer: Ints
    stage: Ints
    start: Ints
    end: Ints
    over: NDArray[np.bool_]


def spells_before(journeys: Journeys, as_of: int) -> Spells:
    """Return the spells that began before an instant, with their ends as known then."""
    is_before = journeys.start < as_of
    customer, stage, start = (
        journeys.customer[is_before],
        journeys.stage[is_before],
        journeys.start[is_before],
    )
    over = np.zeros(len(start), dtype=bool)
    over[:-1] = customer[1:] == customer[:-1]
    end = np.full(len(start), as_of, dtype=np.int64)
    end[:-1][over[:-1]] = start[1:][over[:-1]]
    return Spells(journeys.scheme.ids, as_of, customer, stage, start, end, over)


def purchases_before(days: PurchaseDays, as_of: int) -> PurchaseDays:
    """Return the purchase days whose first purchase was before an instant."""
    is_before = days.first_purchase < as_of
    if is_before.all():
        return days
    return PurchaseDays(
        days.customer[is_before],
        days.day[is_before],
        days.spend[is_before],
        days.first_purchase[is_before],
    )

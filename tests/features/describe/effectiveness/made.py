"""Logs for the tests of effectiveness: by hand, or simulated with a known purchase rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.scheme_files import load_scheme

DAY = 86_400_000_000
SCHEME = load_scheme("retail")


def purchases(rows: Sequence[tuple[int, int, float]]) -> PurchaseDays:
    """Return purchase days, given as customer, day and spend."""
    ordered = sorted(rows)
    day = np.array([row[1] for row in ordered], dtype=np.int64)
    return PurchaseDays(
        np.array([row[0] for row in ordered], dtype=np.int64),
        day,
        np.array([row[2] for row in ordered], dtype=np.float64),
        day * DAY + DAY // 2,
    )


def spells(rows: Sequence[tuple[int, float, int]]) -> Journeys:
    """Return spells, given as customer, day on which they begin, and stage."""
    ordered = sorted(rows)
    return Journeys(
        SCHEME,
        np.array([row[0] for row in ordered], dtype=np.int64),
        np.array([row[2] for row in ordered], dtype=np.int64),
        np.array([round(row[1] * DAY) for row in ordered], dtype=np.int64),
    )


def simulated(
    rng: np.random.Generator,
    customers: int,
    rates: NDArray[np.float64],
    mean_spend: NDArray[np.float64],
) -> tuple[PurchaseDays, Journeys, NDArray[np.int64]]:
    """Return a log of customers who buy each day with their own propensity times the day's rate.

    ``rates`` and ``mean_spend`` have one value per day. All customers are known from the first day
    and buy until the last. They move between stages 1 and 2, with a mean stay of 20 days on either.
    """
    propensity = rng.gamma(2.0, 0.5, customers)
    bought = rng.random((customers, len(rates))) < np.minimum(propensity[:, None] * rates, 1.0)
    customer, day = np.nonzero(bought)
    spend = rng.gamma(2.0, mean_spend[day] / 2.0)
    days = PurchaseDays(customer, day.astype(np.int64), spend, day * DAY + DAY // 2)
    steps = np.cumsum(rng.exponential(20.0, (customers, 8 + len(rates) // 8)), axis=1)
    start = np.column_stack([np.zeros(customers), steps])
    stage = np.tile(1 + np.arange(start.shape[1]) % 2, (customers, 1))
    in_log = start < len(rates)
    spell_customer = np.nonzero(in_log)[0]
    journeys = Journeys(
        SCHEME, spell_customer, stage[in_log], np.asarray(start[in_log] * DAY, dtype=np.int64)
    )
    return days, journeys, np.zeros(customers, dtype=np.int64)

"""How long each stage lasts, and how long it takes to get to each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.flows.columns import counts, names, numbers
from stagecast.features.describe.flows.past import spells_before
from stagecast.features.describe.flows.survival import product_limit
from stagecast.features.stages.journeys import Journeys

Ints = NDArray[np.int64]


def durations(journeys: Journeys, as_of: int) -> pa.Table:
    """Return how long the spells of each stage last, in days of 24 hours (the table ``spells``).

    Parameters
    ----------
    journeys
        What begins at or after the as_of does not enter.
    as_of
        Microseconds since 1970 UTC.

    Returns
    -------
    pa.Table
        One row per stage of the scheme: ``stage``; ``spells`` that began; ``open``, those of them
        that still lasted at the as_of (censored there); ``low_quartile_days``, ``median_days`` and
        ``high_quartile_days`` after which 25, 50 and 75 % of spells are over (product-limit
        estimate, null where the curve does not fall that far); ``mean_days`` of the spells that are
        over, which is too short where many are still open.

    Whichever stage follows ends a spell: nothing but the as_of cuts one off, so the estimate holds
    as long as spells that began late last as long as those that began early.
    """
    spells = spells_before(journeys, as_of)
    lasted = spells.end - spells.start
    rows = []
    for stage in range(len(spells.ids)):
        here = spells.stage == stage
        completed, still_open = lasted[here & spells.over], lasted[here & ~spells.over]
        mean = float(completed.mean()) / DAY_MICROSECONDS if len(completed) else None
        quartiles = product_limit(completed, still_open).quartiles(DAY_MICROSECONDS)
        rows.append((len(completed) + len(still_open), len(still_open), *quartiles, mean))
    began, still, low, median, high, mean_days = zip(*rows, strict=True)
    return pa.table(
        {
            "stage": names(spells.ids, np.arange(len(spells.ids))),
            "spells": counts(began),
            "open": counts(still),
            "low_quartile_days": numbers(low),
            "median_days": numbers(median),
            "high_quartile_days": numbers(high),
            "mean_days": numbers(mean_days),
        }
    )


def time_to_stage(journeys: Journeys, first_events: Ints, as_of: int) -> pa.Table:
    """Return the time from a customer's first event to the first entry into each stage, in days of
    24 hours.

    Parameters
    ----------
    journeys
        What begins at or after the as_of does not enter.
    first_events
        Instant of each customer's first event, in microseconds since 1970; those from the as_of on
        are not known yet.
    as_of
        Microseconds since 1970 UTC.

    Returns
    -------
    pa.Table
        One row per stage of the scheme: ``stage``; ``customers`` known at the as_of; ``reached``,
        those who had been on the stage; ``low_quartile_days``, ``median_days`` and
        ``high_quartile_days`` by which 25, 50 and 75 % of *all* customers have reached it
        (product-limit estimate; null where the curve does not fall that far). Who began on the
        stage took 0 days. The way through all stages is the row of the last one of the path.

    Everyone who has not reached a stage counts as still able to, up to the as_of, where the sight
    ends (censored). That holds also for those who went elsewhere for good: nothing tells them from
    those who come back. So the quartiles are not those of the customers who got there, which are
    shorter, and a stage that most never see has no median.
    """
    spells = spells_before(journeys, as_of)
    known = np.flatnonzero(first_events < as_of)
    rows = []
    for stage in range(len(spells.ids)):
        here = np.flatnonzero(spells.stage == stage)
        customer = spells.customer[here]
        first = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]][: len(customer)])
        reached = customer[first]
        waiting = np.ones(len(first_events), dtype=bool)
        waiting[reached] = False
        waits = known[waiting[known]]
        curve = product_limit(
            spells.start[here[first]] - first_events[reached], as_of - first_events[waits]
        )
        rows.append((len(reached), *curve.quartiles(DAY_MICROSECONDS)))
    got_there, low, median, high = zip(*rows, strict=True)
    return pa.table(
        {
            "stage": names(spells.ids, np.arange(len(spells.ids))),
            "customers": counts([len(known)] * len(rows)),
            "reached": counts(got_there),
            "low_quartile_days": numbers(low),
            "median_days": numbers(median),
            "high_quartile_days": numbers(high),
        }
    )

"""How long each stage lasts, and how long it takes customers to reach it."""

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
        Spells that begin at or after the as_of do not enter.
    as_of
        Microseconds since 1970, UTC.

    Returns
    -------
    pa.Table
        One row per stage of the scheme: ``stage``; ``spells`` that began; ``open``, those of them
        that still lasted at the as_of (censored there); ``low_quartile_days``, ``median_days`` and
        ``high_quartile_days`` after which 25, 50 and 75 % of spells are over (product-limit
        estimate, null where the curve does not fall that far); ``mean_days`` of the spells that are
        over, which is too short where many are still open.

    A spell ends with any other stage, and only the as_of censors it. So the estimate is valid if
    spells that began late last as long as those that began early.
    """
    spells = spells_before(journeys, as_of)
    lasted = spells.end - spells.start
    rows = []
    for stage in range(len(spells.ids)):
        on_stage = spells.stage == stage
        completed, still_open = lasted[on_stage & spells.over], lasted[on_stage & ~spells.over]
        mean = float(completed.mean()) / DAY_MICROSECONDS if len(completed) else None
        quartiles = product_limit(completed, still_open).quartiles(DAY_MICROSECONDS)
        rows.append((len(completed) + len(still_open), len(still_open), *quartiles, mean))
    spell_counts, open_counts, low, median, high, mean_days = zip(*rows, strict=True)
    return pa.table(
        {
            "stage": names(spells.ids, np.arange(len(spells.ids))),
            "spells": counts(spell_counts),
            "open": counts(open_counts),
            "low_quartile_days": numbers(low),
            "median_days": numbers(median),
            "high_quartile_days": numbers(high),
            "mean_days": numbers(mean_days),
        }
    )


def time_to_stage(journeys: Journeys, first_events: Ints, as_of: int) -> pa.Table:
    """Return the days of 24 hours from a customer's first event to the first spell of each stage.

    Parameters
    ----------
    journeys
        Spells that begin at or after the as_of do not enter.
    first_events
        Instant of each customer's first event, in microseconds since 1970, UTC, shape
        (n_customers,); customers with one from the as_of on are not known yet.
    as_of
        Microseconds since 1970, UTC.

    Returns
    -------
    pa.Table
        One row per stage of the scheme: ``stage``; ``customers`` known at the as_of; ``reached``,
        those who had been on the stage; ``low_quartile_days``, ``median_days`` and
        ``high_quartile_days`` by which 25, 50 and 75 % of *all* customers have reached it
        (product-limit estimate; null where the curve does not fall that far). Customers who began
        on the stage took 0 days. The time through all stages is the row of the last stage of the
        path.

    A customer who has not reached a stage is censored at the as_of, even if they went elsewhere for
    good, since they cannot be distinguished from those who come back. So the quartiles are longer
    than those of the customers who reached the stage, and a stage that most never reach has no
    median.
    """
    spells = spells_before(journeys, as_of)
    known = np.flatnonzero(first_events < as_of)
    rows = []
    for stage in range(len(spells.ids)):
        stage_rows = np.flatnonzero(spells.stage == stage)
        customer = spells.customer[stage_rows]
        first = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]][: len(customer)])
        reached = customer[first]
        waiting = np.ones(len(first_events), dtype=bool)
        waiting[reached] = False
        waiting_known = known[waiting[known]]
        curve = product_limit(
            spells.start[stage_rows[first]] - first_events[reached],
            as_of - first_events[waiting_known],
        )
        rows.append((len(reached), *curve.quartiles(DAY_MICROSECONDS)))
    reached_counts, low, median, high = zip(*rows, strict=True)
    return pa.table(
        {
            "stage": names(spells.ids, np.arange(len(spells.ids))),
            "customers": counts([len(known)] * len(rows)),
            "reached": counts(reached_counts),
            "low_quartile_days": numbers(low),
            "median_days": numbers(median),
            "high_quartile_days": numbers(high),
        }
    )

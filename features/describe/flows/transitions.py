"""Customers by stage before and after: over each period, and between any two dates."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.describe.flows.columns import counts, money, names, numbers, share, spans
from stagecast.features.describe.flows.past import Spells, spells_before
from stagecast.features.describe.flows.periods import Periods
from stagecast.features.describe.flows.stock import balance
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

Ints = NDArray[np.int64]


def transitions(journeys: Journeys, periods: Periods) -> pa.Table:
    """Return for each period how many customers went from one stage to another or stayed.

    Parameters
    ----------
    journeys
        Spells from the as_of of ``periods`` on do not enter.
    periods
        See :func:`stagecast.features.describe.flows.periods.periods`.

    Returns
    -------
    pa.Table
        ``period_start``, ``period_end``; ``from_stage`` just before the start (null: not known
        yet), ``to_stage`` just before the end; ``customers``; ``share`` of those with the same
        ``from_stage`` in that period. Each customer known at the end is in exactly one row of a
        period; stages passed through in between do not show. Rows without customers are left out.
    """
    spells = spells_before(journeys, periods.as_of)
    moved_counts = _counts_of_moved(spells, periods)
    opening = balance(spells, periods).opening
    stages = np.arange(len(spells.ids))
    # customers who began no spell within the period stayed
    moved_counts[:, stages + 1, stages] += opening - moved_counts[:, 1:, :].sum(axis=2)
    period, origin, target = np.nonzero(moved_counts)
    span = spans(periods, period)
    return pa.table(
        {
            "period_start": span["period_start"],
            "period_end": span["period_end"],
            "from_stage": names(spells.ids, origin - 1),
            "to_stage": names(spells.ids, target),
            "customers": counts(moved_counts[period, origin, target]),
            "share": numbers(
                share(
                    moved_counts[period, origin, target], moved_counts.sum(axis=2)[period, origin]
                )
            ),
        }
    )


def transitions_between(
    journeys: Journeys,
    days: PurchaseDays,
    customers: int,
    start: int,
    end: int,
    as_of: int,
    has_amounts: bool = True,
) -> pa.Table:
    """Return how many customers went from one stage to another, or stayed, between two dates.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the same customers.
    customers
        Number of customers.
    start, end, as_of
        Microseconds since 1970, UTC.
    has_amounts
        Whether the log has amounts; if not, ``value`` is null.

    Returns
    -------
    pa.Table
        ``from_stage``, ``to_stage``, ``customers`` and ``share`` as in :func:`transitions`, and
        ``value``: what these customers spent in ``[start, end)``.

    Raises
    ------
    UsageError
        The start is not before the end, or the end lies after the as_of.
    """
    if start >= end:
        raise UsageError(
            f"the start {_text(start)} is not before the end {_text(end)}; swap them or "
            "choose others"
        )
    if end > as_of:
        raise UsageError(
            f"the end {_text(end)} stands after the as_of {_text(as_of)}; choose "
            f"{_text(as_of)} at most"
        )
    ids = journeys.scheme.ids
    origin, target = journeys.at(start, customers)[0], journeys.at(end, customers)[0]
    shape = (len(ids) + 1, len(ids) + 1)
    # position 0 is "not known"; customers not known at the end were not known at the start either
    cell = (origin + 1) * shape[1] + target + 1
    moved_counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)[:, 1:]
    value = np.full(shape, np.nan)
    if has_amounts:
        in_span = (days.first_purchase >= start) & (days.first_purchase < end)
        value = money(
            cell[days.customer[in_span]], days.spend[in_span], shape[0] * shape[1]
        ).reshape(shape)
    rows, columns = np.nonzero(moved_counts)
    return pa.table(
        {
            "from_stage": names(ids, rows - 1),
            "to_stage": names(ids, columns),
            "customers": counts(moved_counts[rows, columns]),
            "share": numbers(share(moved_counts[rows, columns], moved_counts.sum(axis=1)[rows])),
            "value": numbers(value[rows, columns + 1]),
        }
    )


def _counts_of_moved(spells: Spells, periods: Periods) -> Ints:
    """Return counts of customers with a spell that began in a period.

    By period, stage before the period (0: none) and stage at its end, which may be the same if a
    customer went and came back.
    """
    period = periods.positions(spells.start)
    changes = (spells.customer[1:] != spells.customer[:-1]) | (period[1:] != period[:-1])
    within = period >= 0
    first = np.flatnonzero(np.r_[True, changes][: len(period)] & within)
    last = np.flatnonzero(np.r_[changes, True][: len(period)] & within)
    before = np.where(np.r_[False, spells.over[:-1]][first], spells.stage[first - 1], -1)
    shape = (len(periods), len(spells.ids) + 1, len(spells.ids))
    cell = (period[first] * shape[1] + before + 1) * shape[2] + spells.stage[last]
    return np.bincount(cell, minlength=shape[0] * shape[1] * shape[2]).reshape(shape)


def _text(instant: int) -> str:
    return iso(from_microseconds(instant))

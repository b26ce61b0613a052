"""How many customers stand on each stage at the end of each period, what they bring, who came
and who left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.describe.flows.columns import counts, money, names, numbers, share, spans
from stagecast.features.describe.flows.past import Spells, bought_before, spells_before
from stagecast.features.describe.flows.periods import Periods
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Balance:
    """Customers on each stage, as an account: arrays of shape (periods, stages).

    ``opening`` stand on the stage just before the start of the period, ``closing`` just before its
    end; ``closing = opening + entries - exits``.
    """

    opening: Ints
    entries: Ints
    exits: Ints
    closing: Ints


def balance(spells: Spells, periods: Periods) -> Balance:
    """Return the account of every stage and period.

    A spell that began exactly at the start of a period is an entry of that period: as in
    :meth:`stagecast.features.stages.journeys.Journeys.at`, a customer stands on a stage only
    *after* the instant it began.
    """
    n, stages = len(periods), len(spells.ids)
    entries = _by_period(periods.number(spells.start), spells.stage, n, stages)
    exits = _by_period(
        periods.number(spells.end[spells.over]), spells.stage[spells.over], n, stages
    )
    # the first row holds what came and went before the first period
    standing = np.cumsum(entries - exits, axis=0)
    return Balance(standing[:-1], entries[1:], exits[1:], standing[1:])


def stock(
    journeys: Journeys, days: PurchaseDays, periods: Periods, has_amounts: bool = True
) -> pa.Table:
    """Return the customers on each stage at the end of each period, and what happened to the stage
    within it.

    Parameters
    ----------
    journeys, days
        Of the same customers. What stands at or after the as_of of ``periods`` does not enter.
    periods
        See :func:`stagecast.features.describe.flows.periods.periods`.
    has_amounts
        Whether the log says what was paid; without, ``value`` is null.

    Returns
    -------
    pa.Table
        One row per period and stage: ``period_start``, ``period_end``, ``complete``; ``stage``
        (id); ``customers`` on it just before the period's end; ``share`` of all customers known
        then; ``value``, the spend within the period of the customers who stand on the stage at its
        *end* (wherever they stood when they bought); ``entries``, spells of the stage that began in
        ``[period_start, period_end)``; ``exits``, spells of it that ended therein. A customer who
        comes, goes and comes back within a period is two entries and one exit.

    Raises
    ------
    UsageError
        A customer bought in a period by whose end they were on no stage: journeys and days do not
        belong together.
    """
    spells = spells_before(journeys, periods.as_of)
    account = balance(spells, periods)
    n, stages = account.closing.shape
    period = np.repeat(np.arange(n), stages)
    value = np.full(n * stages, np.nan)
    if has_amounts:
        value = _value(spells, bought_before(days, periods.as_of), periods, n * stages)
    known = np.broadcast_to(account.closing.sum(axis=1, keepdims=True), account.closing.shape)
    return pa.table(
        {
            **spans(periods, period),
            "stage": names(spells.ids, np.tile(np.arange(stages), n)),
            "customers": counts(account.closing.ravel()),
            "share": numbers(share(account.closing, known).ravel()),
            "value": numbers(value),
            "entries": counts(account.entries.ravel()),
            "exits": counts(account.exits.ravel()),
        }
    )


def _by_period(period: Ints, stage: Ints, n: int, stages: int) -> Ints:
    """Count by period and stage; row 0 holds what stands before the first of the ``n`` periods."""
    counted = np.bincount((period + 1) * stages + stage, minlength=(n + 1) * stages)
    return counted.reshape(n + 1, stages)


def _value(spells: Spells, days: PurchaseDays, periods: Periods, cells: int) -> NDArray[np.float64]:
    """Return the spend within each period by the stage at its end, flat over periods and stages."""
    within = periods.number(days.first_purchase)
    bought = np.flatnonzero(within >= 0)
    # the spell at a period's end is the customer's last of those that began in the period or before
    # it
    slots = len(periods) + 1
    began = spells.customer * slots + periods.number(spells.start) + 1
    at_end = (
        np.searchsorted(began, days.customer[bought] * slots + within[bought] + 1, side="right") - 1
    )
    nowhere = at_end < np.searchsorted(spells.customer, days.customer[bought])
    if nowhere.any():
        strangers = np.unique(days.customer[bought][nowhere])
        raise UsageError(
            f"{len(strangers)} customers (the first is row {strangers[0]}) bought before "
            "they were on any stage; take"
            " journeys and purchase days from one log at one as_of"
        )
    cell = within[bought] * len(spells.ids) + spells.stage[at_end]
    return money(cell, days.spend[bought], cells)

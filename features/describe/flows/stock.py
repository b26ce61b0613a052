"""Customers on each stage at the end of each period, with their value, entries and exits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.describe.flows.columns import counts, money, names, numbers, share, spans
from stagecast.features.describe.flows.past import Spells, purchases_before, spells_before
from stagecast.features.describe.flows.periods import Periods
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Balance:
    """Number of customers on each stage as an account; arrays of shape (n_periods, n_stages).

    Parameters
    ----------
    opening
        Just before the start of the period.
    entries, exits
        Spells that began and ended in the period.
    closing
        Just before the end of the period: ``opening + entries - exits``.
    """

    opening: Ints
    entries: Ints
    exits: Ints
    closing: Ints


def balance(spells: Spells, periods: Periods) -> Balance:
    """Return the account of every stage and period.

    A spell that begins exactly at the start of a period is an entry of that period: as in
    :meth:`stagecast.features.stages.journeys.Journeys.at`, a customer is on a stage only *after*
    the instant at which it began.
    """
    n_periods, n_stages = len(periods), len(spells.ids)
    entries = _counts_by_period(periods.positions(spells.start), spells.stage, n_periods, n_stages)
    exits = _counts_by_period(
        periods.positions(spells.end[spells.over]), spells.stage[spells.over], n_periods, n_stages
    )
    # the first row holds entries and exits before the first period
    standing = np.cumsum(entries - exits, axis=0)
    return Balance(standing[:-1], entries[1:], exits[1:], standing[1:])


def stock(
    journeys: Journeys, days: PurchaseDays, periods: Periods, has_amounts: bool = True
) -> pa.Table:
    """Return for each stage and period the customers at the period's end, entries and exits.

    Parameters
    ----------
    journeys, days
        Of the same customers. Spells and purchases from the as_of of ``periods`` on do not enter.
    periods
        See :func:`stagecast.features.describe.flows.periods.periods`.
    has_amounts
        Whether the log has amounts; if not, ``value`` is null.

    Returns
    -------
    pa.Table
        One row per period and stage: ``period_start``, ``period_end``, ``complete``; ``stage``
        (id); ``customers`` on it just before the period's end; ``share`` of all customers known
        then; ``value``, the spend within the period of the customers who are on the stage at its
        *end* (wherever they were when they bought); ``entries``, spells of the stage that began in
        ``[period_start, period_end)``; ``exits``, spells of it that ended therein. A customer who
        comes, goes and comes back within a period is two entries and one exit.

    Raises
    ------
    UsageError
        A customer bought in a period by whose end they were on no stage: journeys and days are not
        of the same log.
    """
    spells = spells_before(journeys, periods.as_of)
    account = balance(spells, periods)
    n_periods, n_stages = account.closing.shape
    period = np.repeat(np.arange(n_periods), n_stages)
    value = np.full(n_periods * n_stages, np.nan)
    if has_amounts:
        value = _spend_by_stage(
            spells, purchases_before(days, periods.as_of), periods, n_periods * n_stages
        )
    known = np.broadcast_to(account.closing.sum(axis=1, keepdims=True), account.closing.shape)
    return pa.table(
        {
            **spans(periods, period),
            "stage": names(spells.ids, np.tile(np.arange(n_stages), n_periods)),
            "customers": counts(account.closing.ravel()),
            "share": numbers(share(account.closing, known).ravel()),
            "value": numbers(value),
            "entries": counts(account.entries.ravel()),
            "exits": counts(account.exits.ravel()),
        }
    )


def _counts_by_period(period: Ints, stage: Ints, n_periods: int, n_stages: int) -> Ints:
    """Return counts by period and stage; row 0 is for what lies before the first period."""
    cells = np.bincount((period + 1) * n_stages + stage, minlength=(n_periods + 1) * n_stages)
    return cells.reshape(n_periods + 1, n_stages)


def _spend_by_stage(
    spells: Spells, days: PurchaseDays, periods: Periods, cells: int
) -> NDArray[np.float64]:
    """Return the spend in each period by the stage at its end, flat over periods and stages."""
    period = periods.positions(days.first_purchase)
    in_periods = np.flatnonzero(period >= 0)
    # the spell at a period's end is the customer's last one that began in the period or before it
    slots = len(periods) + 1
    spell_key = spells.customer * slots + periods.positions(spells.start) + 1
    spell_at_end = (
        np.searchsorted(
            spell_key, days.customer[in_periods] * slots + period[in_periods] + 1, side="right"
        )
        - 1
    )
    has_no_stage = spell_at_end < np.searchsorted(spells.customer, days.customer[in_periods])
    if has_no_stage.any():
        affected = np.unique(days.customer[in_periods][has_no_stage])
        raise UsageError(
            f"{len(affected)} customers (the first is row {affected[0]}) bought before "
            "they were on any stage; take"
            " journeys and purchase days from one log at one as_of"
        )
    cell = period[in_periods] * len(spells.ids) + spells.stage[spell_at_end]
    return money(cell, days.spend[in_periods], cells)

"""The table of channels of a log, with what scores say of its customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.attributes import CHANNEL, MISSING, Texts
from stagecast.features.clock import microseconds
from stagecast.features.describe.channels.costs import COST_EVENTS, Costs, logged_costs
from stagecast.features.describe.channels.origins import origins
from stagecast.features.describe.channels.rows import Buyers
from stagecast.features.describe.channels.table import ChannelTable, channel_table
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.features.intake.counted import counted
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    from stagecast.features.events import EventLog

LAPSED = "lapsed"


@dataclass(frozen=True)
class Standings:
    """Value to come and state of customers, as their scores say.

    Parameters
    ----------
    ids
        Their ids, shape (n_scores,).
    clv
        Value to come, NaN where it is null, shape (n_scores,).
    lost
        Whether they have lapsed, shape (n_scores,).
    """

    ids: Texts
    clv: Array
    lost: NDArray[np.bool_]

    @classmethod
    def of_scores(cls, scores: pa.Table) -> Standings:
        """Return what scores say; they have the columns customer_id, clv and state."""
        return cls(
            scores["customer_id"].to_numpy(zero_copy_only=False),
            scores["clv"].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64),
            scores["state"].to_numpy(zero_copy_only=False) == LAPSED,
        )

    def of(self, customers: Texts) -> tuple[Array, NDArray[np.bool_]]:
        """Return clv and lost of customers, in their order.

        Raises
        ------
        UsageError
            A customer has no score.
        """
        row = dict(zip(self.ids.tolist(), range(len(self.ids)), strict=True))
        rows = np.array([row.get(customer, -1) for customer in customers], dtype=np.int64)
        if (rows < 0).any():
            first = customers[int(np.flatnonzero(rows < 0)[0])]
            number = int((rows < 0).sum())
            raise UsageError(
                f"{counted(number, 'customer')} of the log {'has' if number == 1 else 'have'} no "
                f"score, the first is '{first}': score this log at this --as-of, or give --model "
                "in place of --scores"
            )
        return self.clv[rows], self.lost[rows]


def channels_of(
    log: EventLog,
    as_of: datetime,
    standings: Standings | None = None,
    *,
    by: str = CHANNEL,
    costs: Costs = Costs(),  # noqa: B008 - it is frozen
    cost_events: tuple[str, ...] = (),
    margin: float = 1.0,
    unit: str | None = None,
) -> ChannelTable:
    """Return the customers of a log by what they were first seen in.

    Parameters
    ----------
    log
        The log.
    as_of
        Where the customers stand.
    standings
        What scores say of them; None: the scheme ``retail`` says who has lapsed, and value to come
        is not told.
    by
        ``channel``, or a column of the table of customers.
    costs
        Costs of acquisition beside those in the log.
    cost_events
        Types of events that are such costs, by channel; none: ``ad_cost``.
    margin
        Share of the spend that is earned.
    unit
        Of the cohorts; None: by the length of the log.

    Raises
    ------
    stagecast.features.errors.StagecastError
        Nothing can be grouped by ``by``, or a customer has no score.
    """
    table = DailyTable(log.con, as_of)
    try:
        return _channels(log, table, as_of, standings, by, costs, cost_events, margin, unit)
    finally:
        table.close()


def channels_if_any(
    log: EventLog, as_of: datetime, standings: Standings, *, margin: float
) -> ChannelTable | None:
    """Return :func:`channels_of`; None where no customer's first event has a channel."""
    table = DailyTable(log.con, as_of)
    try:
        if not (table.categories()[CHANNEL] != MISSING).any():
            return None
        return _channels(log, table, as_of, standings, CHANNEL, Costs(), (), margin, None)
    finally:
        table.close()


def _channels(
    log: EventLog,
    table: DailyTable,
    as_of: datetime,
    standings: Standings | None,
    by: str,
    costs: Costs,
    cost_events: tuple[str, ...],
    margin: float,
    unit: str | None,
) -> ChannelTable:
    types = cost_events or COST_EVENTS
    groups = origins(table, log.con, by, types)
    if by == CHANNEL:
        costs = Costs(costs.rows + logged_costs(log.con, as_of, types).rows)
    clv, lost = (None, _lost(table)) if standings is None else standings.of(table.customers)
    buyers = Buyers(
        microseconds(table.anchor), table.purchase_days(), table.first_events(), clv, lost
    )
    return channel_table(
        groups, buyers, costs, margin=margin, unit=unit, has_amounts=table.has_amounts()
    )


def _lost(table: DailyTable) -> NDArray[np.bool_]:
    # no rule looks at a feature that depends on the horizon
    life = fit_lifecycle(table, load_scheme("retail"), TrainConfig.horizon_days)
    lapsed = np.array([stage.state == LAPSED for stage in life.scheme.stages])
    return np.asarray(lapsed[life.standing(table.anchor).stage])

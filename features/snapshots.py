"""Snapshots: one row per customer at one as_of; panels: many of them, with what came after.

The window of an outcome is ``[as_of, as_of + horizon)``. One that is not over before the anchor
cannot be observed, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.clock import microseconds
from stagecast.features.contracts import Contracts
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.lifecycle import Lifecycle, Standing


@dataclass(frozen=True)
class Snapshot:
    """Customers as they stood at one as_of: whoever had an event before it, ordered by customer_id.

    ``customer`` are rows of ``ids``; ``categories`` what was known of each from the start, on the
    newest date alone; ``contracts`` how their contracts stand, where somebody has looked. Every
    array has one entry per row; null is NaN.
    """

    as_of: datetime
    ids: NDArray[np.object_]
    customer: NDArray[np.int64]
    features: Mapping[str, Array]
    standing: Standing
    categories: Mapping[str, Texts]
    contracts: Contracts | None = None

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def stage(self) -> NDArray[np.int64]:
        """Position of each row's stage in the scheme's stages."""
        return self.standing.stage

    @property
    def buyers(self) -> NDArray[np.bool_]:
        """Rows with a purchase before the as_of."""
        return np.asarray(self.features["orders"] > 0)


@dataclass(frozen=True)
class Outcome:
    """What happened to the rows of a snapshot within ``[as_of, as_of + horizon)``.

    ``orders`` purchase days, ``spend`` their money, both net of the refunds of the same days;
    ``stage`` the stage just before the end of the horizon.
    """

    horizon_days: int
    orders: Array
    spend: Array
    stage: NDArray[np.int64]

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """No purchase in the horizon."""
        return np.asarray(self.orders == 0)


def take(
    table: DailyTable, life: Lifecycle, backs: Sequence[int], known_at_start: Sequence[str] = ()
) -> list[Snapshot]:
    """Return the snapshots of the dates that stand ``backs`` days before the table's anchor, in
    that order.

    Stages are those that one would have seen at the date: what was recorded or taken back later
    does not enter them. ``life`` is of the same table, as known at its anchor; ``known_at_start``
    are columns of the table of customers.
    """
    if not backs:
        return []
    columns = table.features(life.catalog, backs)
    categories = table.categories(known_at_start)
    taken = []
    for back in backs:
        rows = np.flatnonzero(columns["back"] == back)
        customer = columns["customer"][rows].astype(np.int64)
        as_of = table.anchor - timedelta(days=back)
        here = life.known_then(table, back).standing(as_of).of(customer)
        features = {name: columns[name][rows] for name in life.catalog.names}
        told = {} if back else {name: values[customer] for name, values in categories.items()}
        taken.append(Snapshot(as_of, table.customers, customer, features, here, told))
    return taken


def observe(
    table: DailyTable, journeys: Journeys, snapshots: Sequence[Snapshot], horizon_days: int
) -> list[Outcome]:
    """Return what happened after each snapshot, as known at the table's anchor.

    Raises
    ------
    UsageError
        The horizon of a snapshot is not over before the anchor.
    """
    if not snapshots:
        return []
    backs = [(table.anchor - snapshot.as_of).days for snapshot in snapshots]
    if late := [back for back in backs if back < horizon_days]:
        raise UsageError(
            f"{horizon_days} days after the snapshot {late[0]} days before the as_of are "
            "not over yet"
        )
    columns = table.outcomes(horizon_days, backs)
    observed = []
    for snapshot, back in zip(snapshots, backs, strict=True):
        rows = columns["back"] == back
        orders, spend = np.zeros(len(table.customers)), np.zeros(len(table.customers))
        customer = columns["customer"][rows].astype(np.int64)
        orders[customer], spend[customer] = columns["orders"][rows], columns["spend"][rows]
        end = microseconds(snapshot.as_of + timedelta(days=horizon_days))
        stage, _ = journeys.at(end, len(table.customers))
        who = snapshot.customer
        observed.append(Outcome(horizon_days, orders[who], spend[who], stage[who]))
    return observed

"""Snapshots: one row per customer at one as_of; panels: many of them, with what came after.

The window of an outcome is ``[as_of, as_of + horizon)``. One that is not over before the anchor
cannot be observed, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import microseconds
from stagecast.features.contracts import Contracts, Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.record import Counted
from stagecast.features.stages.facts import Vocabulary
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.lifecycle import Lifecycle, Standing, build_lifecycle, fit_lifecycle
from stagecast.features.stages.scheme import Scheme


@dataclass(frozen=True)
class Snapshot:
    """Customers as they stood at one as_of: whoever had an event before it, ordered by customer_id.

    ``customer`` are rows of ``ids``; ``categories`` what was known of each from the start, and
    ``contracts`` how their contracts stand (None where nobody asked): both on the newest date
    alone. Every array has one entry per row; null is NaN.
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

    def of(self, rows: NDArray[np.int64]) -> Snapshot:
        """Return the snapshot of some rows, in their order."""
        return Snapshot(
            self.as_of,
            self.ids,
            self.customer[rows],
            {name: values[rows] for name, values in self.features.items()},
            self.standing.take(rows),
            {name: values[rows] for name, values in self.categories.items()},
            None if self.contracts is None else self.contracts.of(rows),
        )


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


@dataclass(frozen=True)
class SnapshotPlan:
    """What a snapshot at the as_of holds, the same for a log and for the events of a request.

    Parameters
    ----------
    scheme
        With its thresholds.
    catalog
        With its parameters.
    horizon_days
        How far ahead silence is followed.
    known_at_start
        Columns of the table of customers that models look at.
    terms
        Which events tell of a contract; None where contracts are not looked at.
    """

    scheme: Scheme
    catalog: Catalog
    horizon_days: int
    known_at_start: tuple[str, ...] = ()
    terms: Terms | None = None

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the rules of the scheme look at."""
        return self.scheme.vocabulary(self.catalog)

    @cached_property
    def counted(self) -> Counted:
        """Signal of the scheme -> the types of events that count as it."""
        return self.scheme.signal_types(self.catalog)

    @cached_property
    def evaluator(self) -> Evaluator:
        """The catalogue, compiled for events in memory."""
        return Evaluator(self.catalog)


def current_snapshot(source: DailyTable | MemoryEvents, plan: SnapshotPlan) -> Snapshot:
    """Return the snapshot at the as_of of a log's daily table, or of events in memory.

    Rows of a table are ordered by customer_id; those of events stand as their customers do.
    """
    if isinstance(source, DailyTable):
        life = fit_lifecycle(source, plan.scheme, plan.horizon_days, catalog=plan.catalog)
        (snapshot,) = take(source, life, [0], plan.known_at_start, plan.terms)
        return snapshot
    life = build_lifecycle(
        plan.scheme,
        plan.catalog,
        source.record(plan.counted),
        plan.horizon_days,
        vocabulary=plan.vocabulary,
    )
    snapshot = Snapshot(
        source.as_of,
        source.customers,
        np.arange(len(source.customers)),
        plan.evaluator.features(source),
        life.standing(source.as_of),
        source.categories(plan.known_at_start),
    )
    return _with_contracts(snapshot, source, plan.terms)


def _with_contracts(
    snapshot: Snapshot, source: DailyTable | MemoryEvents, terms: Terms | None
) -> Snapshot:
    if terms is None:
        return snapshot
    contracts = source.spells(terms).standing().of(snapshot.customer)
    return replace(snapshot, contracts=contracts)


def take(
    table: DailyTable,
    life: Lifecycle,
    backs: Sequence[int],
    known_at_start: Sequence[str] = (),
    terms: Terms | None = None,
) -> list[Snapshot]:
    """Return the snapshots of the dates that stand ``backs`` days before the table's anchor, in
    that order.

    Stages are those that one would have seen at the date: what was recorded or taken back later
    does not enter them.

    Parameters
    ----------
    life
        Of the same table, as known at its anchor.
    known_at_start
        Columns of the table of customers.
    terms
        Which events tell of a contract; None where contracts are not looked at.
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
        here = life.known_days_before(table, back).standing(as_of).take(customer)
        features = {name: columns[name][rows] for name in life.catalog.names}
        told = {} if back else {name: values[customer] for name, values in categories.items()}
        snapshot = Snapshot(as_of, table.customers, customer, features, here, told)
        taken.append(snapshot if back else _with_contracts(snapshot, table, terms))
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

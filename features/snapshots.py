"""Snapshots: one row per customer at one as_of; outcomes: what happened within the horizon after.

The horizon of a snapshot is ``[as_of, as_of + horizon)``. It must be over before the anchor of the
table, since its outcome cannot be observed otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import microseconds
from stagecast.features.contracts import Contracts, Terms
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.record import SignalTypes
from stagecast.features.stages.facts import Vocabulary
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.lifecycle import Lifecycle, Standing, build_lifecycle, fit_lifecycle
from stagecast.features.stages.scheme import Scheme

if TYPE_CHECKING:
    from stagecast.features.engines.duckdb import DailyTable


@dataclass(frozen=True)
class Snapshot:
    """State of all customers with an event before one as_of, ordered by customer_id.

    Parameters
    ----------
    as_of
        Date of the snapshot.
    ids
        Ids of the customers of the log.
    customer
        Row of ``ids``, shape (n_rows,).
    features
        Name -> values, shape (n_rows,); null is NaN.
    standing
        Stage of each row and the facts that the rules read.
    categories
        Name -> texts known at the start, shape (n_rows,); empty except at the newest date.
    contracts
        State of the contracts of each row; None: not computed, or an earlier date.
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
        """Mask of the rows with a purchase before the as_of."""
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
    """What happened to each row of a snapshot within ``[as_of, as_of + horizon)``.

    Parameters
    ----------
    horizon_days
        Length of the horizon.
    orders
        Purchase days, net of refunds within the horizon, shape (n_rows,).
    spend
        Money spent on them, net of refunds within the horizon.
    stage
        Position of the stage just before the end of the horizon.
    """

    horizon_days: int
    orders: Array
    spend: Array
    stage: NDArray[np.int64]

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """Mask of the rows without a purchase within the horizon."""
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
    def counted(self) -> SignalTypes:
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
    if not isinstance(source, MemoryEvents):
        lifecycle = fit_lifecycle(source, plan.scheme, plan.horizon_days, catalog=plan.catalog)
        (snapshot,) = take_snapshots(source, lifecycle, [0], plan.known_at_start, plan.terms)
        return snapshot
    lifecycle = build_lifecycle(
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
        lifecycle.standing(source.as_of),
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


def take_snapshots(
    table: DailyTable,
    lifecycle: Lifecycle,
    backs: Sequence[int],
    known_at_start: Sequence[str] = (),
    terms: Terms | None = None,
) -> list[Snapshot]:
    """Return the snapshots ``backs`` days before the table's anchor, in that order.

    Stages are those known at the date of the snapshot: what was recorded or refunded later does not
    change them.

    Parameters
    ----------
    table
        Events of the log.
    lifecycle
        Of the same table, as known at its anchor.
    backs
        Whole days before the anchor.
    known_at_start
        Columns of the table of customers to return as categories.
    terms
        Which events tell of a contract; None where contracts are not looked at.
    """
    if not backs:
        return []
    columns = table.features(lifecycle.catalog, backs)
    categories = table.categories(known_at_start)
    snapshots = []
    for back in backs:
        rows = np.flatnonzero(columns["back"] == back)
        customer = columns["customer"][rows].astype(np.int64)
        as_of = table.anchor - timedelta(days=back)
        standing = lifecycle.known_days_before(table, back).standing(as_of).take(customer)
        features = {name: columns[name][rows] for name in lifecycle.catalog.names}
        # models of leads read categories at the anchor alone
        texts = {} if back else {name: values[customer] for name, values in categories.items()}
        snapshot = Snapshot(as_of, table.customers, customer, features, standing, texts)
        snapshots.append(snapshot if back else _with_contracts(snapshot, table, terms))
    return snapshots


def observe_outcomes(
    table: DailyTable, journeys: Journeys, snapshots: Sequence[Snapshot], horizon_days: int
) -> list[Outcome]:
    """Return the outcome of each snapshot, as known at the table's anchor.

    Parameters
    ----------
    table
        Table from which the snapshots were taken.
    journeys
        Stages of its customers over time.
    snapshots
        Snapshots whose horizon is over at the anchor.
    horizon_days
        Length of the horizon.

    Raises
    ------
    UsageError
        The horizon of a snapshot is not over before the anchor.
    """
    if not snapshots:
        return []
    backs = [(table.anchor - snapshot.as_of).days for snapshot in snapshots]
    if too_late := [back for back in backs if back < horizon_days]:
        raise UsageError(
            f"{horizon_days} days after the snapshot {too_late[0]} days before the as_of are "
            "not over yet"
        )
    columns = table.outcomes(horizon_days, backs)
    outcomes = []
    for snapshot, back in zip(snapshots, backs, strict=True):
        # the table of outcomes has rows of buyers alone
        rows = columns["back"] == back
        buyers = columns["customer"][rows].astype(np.int64)
        orders, spend = np.zeros(len(table.customers)), np.zeros(len(table.customers))
        orders[buyers], spend[buyers] = columns["orders"][rows], columns["spend"][rows]
        end = microseconds(snapshot.as_of + timedelta(days=horizon_days))
        stage, _ = journeys.at(end, len(table.customers))
        customer = snapshot.customer
        outcomes.append(Outcome(horizon_days, orders[customer], spend[customer], stage[customer]))
    return outcomes

"""Segments of the list of a run: counts and sums of customers, kept so that nobody adds them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from stagecast.serving.store.lists.flows import subtract_flows
from stagecast.serving.store.lists.tables import (
    SUMMED,
    list_name,
    list_table,
    run_lists,
    segments,
)
from stagecast.serving.store.queries import Filters


@dataclass(frozen=True)
class Segment:
    """Customers of a run who are alike in stage, state, churn band and play.

    Parameters
    ----------
    number
        Number of the segment in its list.
    stage, state, churn_band, play
        What they have in common; None: no band, no play.
    customers
        How many they are, without the erased.
    sums
        Sum of each column that has one; None: no customer has a value.
    """

    number: int
    stage: str
    state: str
    churn_band: str | None
    play: str | None
    customers: int
    sums: Mapping[str, float | None]

    def passes(self, filters: Filters) -> bool:
        """Return whether the customers pass the filters on what they have in common."""
        return (
            (not filters.stages or self.stage in filters.stages)
            and filters.band in (None, self.churn_band)
            and filters.state in (None, self.state)
            and filters.play in (None, self.play)
        )


def read_segments(connection: sa.Connection, run_id: int) -> list[Segment] | None:
    """Return the segments of a run; None: it has no list."""
    query = (
        sa.select(segments)
        .join(run_lists, run_lists.c.run_id == segments.c.run_id)
        .where(segments.c.run_id == run_id, run_lists.c.built_at.is_not(None))
    )
    return [
        Segment(
            row["segment"],
            row["stage"],
            row["state"],
            row["churn_band"] or None,
            row["play"] or None,
            row["customers"],
            {name: row[f"{name}_sum"] if row[f"{name}_count"] else None for name in SUMMED},
        )
        for row in connection.execute(query).mappings()
    ] or None


def segments_for(connection: sa.Connection, run_id: int, filters: Filters) -> list[Segment] | None:
    """Return the segments of a run whose list can answer a query; None: its scores have to.

    So it is with older runs, which have no list, and with filters that look at the run before.
    """
    return None if filters.changed is not None else read_segments(connection, run_id)


def list_ended(connection: sa.Connection, run_id: int) -> bool:
    """Return whether a list was dropped while it was read; the transaction that failed ends.

    That happens when a later run is published, or this one is pruned: then its scores say the same.
    """
    connection.rollback()
    return read_segments(connection, run_id) is None


def customers_of(chosen: Iterable[Segment]) -> int:
    """Return how many customers segments have."""
    return sum(segment.customers for segment in chosen)


def sum_of(chosen: Iterable[Segment], column: str) -> float | None:
    """Return the sum of a column over segments; None: no customer has a value."""
    values = [value for segment in chosen if (value := segment.sums[column]) is not None]
    return sum(values) if values else None


def subtract(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Take customers who are about to be deleted out of the segments and flows that are kept.

    Does nothing in a database without lists.
    """
    existing = set(sa.inspect(connection).get_table_names())
    if run_lists.name not in existing:
        return
    if connection.dialect.name == "postgresql":
        # no portion of a list is inserted from here until they are deleted
        connection.exec_driver_sql("LOCK TABLE scores IN ROW EXCLUSIVE MODE")
    subtract_flows(connection, ids)
    for run_id in connection.scalars(sa.select(run_lists.c.run_id)).all():
        if list_name(run_id) not in existing:
            continue  # its building has only begun
        table = list_table(run_id)
        query = sa.select(table.c.segment, *(table.c[name] for name in SUMMED))
        for number, *values in connection.execute(query.where(table.c.customer_id.in_(ids))).all():
            c, less = segments.c, {"customers": segments.c.customers - 1}
            for name, value in zip(SUMMED, values, strict=True):
                if value is not None:
                    less[f"{name}_sum"] = c[f"{name}_sum"] - value
                    less[f"{name}_count"] = c[f"{name}_count"] - 1
            connection.execute(
                segments.update().where(c.run_id == run_id, c.segment == number).values(**less)
            )

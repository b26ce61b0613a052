"""How many customers pass filters, and the sums of their money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from stagecast.serving.store.lists.places import Place
from stagecast.serving.store.lists.segments import (
    Segment,
    customers_of,
    list_ended,
    read_segments,
    segments_for,
    sum_of,
)
from stagecast.serving.store.queries import Filters
from stagecast.serving.store.tables import scores

_SUMS = ("value_at_risk", "value_gone", "win_back", "clv", "spend")


@dataclass(frozen=True)
class Totals:
    """Customers that pass filters, and sums of their money; None if no customer has any.

    ``win_back`` is the value gone times the chance to return, ``spend`` what was spent so far.
    """

    customers: int
    value_at_risk: float | None
    value_gone: float | None
    win_back: float | None
    clv: float | None
    spend: float | None


def totals(engine: sa.Engine, run_id: int, filters: Filters) -> Totals:
    """Return the totals of the customers of a run that pass filters.

    Parameters
    ----------
    engine
        The store.
    run_id
        A published run.
    filters
        Which customers count.
    """
    with engine.connect() as connection:
        segments = segments_for(connection, run_id, filters)
        if segments is not None:
            try:
                return _of_list(connection, run_id, segments, filters)
            except sa.exc.DBAPIError:
                if not list_ended(connection, run_id):
                    raise
        sums = (sa.func.sum(scores.c[name]) for name in _SUMS)
        query = sa.select(sa.func.count(), *sums).where(
            scores.c.run_id == run_id, *filters.conditions(run_id)
        )
        row = connection.execute(query).one()
    return Totals(int(row[0]), *row[1:])


def totals_by_stage(
    engine: sa.Engine, run_id: int
) -> dict[str, tuple[int, float | None, float | None]]:
    """Return stage -> customers, value at risk and value to come of a run."""
    c = scores.c
    with engine.connect() as connection:
        segments = read_segments(connection, run_id)
        if segments is None:
            query = (
                sa.select(
                    c.stage, sa.func.count(), sa.func.sum(c.value_at_risk), sa.func.sum(c.clv)
                )
                .where(c.run_id == run_id)
                .group_by(c.stage)
            )
            return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query)}
    result = {}
    for stage in {part.stage for part in segments if part.customers}:
        chosen = [part for part in segments if part.stage == stage]
        result[stage] = (
            customers_of(chosen),
            sum_of(chosen, "value_at_risk"),
            sum_of(chosen, "clv"),
        )
    return result


def _of_list(
    connection: sa.Connection, run_id: int, segments: Sequence[Segment], filters: Filters
) -> Totals:
    """Return the totals from the list of a run: of whole segments, they are kept."""
    chosen = [part for part in segments if part.customers and part.passes(filters)]
    if not filters.q and filters.min_value is None:
        return Totals(customers_of(chosen), *(sum_of(chosen, name) for name in _SUMS))
    place = Place.of(connection, run_id, filters)
    if not chosen or place is None:
        return Totals(0, *(None for _ in _SUMS))
    columns = ", ".join(["count(*)", *(f"sum({name})" for name in _SUMS)])
    # a range of positions is read as it stands; those with a least value, from its index
    (row,) = (
        place.rows([place.select(columns, place.in_segments(chosen, by_position=True))])
        if filters.q
        else place.rows([place.select(columns, place.in_segments(chosen), index="value_at_risk")])
    )
    return Totals(int(row[0]), *row[1:])

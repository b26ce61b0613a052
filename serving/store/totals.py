"""How many customers pass filters, and the sums of their money."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from stagecast.serving.store.queries import Filters
from stagecast.serving.store.tables import scores


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
    c = scores.c
    sums = (c.value_at_risk, c.value_gone, c.win_back, c.clv, c.spend)
    query = sa.select(sa.func.count(), *(sa.func.sum(column) for column in sums)).where(
        c.run_id == run_id, *filters.conditions(run_id)
    )
    with engine.connect() as connection:
        row = connection.execute(query).one()
    return Totals(int(row[0]), *row[1:])

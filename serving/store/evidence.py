"""What a published run rests on: the card of its model, and what was read of its log.

It is stored beside the run, so that a page can show it long after the folders are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa

from stagecast.serving.store.tables import metadata

Kind = Literal["card", "data"]

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True),
    # card or data
    sa.Column("kind", sa.String, primary_key=True),
    # without ids of customers and values of rows
    sa.Column("body", sa.JSON, nullable=False),
)

DATA_FIELDS = (
    *("rows_in", "rows_loaded", "rows_rejected", "rows_duplicate", "rows_skipped"),
    *("customers", "buyers", "purchases", "one_time_buyers", "first_event", "last_event"),
    *("rejected_by_reason", "duplicates", "event_types", "has_amounts", "currency"),
)
"""Parts of a data report that name no customer and quote no row."""


def data_of_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a data report that may be stored: counts, without ids and examples.

    Parameters
    ----------
    report
        As ``data-report.json`` has it.

    >>> data_of_report({"rows_in": 3, "flags": {"weekend": {"rows": 2, "examples": ["a"]}}})
    {'rows_in': 3, 'flags': {'weekend': {'rows': 2, 'rows_not_refused': None}}}
    """
    data = {name: report[name] for name in DATA_FIELDS if name in report}
    flags = {
        name: {"rows": flag.get("rows"), "rows_not_refused": flag.get("rows_not_refused")}
        for name, flag in report.get("flags", {}).items()
    }
    return {**data, "flags": flags}


def store_evidence(
    engine: sa.Engine, run_id: int, bodies: Mapping[Kind, Mapping[str, Any]]
) -> None:
    """Store what a run rests on, in place of what was stored before.

    Parameters
    ----------
    engine
        The store.
    run_id
        A published run.
    bodies
        ``card``: the card of the model, ``data``: what :func:`data_of_report` returns.
    """
    with engine.begin() as connection:
        for kind, body in bodies.items():
            connection.execute(
                evidence.delete().where(evidence.c.run_id == run_id, evidence.c.kind == kind)
            )
            connection.execute(evidence.insert().values(run_id=run_id, kind=kind, body=dict(body)))


def stored_evidence(engine: sa.Engine, run_id: int) -> dict[str, dict[str, Any]]:
    """Return kind -> what is stored of a run; a run of an earlier version has nothing."""
    query = sa.select(evidence.c.kind, evidence.c.body).where(evidence.c.run_id == run_id)
    with engine.connect() as connection:
        return {row.kind: row.body for row in connection.execute(query)}

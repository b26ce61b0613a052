"""The last events of each customer of the newest run, for the timeline on the customer's page.

They are written with the scores, before the run becomes the current one; those of earlier runs are
deleted after that. A run that was published from a file of scores has none.

A row holds the text of a JSON list: first the number of earlier days with events that are left out,
then ``[day, event, count, amount]`` for each type of event of a day, the latest day first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from stagecast.serving.store.inserting import insert_rows
from stagecast.serving.store.portions import delete_in_portions
from stagecast.serving.store.tables import ID, metadata

CHUNK_ROWS = 20_000
"""Rows of one transaction, so that other writers do not wait long."""

timelines = sa.Table(
    "timelines",
    metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("events", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True)
class DayEvents:
    """The events of one type that a customer has on one day.

    Parameters
    ----------
    day
        Day of the shop, ISO 8601.
    event
        The type, as in the log.
    count
        How many events there are.
    amount
        In money, the sum for purchases and refunds (a magnitude); for other types the mean of what
        the events have as amount, such as the stars of a rating. None: they have none.
    """

    day: str
    event: str
    count: int
    amount: float | None


@dataclass(frozen=True)
class Past:
    """The last events of a customer.

    Parameters
    ----------
    events
        The latest day first.
    days_left_out
        Number of earlier days with events that are not stored.
    """

    events: tuple[DayEvents, ...]
    days_left_out: int


def write_timelines(
    connection: sa.Connection, run_id: int, portion: Sequence[tuple[str, str]]
) -> None:
    """Insert customers with their events, in transactions of :data:`CHUNK_ROWS` rows.

    Parameters
    ----------
    connection
        A connection without a transaction.
    run_id
        The run, which is not published yet.
    portion
        Ids of customers and the texts of their events.
    """
    names = ("run_id", "customer_id", "events")
    for start in range(0, len(portion), CHUNK_ROWS):
        rows = [(run_id, *row) for row in portion[start : start + CHUNK_ROWS]]
        with connection.begin():
            insert_rows(connection, timelines, names, rows)


def drop_earlier(engine: sa.Engine, run_id: int) -> None:
    """Delete what is stored for earlier runs than this, in portions."""
    c = timelines.c
    with engine.connect() as connection:
        earlier = connection.scalars(sa.select(c.run_id).where(c.run_id < run_id).distinct()).all()
    for other in earlier:
        delete_in_portions(engine, timelines, other, CHUNK_ROWS)


def past_of_customer(engine: sa.Engine, run_id: int, customer_id: str) -> Past | None:
    """Return the last events that a customer had before the as_of of a run.

    Returns
    -------
    None where none are stored: the run is not the newest, or was published from a file of scores.
    """
    c = timelines.c
    query = sa.select(c.events).where(c.run_id == run_id, c.customer_id == customer_id)
    with engine.connect() as connection:
        text = connection.scalar(query)
    if text is None:
        return None
    days_left_out, *rows = msgspec.json.decode(text)
    return Past(tuple(DayEvents(*row) for row in rows), days_left_out)

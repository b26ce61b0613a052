"""Contacts that the log knows of, for quiet days and caps, and as proof that a plan was sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from stagecast.features.clock import microseconds
from stagecast.serving.store.plan_tables import contacts, plan_customers, plans
from stagecast.serving.targeting.plan.member_rows import CONTACT

if TYPE_CHECKING:
    from stagecast.features.events import EventLog

CONTACT_EVENTS = ("contact", "email_sent", "sms_sent", "push_sent")
"""Types of events that are a contact; an advertisement that was shown is none."""
KEPT_DAYS = 365
_ROWS = 5_000


def store_contacts(engine: sa.Engine, log: EventLog, as_of: datetime) -> int:
    """Store the contacts of the year before an as_of, and return their number.

    What an earlier log told of this year is replaced; uploads and plans stay.

    Parameters
    ----------
    engine
        The store.
    log
        The log.
    as_of
        Contacts at or after it are left out.
    """
    at = log.clock.instant(log.clock.shop(as_of))
    since = at - timedelta(days=KEPT_DAYS)
    query = (
        "select distinct customer_id, epoch_us(timestamp) from events where event in "
        f"{CONTACT_EVENTS} and epoch_us(timestamp) >= {microseconds(since)} "
        f"and epoch_us(timestamp) < {microseconds(at)}"
    )
    rows = log.con.cursor().execute(query).fetchall()
    records = [
        {
            "customer_id": id_,
            "contacted_at": datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros),
            "source": "log",
        }
        for id_, micros in rows
    ]
    with engine.begin() as connection:
        connection.execute(
            contacts.delete().where(contacts.c.source == "log", contacts.c.contacted_at < at)
        )
        present = _present(connection, since)
        new = [row for row in records if (row["customer_id"], row["contacted_at"]) not in present]
        for start in range(0, len(new), _ROWS):
            connection.execute(contacts.insert(), new[start : start + _ROWS])
        _confirm(connection, records)
    return len(records)


def _present(connection: sa.Connection, since: datetime) -> set[tuple[str, datetime]]:
    """Return the contacts that are stored from elsewhere."""
    query = sa.select(contacts.c.customer_id, contacts.c.contacted_at).where(
        contacts.c.contacted_at >= since
    )
    return {(row[0], row[1]) for row in connection.execute(query)}


def _confirm(connection: sa.Connection, records: list[dict[str, object]]) -> None:
    """Note as sent the plans whose customers the log says were contacted in the window.

    These are frozen plans, and those of which the log alone has said so before.
    """
    rows = connection.execute(
        sa.select(plans.c.id, plans.c.starts_at, plans.c.window_days).where(
            sa.or_(
                plans.c.state == "frozen",
                sa.and_(plans.c.state == "sent", plans.c.sent_by == "log"),
            )
        )
    ).all()
    c = plan_customers.c
    for plan in rows:
        end = plan.starts_at + timedelta(days=plan.window_days)
        first: dict[str, datetime] = {}
        for record in records:
            id_, at = str(record["customer_id"]), record["contacted_at"]
            if isinstance(at, datetime) and plan.starts_at <= at < end:
                first[id_] = min(at, first.get(id_, at))
        listed = connection.scalars(
            sa.select(c.customer_id).where(c.plan_id == plan.id, c.arm == CONTACT)
        )
        contacted = [id_ for id_ in listed if id_ in first]
        if not contacted:
            continue
        connection.execute(
            plan_customers.update()
            .where(c.plan_id == plan.id, c.customer_id == sa.bindparam("contacted"))
            .values(confirmed_at=sa.bindparam("at")),
            [{"contacted": id_, "at": first[id_]} for id_ in contacted],
        )
        connection.execute(
            plans.update()
            .where(plans.c.id == plan.id)
            .values(state="sent", sent_by="log", sent_at=min(first[id_] for id_ in contacted))
        )

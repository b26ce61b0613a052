"""Who was held out and contacted all the same: a mistake, by which the effect is understated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from stagecast.features.clock import microseconds
from stagecast.serving.store.plan_tables import contacts, plan_customers
from stagecast.serving.targeting.plan.logged_contacts import CONTACT_EVENTS
from stagecast.serving.targeting.plan.member_rows import CONTACT
from stagecast.serving.targeting.plan.observed import Observed
from stagecast.serving.targeting.plan.stored import Plan

if TYPE_CHECKING:
    from stagecast.features.events import EventLog


def contacted_in_log(log: EventLog, plan: Plan, observed: Observed) -> frozenset[str]:
    """Return all customers whom a log says were contacted in the window of a plan.

    Parameters
    ----------
    log
        The log of the read-out.
    plan
        The plan.
    observed
        What its customers did, which says up to when the log is looked at.
    """
    query = (
        f"select distinct customer_id from events where event in {CONTACT_EVENTS} "
        f"and epoch_us(timestamp) >= {microseconds(plan.starts_at)} "
        f"and epoch_us(timestamp) < {microseconds(min(plan.ends_at, observed.until))}"
    )
    return frozenset(str(row[0]) for row in log.con.cursor().execute(query).fetchall())


def contacted_by_mistake(
    connection: sa.Connection,
    plan: Plan,
    members: Sequence[dict[str, Any]],
    observed: Observed,
    logged: Collection[str] = (),
) -> str | None:
    """Return a sentence on the held-out customers who were contacted in the window; None: nobody.

    Parameters
    ----------
    plan
        The plan.
    members
        Its customers, as :func:`stagecast.serving.targeting.plan.results.list_of` returns them.
    observed
        What they did, which says up to when.
    logged
        Customers whom the log of the read-out says were contacted in the window; contacts of the
        store count besides.
    """
    held_out = {row["customer_id"] for row in members if row["arm"] != CONTACT}
    stored = connection.scalars(
        sa.select(contacts.c.customer_id)
        .join(plan_customers, plan_customers.c.customer_id == contacts.c.customer_id)
        .where(
            plan_customers.c.plan_id == plan.id,
            plan_customers.c.arm != CONTACT,
            contacts.c.contacted_at >= plan.starts_at,
            contacts.c.contacted_at < min(plan.ends_at, observed.until),
        )
    )
    mistaken = held_out & {*stored, *logged}
    if not mistaken:
        return None
    return (
        f"{len(mistaken):,} of the {len(held_out):,} customers who were held out were contacted "
        "in the window all the same. They count as held out, as they were drawn; the effect of a "
        "contact is understated by about that part."
    )

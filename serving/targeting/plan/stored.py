"""A plan as a row of the store: its states, what it was asked for, whom it names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import instant_text
from stagecast.features.errors import did_you_mean
from stagecast.serving.quoting import quote
from stagecast.serving.store.plan_tables import plan_audience, plans
from stagecast.serving.targeting.plan.errors import NoSuchPlanError, PlanStateError
from stagecast.serving.targeting.plan.names import is_name
from stagecast.serving.targeting.plan.terms import Terms, terms_from_json

ROWS = 5_000
"""Rows of one statement."""


@dataclass(frozen=True)
class Plan:
    """A plan: a row of the table ``plans``.

    Parameters
    ----------
    id
        Number of the plan.
    name, owner
        What it is called, and whose it is.
    state
        ``draft``, ``frozen``, ``sent``, ``closed`` or ``cancelled``.
    run_id, as_of
        The scores it is made from.
    starts_at
        Start of the window in which orders count, UTC.
    window_days
        Length of the window, in days.
    created_at, frozen_at, sent_at
        Instants, UTC; None: not yet.
    sent_by
        How the contacts were confirmed: ``upload``, ``log`` or ``hand``.
    request, proposal
        The terms, and what is expected, as plain data.
    digest
        SHA-256 of the frozen list, its customers and arms.
    """

    id: int
    name: str
    owner: str
    state: str
    run_id: int
    as_of: datetime
    starts_at: datetime
    window_days: int
    created_at: datetime
    frozen_at: datetime | None
    sent_at: datetime | None
    sent_by: str | None
    request: dict[str, Any]
    proposal: dict[str, Any]
    digest: str | None

    @property
    def ends_at(self) -> datetime:
        """End of the window, UTC."""
        return self.starts_at + timedelta(days=self.window_days)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        instants = ("as_of", "starts_at", "created_at", "frozen_at", "sent_at")
        values = {name: value for name, value in vars(self).items() if name != "id"}
        for name in instants:
            values[name] = None if values[name] is None else instant_text(values[name])
        return {**values, "ends_at": instant_text(self.ends_at)}


def is_storable(text: str) -> bool:
    """Return whether every database can hold a text; no customer has an id that none can hold.

    >>> is_storable("a17"), is_storable("a\\0")
    (True, False)
    """
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def plan_named(connection: sa.Connection, name: str) -> Plan:
    """Return a plan.

    Raises
    ------
    UsageError
        There is no plan of that name.
    """
    query = sa.select(plans).where(plans.c.name == name)
    row = connection.execute(query).mappings().first() if is_name(name) else None
    if row is None:
        names = list(connection.scalars(sa.select(plans.c.name).order_by(plans.c.name)))
        listed = f"; there are {', '.join(names[-10:])}" if names else "; none was made yet"
        raise NoSuchPlanError(
            f"there is no plan '{quote(name)}'{listed}.{did_you_mean(quote(name), names)}"
        )
    return Plan(**row)


def change_state(
    connection: sa.Connection, name: str, before: tuple[str, ...], after: str, **values: Any
) -> None:
    """Give a plan another state and other values, all at once.

    Parameters
    ----------
    before
        States in which this is possible.

    Raises
    ------
    UsageError
        There is no plan of that name, or it is in another state.
    """
    changed = connection.execute(
        plans.update()
        .where(plans.c.name == (name if is_name(name) else ""), plans.c.state.in_(before))
        .values(state=after, **values)
    )
    if changed.rowcount != 1:
        plan = plan_named(connection, name)
        if plan.state == after:
            raise PlanStateError(f"plan '{name}' is {after} already")
        wanted = " or ".join("a draft" if state == "draft" else state for state in before)
        raise PlanStateError(
            f"plan '{name}' is {'a draft' if plan.state == 'draft' else plan.state}; only a plan "
            f"that is {wanted} can become {after}"
        )


def request_of(terms: Terms) -> dict[str, Any]:
    """Return terms as they are stored: the ids of customers are a number, since who is erased must
    leave no trace here.
    """
    request, ids = terms.to_json(), terms.audience.ids
    request["audience"]["ids"] = None
    request["audience"]["named"] = None if ids is None else len(set(ids))
    return request


def insert_audience(connection: sa.Connection, key: Any, terms: Terms) -> None:
    """Store the customers whom terms name, beside the plan with a key."""
    ids = sorted(id_ for id_ in set(terms.audience.ids or ()) if is_storable(id_))
    rows = [{"plan_id": key[0], "customer_id": id_} for id_ in ids]
    for start in range(0, len(rows), ROWS):
        connection.execute(plan_audience.insert(), rows[start : start + ROWS])


def terms_of(connection: sa.Connection, plan: Plan) -> Terms:
    """Return what a plan was asked for, without customers who were erased since."""
    audience = dict(plan.request["audience"])
    named = audience.pop("named")
    terms = terms_from_json({**plan.request, "audience": audience})
    if named is None:
        return terms
    query = sa.select(plan_audience.c.customer_id).where(plan_audience.c.plan_id == plan.id)
    ids = tuple(connection.scalars(query.order_by(plan_audience.c.customer_id)))
    return replace(terms, audience=replace(terms.audience, ids=ids))


def drop_draft(connection: sa.Connection, name: str) -> bool:
    """Delete a draft, and return whether there was one."""
    ids = sa.select(plans.c.id).where(plans.c.name == name, plans.c.state == "draft")
    if not is_name(name):
        return False
    # the row is locked first: it must not be frozen between the two deletions
    connection.execute(plans.update().where(plans.c.id.in_(ids)).values(state="draft"))
    connection.execute(plan_audience.delete().where(plan_audience.c.plan_id.in_(ids)))
    return connection.execute(plans.delete().where(plans.c.id.in_(ids))).rowcount > 0

"""The customers of closed plans with their arms and outcomes, from the store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.serving.store.plan_tables import outcomes, plan_customers, plans
from stagecast.serving.targeting.plan.member_rows import CONTACT
from stagecast.serving.targeting.plan.stored import Plan

CANCELLATION = "cancellation"


@dataclass(frozen=True)
class ClosedPlan:
    """A closed plan: its customers who were not erased, one element each, ordered by id.

    Parameters
    ----------
    plan
        The plan.
    customer_id, state
        Shape (n,); the state (``active``, ``lapsed``, ``prospect``) is that at the freezing.
    contacted
        Assigned arm, shape (n,).
    stratum
        Codes of the strata of the draw, shape (n,).
    gain, cost
        What a contact was expected to bring after its costs, and these, in money, shape (n,).
    expected_purchase
        P(order in the window) by the score at freezing, without a contact, shape (n,).
    bought
        Whether the customer ordered in the window, shape (n,).
    """

    plan: Plan
    customer_id: tuple[str, ...]
    state: NDArray[np.str_]
    contacted: NDArray[np.bool_]
    stratum: Integers
    gain: Array
    cost: Array
    expected_purchase: Array
    bought: NDArray[np.bool_]

    @property
    def contracts(self) -> bool:
        """Whether it kept contracts, so that to be a customer still counts as an order."""
        return self.plan.proposal.get("churn") == CANCELLATION


def closed_plans(engine: sa.Engine, name: str | None = None) -> list[ClosedPlan]:
    """Return the closed plans whose outcomes are stored, the oldest first.

    Parameters
    ----------
    engine
        The store.
    name
        Only this plan; None: all.
    """
    query = sa.select(plans).where(plans.c.state == "closed").order_by(plans.c.id)
    if name is not None:
        query = query.where(plans.c.name == name)
    with engine.connect() as connection:
        listed = [Plan(**row) for row in connection.execute(query).mappings()]
        read = [_customers(connection, plan) for plan in listed]
    return [plan for plan in read if plan.customer_id]


def _customers(connection: sa.Connection, plan: Plan) -> ClosedPlan:
    c, o = plan_customers.c, outcomes.c
    rows = connection.execute(
        sa.select(
            c.customer_id, c.state, c.arm, c.stratum, c.gain, c.cost, c.expected_purchase, o.orders
        )
        .join(outcomes, sa.and_(o.plan_id == c.plan_id, o.customer_id == c.customer_id))
        .where(c.plan_id == plan.id)
        .order_by(c.customer_id)
    ).all()
    return ClosedPlan(
        plan,
        tuple(row.customer_id for row in rows),
        np.array([row.state for row in rows], dtype=np.str_),
        np.array([row.arm == CONTACT for row in rows], dtype=np.bool_),
        np.array([row.stratum for row in rows], dtype=np.int64),
        np.array([row.gain for row in rows], dtype=np.float64),
        np.array([row.cost for row in rows], dtype=np.float64),
        np.array([row.expected_purchase for row in rows], dtype=np.float64),
        np.array([row.orders > 0 for row in rows], dtype=np.bool_),
    )

"""Closed plans written straight into a store, whose true effects are known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa

from stagecast.features.arrays import Array
from stagecast.serving.store.plan_tables import outcomes, plan_customers, plans

AS_OF = datetime(1997, 9, 1, tzinfo=UTC)


def add_closed(
    engine: sa.Engine,
    name: str,
    contacted: Array,
    bought: Array,
    *,
    state: str | list[str] = "active",
    expected: float | Array = 0.5,
    gain: Array | None = None,
    stratum: Array | None = None,
    churn: str = "inactivity",
    standing: bool = False,
    as_of: datetime = AS_OF,
    run_id: int = 1,
    ids: list[str] | None = None,
    plan_state: str = "closed",
) -> None:
    """Store a plan with an outcome of each customer."""
    n = len(contacted)
    states = [state] * n if isinstance(state, str) else state
    expected = np.broadcast_to(np.asarray(expected, dtype=float), (n,))
    ids = [f"{name}{k:05d}" for k in range(n)] if ids is None else ids
    with engine.begin() as connection:
        plan_id = connection.execute(
            plans.insert().values(
                name=name,
                owner="",
                state=plan_state,
                run_id=run_id,
                as_of=as_of,
                starts_at=as_of,
                window_days=30,
                created_at=as_of,
                frozen_at=as_of,
                request={"standing": standing, "seed": 0},
                proposal={"churn": churn},
            )
        ).inserted_primary_key[0]
        rows = [
            {
                "plan_id": plan_id,
                "customer_id": ids[k],
                "arm": "contact" if contacted[k] else "holdout",
                "rank": k + 1,
                "stratum": 0 if stratum is None else int(stratum[k]),
                "stage": "loyal",
                "state": states[k],
                "gain": 1.0 if gain is None else float(gain[k]),
                "cost": 0.2,
                "contact_cost": 0.2,
                "offer": 0.0,
                "expected_purchase": float(expected[k]),
            }
            for k in range(n)
        ]
        if rows:
            connection.execute(plan_customers.insert(), rows)
            connection.execute(
                outcomes.insert(),
                [
                    {"plan_id": plan_id, "customer_id": ids[k], "orders": float(bought[k])}
                    for k in range(n)
                ],
            )


def drawn(n: int, effect: float, seed: int, holdout: float = 0.3) -> tuple[Array, Array, Array]:
    """Return who is contacted, who bought, and P(purchase) without a contact: three of shape (n,).

    A contact makes the share ``effect`` of those order who would not have.
    """
    random = np.random.default_rng(seed)
    expected = random.beta(2, 3, n)
    contacted = random.permutation(n) >= holdout * n
    p = expected + contacted * effect * (1 - expected)
    return contacted, random.uniform(size=n) < p, expected

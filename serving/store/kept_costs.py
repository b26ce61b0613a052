"""What a kept customer cost in the plans that are over, to stand beside what a new one cost.

A kept customer is an extra buyer: one more in the window of the plan than there would have been
without it, by the customers who were held out. Which of the buyers it is nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.serving.store.plan_tables import plans, readouts


@dataclass(frozen=True)
class KeptCost:
    """What a plan cost, and how many customers it kept.

    Parameters
    ----------
    plan
        Its name.
    until
        End of what was read out, UTC.
    contacted
        Number of customers who were contacted.
    cost
        Of contacts and offers, in money.
    kept, kept_low, kept_high
        Extra buyers with their interval, by the read-out.
    """

    plan: str
    until: datetime
    contacted: int
    cost: float
    kept: float
    kept_low: float
    kept_high: float

    def per_kept(self) -> dict[str, float | None]:
        """Return the cost per kept customer and the ends of its interval.

        An end is None where the plan may have kept nobody: no sum of money is enough then. The
        value is None where it has kept nobody.
        """
        return {
            "value": _over(self.cost, self.kept),
            "low": _over(self.cost, self.kept_high),
            "high": _over(self.cost, self.kept_low),
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "plan": self.plan,
            "until": iso(self.until),
            "contacted": self.contacted,
            "cost": self.cost,
            "kept": {"value": self.kept, "low": self.kept_low, "high": self.kept_high},
            "cost_per_kept": self.per_kept(),
        }


def kept_costs(engine: sa.Engine) -> list[KeptCost]:
    """Return what each plan whose window is over cost and kept, by its last read-out.

    A plan whose read-out has no buyers to compare is left out.

    Parameters
    ----------
    engine
        The store.
    """
    last = (
        sa.select(sa.func.max(readouts.c.id))
        .where(readouts.c.closed)
        .group_by(readouts.c.plan_id)
        .scalar_subquery()
    )
    query = (
        sa.select(plans.c.name, readouts.c.data_until, readouts.c.result)
        .join(plans, plans.c.id == readouts.c.plan_id)
        .where(readouts.c.id.in_(last))
        .order_by(readouts.c.id)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    costs = (_cost_of(row.name, row.data_until, row.result) for row in rows)
    return [cost for cost in costs if cost is not None]


def _cost_of(name: str, until: datetime, result: Mapping[str, Any]) -> KeptCost | None:
    buyers = result["buyers"]
    if buyers is None:
        return None
    total = buyers["comparison"]["adjusted"]["total"]
    ends = [total[name] for name in ("estimate", "low", "high")]
    if None in ends:
        return None
    return KeptCost(name, until, result["contacted"], result["cost"], *map(float, ends))


def _over(cost: float, customers: float) -> float | None:
    return cost / customers if customers > 0 else None

"""The list of a plan as rows of the store, and the digest that shows that it did not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from stagecast.serving.targeting.plan.proposal import Members

CONTACT, HOLDOUT = "contact", "holdout"


def member_rows(plan_id: int, members: Members) -> list[dict[str, Any]]:
    """Return the customers of a plan as rows of the table ``plan_customers``.

    Parameters
    ----------
    plan_id
        The plan.
    members
        Its list, the largest expected gain first.
    """
    number = {text: k for k, text in enumerate(sorted(set(members.strata)))}
    customers, spend = members.customers, members.expected_spend
    return [
        {
            "plan_id": plan_id,
            "customer_id": str(customers.customer_id[k]),
            "arm": HOLDOUT if members.held_out[k] else CONTACT,
            "rank": k + 1,
            "stratum": number[members.strata[k]],
            "play": customers.play[k],
            "stage": customers.stage[k],
            "churn_band": customers.churn_band[k],
            "state": customers.state[k],
            "gain": float(members.gain[k]),
            "cost": float(members.cost[k]),
            "contact_cost": float(members.contact_cost[k]),
            "offer": float(members.offer[k]),
            "expected_purchase": float(members.expected_purchase[k]),
            "expected_spend": None if spend is None else float(spend[k]),
        }
        for k in range(len(customers))
    ]


def digest_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of a list: a line with rank, arm and customer of each row."""
    digest = sha256()
    for row in rows:
        line = "\t".join((str(row["rank"]), row["arm"], row["customer_id"]))
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()

"""What was sent of a plan, and what it brought: confirmations, outcomes, read-outs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.quoting import quote
from stagecast.serving.store.plan_tables import contacts, outcomes, plan_customers, plans, readouts
from stagecast.serving.targeting.plan.counts import WORDS, counts_of_members
from stagecast.serving.targeting.plan.errors import PlanStateError
from stagecast.serving.targeting.plan.member_rows import CONTACT, digest_of
from stagecast.serving.targeting.plan.mistaken import contacted_by_mistake
from stagecast.serving.targeting.plan.observed import Observed
from stagecast.serving.targeting.plan.stored import Plan, change_state, plan_named
from stagecast.serving.targeting.trial.outcomes import DailyOutcomes, Outcomes
from stagecast.serving.targeting.trial.readout import ReadOut, read_out
from stagecast.serving.webhooks import outbox

Source = Literal["upload", "log", "hand"]
_ROWS = 5_000


def confirm_sent(
    engine: sa.Engine,
    name: str,
    at: datetime,
    *,
    source: Source = "hand",
    ids: Sequence[str] | None = None,
) -> Plan:
    """Note that the customers of a plan were contacted, so that quiet days and caps know it.

    A customer has one contact of a plan: who is named a second time was contacted at the later
    word's time.

    Parameters
    ----------
    engine
        The store.
    name
        A frozen plan, or one of which a part was sent.
    at
        When, UTC.
    source
        How it is known.
    ids
        Who was contacted; None: all whom the plan contacts and who are not noted yet.

    Raises
    ------
    UsageError
        There is no such plan, its window was over, or all of it is noted already.
    DataRefusedError
        A customer is not among those whom the plan contacts, or is held out.
    """
    with engine.begin() as connection:
        change_state(connection, name, ("frozen", "sent"), "sent")
        plan = plan_named(connection, name)
        if at >= plan.ends_at:
            raise UsageError(
                f"the window of plan '{name}' ended at {iso(plan.ends_at)}; a contact at {iso(at)} "
                "is none of it: say when it was sent (--at)"
            )
        c = plan_customers.c
        listed = connection.execute(
            sa.select(c.customer_id, c.arm, c.confirmed_at).where(c.plan_id == plan.id)
        ).all()
        arms = {row.customer_id: row.arm for row in listed}
        open_ids = [
            row.customer_id for row in listed if row.arm == CONTACT and row.confirmed_at is None
        ]
        if ids is None and not open_ids:
            raise PlanStateError(
                f"plan '{name}' is noted as sent to everybody already, since "
                f"{iso(plan.sent_at or at)}; to correct the time of customers, name them"
            )
        wanted = open_ids if ids is None else list(dict.fromkeys(ids))
        for id_ in wanted:
            if arms.get(id_) != CONTACT:
                problem = "is held out" if id_ in arms else "is not on the list"
                raise DataRefusedError(
                    f"customer '{quote(id_)}' {problem} of plan {name}, and is said to have been "
                    "contacted; nothing was noted"
                )
        for start in range(0, len(wanted), _ROWS):
            part = wanted[start : start + _ROWS]
            connection.execute(
                plan_customers.update()
                .where(c.plan_id == plan.id, c.customer_id.in_(part))
                .values(confirmed_at=at)
            )
            connection.execute(
                contacts.delete().where(
                    contacts.c.customer_id.in_(part),
                    sa.or_(contacts.c.contacted_at == at, contacts.c.source == name),
                )
            )
            connection.execute(
                contacts.insert(),
                [{"customer_id": id_, "contacted_at": at, "source": name} for id_ in part],
            )
        first = connection.scalar(
            sa.select(sa.func.min(c.confirmed_at)).where(c.plan_id == plan.id)
        )
        connection.execute(
            plans.update().where(plans.c.id == plan.id).values(sent_at=first, sent_by=source)
        )
        return plan_named(connection, name)


def list_of(engine: sa.Engine, plan: Plan) -> list[dict[str, Any]]:
    """Return the customers of a frozen plan who were not erased, in the order of their ids."""
    query = (
        sa.select(plan_customers)
        .where(plan_customers.c.plan_id == plan.id)
        .order_by(plan_customers.c.customer_id)
    )
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def read_out_plan(
    engine: sa.Engine,
    plan: Plan,
    members: Sequence[dict[str, Any]],
    observed: Observed,
    *,
    margin: float = 1.0,
    logged: Collection[str] = (),
) -> ReadOut:
    """Read out a plan, and store the outcomes and the result; a closed window closes the plan.

    Parameters
    ----------
    engine
        The store.
    plan
        A frozen or sent plan.
    members
        Its customers, as :func:`list_of` returns them.
    observed
        What these customers did, in the same order.
    margin
        Money earned per money spent by a customer, above 0.
    logged
        Customers whom a log says were contacted in the window; who of them was held out is noted.

    Raises
    ------
    UsageError
        The plan is a draft or cancelled, or nobody was held out.
    NotEnoughDataError
        An arm has fewer than 3 customers.
    DataRefusedError
        The list is not the one that was frozen.
    """
    if plan.state not in ("frozen", "sent", "closed"):
        raise PlanStateError(
            f"plan '{plan.name}' is {plan.state}; only a frozen plan can be read out"
        )
    _check_list(plan, members)
    if plan.state == "closed" and not observed.closed:
        raise PlanStateError(
            f"plan '{plan.name}' was read out at the end of its window; the log ends before that"
        )
    result = result_of(
        members,
        observed,
        plan.window_days,
        name=plan.name,
        churn=plan.proposal.get("churn", "inactivity"),
        margin=margin,
    )
    with engine.connect() as connection:
        mistake = contacted_by_mistake(connection, plan, members, observed, logged)
    if mistake is not None:
        result = replace(result, notes=(*result.notes, mistake))
    document = {**result.to_json(), "erased": _planned(plan) - len(members)}
    with engine.begin() as connection:
        connection.execute(outcomes.delete().where(outcomes.c.plan_id == plan.id))
        c = plan_customers.c
        # who was erased since the list was read must not come back
        still = set(connection.scalars(sa.select(c.customer_id).where(c.plan_id == plan.id)))
        rows = [
            row for row in _outcome_rows(plan, members, observed) if row["customer_id"] in still
        ]
        for start in range(0, len(rows), _ROWS):
            connection.execute(outcomes.insert(), rows[start : start + _ROWS])
        connection.execute(
            readouts.insert().values(
                plan_id=plan.id,
                read_at=datetime.now(UTC),
                data_until=observed.until,
                closed=observed.closed,
                result=document,
            )
        )
        if observed.closed and plan.state != "closed":
            outbox.add(connection, outbox.PLAN_CLOSED, {"plan": plan.name}, datetime.now(UTC))
        if observed.closed:
            connection.execute(plans.update().where(plans.c.id == plan.id).values(state="closed"))
    return result


def result_of(
    members: Sequence[dict[str, Any]],
    observed: Observed,
    window_days: int,
    *,
    name: str,
    churn: str = "inactivity",
    margin: float = 1.0,
) -> ReadOut:
    """Return what a plan brought.

    Parameters
    ----------
    members
        Its customers, as :func:`list_of` returns them.
    observed
        What these customers did, in the same order.
    name
        Of the plan, for errors.
    churn
        What it is to leave: ``inactivity`` or ``cancellation``.

    Raises
    ------
    UsageError
        Nobody was held out.
    NotEnoughDataError
        An arm has fewer than 3 customers.
    """
    if not any(row["arm"] != CONTACT for row in members):
        raise UsageError(
            f"nobody of plan '{name}' was held out, so that nobody knows what would have come "
            "without it; hold out a part of the next plan"
        )
    return read_out(
        outcomes_of(members, observed, window_days),
        cost=_cost(members, observed),
        closed=observed.closed,
        counted=WORDS[counts_of_members(churn, [row["state"] for row in members])],
        margin=margin,
    )


def outcomes_of(
    members: Sequence[dict[str, Any]], observed: Observed, window_days: int
) -> Outcomes:
    """Return the outcomes of a plan as the statistics read them."""

    def column(name: str) -> list[Any]:
        return [row[name] for row in members]

    spend = observed.spend
    expected_spend = column("expected_spend")
    has_money = spend is not None and None not in expected_spend
    daily = DailyOutcomes(observed.days / window_days, observed.orders > 0, spend)
    return Outcomes(
        customer_id=column("customer_id"),
        contacted=np.array([arm == CONTACT for arm in column("arm")], dtype=np.bool_),
        stratum=[str(number) for number in column("stratum")],
        play=[play or "none" for play in column("play")],
        stage=column("stage"),
        band=[band or "none" for band in column("churn_band")],
        bought=observed.orders[:, -1] > 0,
        expected_purchase=np.array(column("expected_purchase"), dtype=np.float64),
        spend=None if spend is None else spend[:, -1],
        expected_spend=np.array(expected_spend, dtype=np.float64) if has_money else None,
        # outcomes that were uploaded have no looks before the end
        daily=daily if len(observed.days) > 1 or not observed.closed else None,
    )


def _planned(plan: Plan) -> int:
    return int(plan.proposal["contacts"]["contacts"] + plan.proposal["held_out"])


def _check_list(plan: Plan, members: Sequence[dict[str, Any]]) -> None:
    """Check that a list of which nobody was erased is the one that was frozen."""
    ranked = sorted(members, key=lambda row: int(row["rank"]))
    if len(ranked) == _planned(plan) and digest_of(ranked) != plan.digest:
        raise DataRefusedError(
            f"the list of plan '{plan.name}' is not the one that was frozen (SHA-256 "
            f"{plan.digest}); restore the table 'plan_customers' from a backup"
        )


def _cost(members: Sequence[dict[str, Any]], observed: Observed) -> float:
    """Return what the contacts and the offers that were taken have cost, in money.

    Where it is noted who was contacted, only these cost; else all who were to be.
    """
    bought = observed.orders[:, -1] > 0
    is_noted = any(row["confirmed_at"] is not None for row in members)
    return float(
        sum(
            row["contact_cost"] + row["offer"] * bool(bought[k])
            for k, row in enumerate(members)
            if row["arm"] == CONTACT and not (is_noted and row["confirmed_at"] is None)
        )
    )


def _outcome_rows(
    plan: Plan, members: Sequence[dict[str, Any]], observed: Observed
) -> list[dict[str, Any]]:
    spend = observed.spend
    return [
        {
            "plan_id": plan.id,
            "customer_id": row["customer_id"],
            "orders": float(observed.orders[k, -1]),
            "spend": None if spend is None else float(spend[k, -1]),
        }
        for k, row in enumerate(members)
    ]


def last_readouts(engine: sa.Engine) -> dict[int, dict[str, Any]]:
    """Return the last read-out of each plan that has one, by the number of the plan."""
    newest = sa.select(sa.func.max(readouts.c.id)).group_by(readouts.c.plan_id)
    r = readouts.c
    query = sa.select(r.plan_id, r.result, r.read_at, r.data_until).where(r.id.in_(newest))
    with engine.connect() as connection:
        return {
            row.plan_id: {**row.result, "read_at": row.read_at, "data_until": row.data_until}
            for row in connection.execute(query)
        }


def last_readout(engine: sa.Engine, plan: Plan) -> dict[str, Any] | None:
    """Return the last read-out of a plan as plain data; None: there is none."""
    query = (
        sa.select(readouts.c.result, readouts.c.read_at, readouts.c.data_until)
        .where(readouts.c.plan_id == plan.id)
        .order_by(readouts.c.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return {**row.result, "read_at": row.read_at, "data_until": row.data_until}

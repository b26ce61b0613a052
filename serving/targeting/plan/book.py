r"""The plans in the store: drafts, freezing, the frozen list, what was sent, what it brought.

    draft -> frozen -> sent -> closed
      \-> (dropped)  \-> cancelled

A draft is a request and what is expected of it; its list is not stored. Freezing makes the list
anew from the same scores, draws the hold-out, and writes all of it in one transaction, so that an
interrupted freezing leaves the draft as it was. From then on nothing of the plan changes but its
state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.serving.store.plan_tables import plan_customers, plans, profiles
from stagecast.serving.store.published_runs import Run, current_run
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.plan.errors import PlanStateError
from stagecast.serving.targeting.plan.member_rows import digest_of, member_rows
from stagecast.serving.targeting.plan.names import check_name, check_owner
from stagecast.serving.targeting.plan.proposal import Proposal, propose
from stagecast.serving.targeting.plan.sources import (
    ids_without_score,
    is_contract,
    plays_of,
    read_candidates,
    read_past,
    read_reach,
)
from stagecast.serving.targeting.plan.stored import (
    ROWS,
    Plan,
    change_state,
    drop_draft,
    insert_audience,
    plan_named,
    request_of,
    terms_of,
)
from stagecast.serving.targeting.plan.terms import Terms, check_start
from stagecast.serving.webhooks import outbox


class PlanBook:
    """The plans of a store; threads may share the object.

    Parameters
    ----------
    engine
        The store, as :attr:`stagecast.serving.store.store.Store.engine` returns it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def propose(self, run: Run, terms: Terms, starts_at: datetime | None = None) -> Proposal:
        """Return what a plan would be, without storing anything; see :func:`propose`."""
        starts = check_start(starts_at, run.as_of, run.horizon_days)
        with self._engine.connect() as connection:
            return _propose(connection, run, terms, starts)

    def ids_without_score(self, run: Run, ids: Sequence[str] | None) -> list[int]:
        """Return the positions of the ids that the scores do not have; None are no ids."""
        if not ids:
            return []
        with self._engine.connect() as connection:
            return ids_without_score(connection, run.id, ids)

    def create(
        self,
        name: str,
        run: Run,
        terms: Terms,
        *,
        owner: str = "",
        starts_at: datetime | None = None,
        replace: bool = False,
    ) -> tuple[Plan, Proposal]:
        """Store a draft, and return it with its list.

        Parameters
        ----------
        name
            Letters, digits, ``-``, ``_`` and ``.``, at most 64.
        run
            The published scores.
        terms
            What is asked for.
        owner
            Whose plan it is.
        starts_at
            Start of the window; None: the as_of of the scores.
        replace
            Replace a draft of the same name.

        Raises
        ------
        UsageError
            The name is taken or cannot be used; the terms cannot be met.
        """
        check_name(name)
        check_owner(owner)
        starts = check_start(starts_at, run.as_of, run.horizon_days)
        with self._engine.connect() as connection:
            proposal = _propose(connection, run, terms, starts)
        row = {
            "name": name,
            "owner": owner,
            "state": "draft",
            "run_id": run.id,
            "as_of": run.as_of,
            "starts_at": starts,
            "window_days": proposal.forecast.window_days,
            "created_at": datetime.now(UTC),
            "request": request_of(terms),
            "proposal": proposal.forecast.to_json(),
        }
        with self._engine.begin() as connection:
            if replace:
                drop_draft(connection, name)
            try:
                inserted = connection.execute(plans.insert().values(**row))
            except sa.exc.IntegrityError:
                raise PlanStateError(
                    f"there is a plan '{name}' already; take another name"
                    + ("" if replace else ", or replace its draft (--replace)")
                ) from None
            insert_audience(connection, inserted.inserted_primary_key, terms)
        return self.plan(name), proposal

    def plan(self, name: str) -> Plan:
        """Return a plan.

        Raises
        ------
        UsageError
            There is no plan of that name.
        """
        with self._engine.connect() as connection:
            return plan_named(connection, name)

    def plans(self) -> list[Plan]:
        """Return all plans, the newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(plans).order_by(plans.c.id.desc())).mappings()
            return [Plan(**row) for row in rows]

    def clocks(self, plans_: Iterable[Plan]) -> dict[int, ShopClock]:
        """Return the clock of the shop by the run of each plan; UTC of a run that is not known."""
        wanted = {plan.run_id for plan in plans_}
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(runs.c.id, runs.c.zone)).all()
        zones = {row.id: row.zone for row in rows}
        return {id_: clock_named(zones.get(id_) or "UTC") for id_ in wanted}

    def drop(self, name: str) -> None:
        """Delete a draft.

        Raises
        ------
        UsageError
            There is no plan of that name, or it is frozen.
        """
        with self._engine.begin() as connection:
            # the state is asked for by what deletes, so that a freezing meanwhile is not undone
            if not drop_draft(connection, name):
                plan = plan_named(connection, name)
                raise PlanStateError(f"plan '{name}' is {plan.state}, and stays")

    def cancel(self, name: str) -> Plan:
        """Cancel a plan that is frozen and not sent, so that its customers are free again.

        Raises
        ------
        UsageError
            There is no such plan, or it is a draft, sent or closed.
        """
        with self._engine.begin() as connection:
            change_state(connection, name, ("frozen",), "cancelled")
            return plan_named(connection, name)

    def freeze(self, name: str) -> Plan:
        """Draw the hold-out, write the list, and make the plan unchangeable, in one transaction.

        Raises
        ------
        UsageError
            There is no draft of that name, newer scores were published since it was made, or nobody
            is on its list.
        """
        with self._engine.begin() as connection:
            # the first statement writes, so that a second freezing waits for this one
            change_state(connection, name, ("draft",), "frozen", frozen_at=datetime.now(UTC))
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE plan_customers IN SHARE ROW EXCLUSIVE MODE"))
            plan = plan_named(connection, name)
            run = current_run(connection)
            if run is None or run.id != plan.run_id:
                raise PlanStateError(
                    f"plan '{name}' was made from scores that newer ones have replaced; make it "
                    "again from these (--replace)"
                )
            terms = terms_of(connection, plan)
            proposal = _propose(connection, run, terms, plan.starts_at, besides=plan.id)
            if not len(proposal.members.customers):
                raise UsageError(
                    f"plan '{name}' has nobody on its list: {' '.join(proposal.forecast.notes)}"
                )
            rows = member_rows(plan.id, proposal.members)
            for start in range(0, len(rows), ROWS):
                connection.execute(plan_customers.insert(), rows[start : start + ROWS])
            connection.execute(
                plans.update()
                .where(plans.c.id == plan.id)
                .values(proposal=proposal.forecast.to_json(), digest=digest_of(rows))
            )
            outbox.add(connection, outbox.PLAN_FROZEN, {"plan": name}, datetime.now(UTC))
            return plan_named(connection, name)

    def members(
        self, name: str, arm: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Return the customers of a frozen plan in the order of their ranks, with their profiles.

        Parameters
        ----------
        arm
            ``contact`` or ``holdout``; None: both.
        limit
            Most customers; None: all.

        Raises
        ------
        UsageError
            There is no such plan, or it is a draft.
        """
        plan = self.plan(name)
        if plan.frozen_at is None:
            raise PlanStateError(
                f"plan '{name}' is a draft, and has no list yet; freeze it: stagecast plan freeze "
                f"{name}"
            )
        return self._members(plan.id, arm, limit)

    def _members(
        self, plan_id: int, arm: str | None, limit: int | None
    ) -> Iterator[dict[str, Any]]:
        p = profiles.c
        facts = (p.name, p.email_sha256, p.contact_key, p.channel, p.country)
        same_customer = p.customer_id == plan_customers.c.customer_id
        query = (
            sa.select(plan_customers, *facts)
            .select_from(plan_customers.join(profiles, same_customer, isouter=True))
            .where(plan_customers.c.plan_id == plan_id)
            .order_by(plan_customers.c.rank)
            .limit(limit)
        )
        if arm is not None:
            query = query.where(plan_customers.c.arm == arm)
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                yield dict(row)


def _propose(
    connection: sa.Connection,
    run: Run,
    terms: Terms,
    starts_at: datetime,
    besides: int | None = None,
) -> Proposal:
    return propose(
        read_candidates(connection, run.id, terms.audience),
        plays_of(run),
        terms,
        read_reach(connection, terms.rules, starts_at, besides=besides),
        horizon_days=run.horizon_days,
        contracts=is_contract(connection, run.id),
        standing_key=f"standing hold-out {terms.seed}",
        past=read_past(connection, run),
    )

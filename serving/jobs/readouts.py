"""A plan read out, from a later log or from counted outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.contracts import Terms
from stagecast.features.errors import NotEnoughDataError, StagecastError, UsageError
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.jobs.plans import open_store
from stagecast.serving.reading import Reading
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.mistaken import contacted_in_log
from stagecast.serving.targeting.plan.observed import (
    Observed,
    observe,
    observed_at_end,
    outcomes_by_customer,
)
from stagecast.serving.targeting.plan.pooled_results import (
    PooledResults,
    nothing_compared,
    pooled_results,
)
from stagecast.serving.targeting.plan.results import list_of, read_out_plan
from stagecast.serving.targeting.plan.stored import Plan
from stagecast.serving.targeting.plan.uploads import number, read_upload
from stagecast.serving.targeting.trial.readout import ReadOut
from stagecast.training.bundle import load_bundle


@dataclass(frozen=True)
class PlanReadOut:
    """A plan with what it brought.

    Parameters
    ----------
    plan
        The plan.
    observed
        What its customers did.
    result
        What it brought.
    clock
        Clock of the shop.
    """

    plan: Plan
    observed: Observed
    result: ReadOut
    clock: ShopClock

    def to_json(self) -> dict[str, Any]:
        """Return the read-out as plain data."""
        return {"name": self.plan.name, "closed": self.observed.closed, **self.result.to_json()}


def read_out(
    name: str, reading: Reading, outcome: Path | None, *, margin: float, store: str | None
) -> PlanReadOut:
    """Read out a plan.

    Parameters
    ----------
    name
        A frozen plan.
    reading
        The log with what came after; not read where there is an ``outcome``.
    outcome
        File of counted outcomes of the whole window; None: the log tells.
    margin
        Money earned per money spent by a customer.
    store
        The store; None: as the settings say.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is no such frozen plan; the log or the file cannot be read or names others; it is too
        early.
    """
    with open_store(store) as opened:
        book = PlanBook(opened.engine)
        plan = book.plan(name)
        members = list_of(opened.engine, plan)
        ids = [row["customer_id"] for row in members]
        logged: frozenset[str] = frozenset()
        if outcome is None:
            terms = _terms_of(opened.engine, plan)
            with reading.open(command="plan readout") as log:
                observed = observe(
                    log, ids, plan.starts_at, plan.window_days, until=reading.as_of, terms=terms
                )
                logged = contacted_in_log(log, plan, observed)
        else:
            observed = _counted(outcome, ids, plan)
        result = read_out_plan(opened.engine, plan, members, observed, margin=margin, logged=logged)
        clock = book.clocks([plan])[plan.run_id]
    return PlanReadOut(plan, observed, result, clock)


def results_together(store: str | None) -> PooledResults:
    """Return what the closed plans of a store brought together.

    Raises
    ------
    NotEnoughDataError
        No plan was read out at the end of its window.
    """
    with open_store(store) as opened:
        together = pooled_results(opened.engine)
        why = nothing_compared(opened.engine) if together is None else None
    if why is not None:
        raise NotEnoughDataError(why)
    if together is None:
        raise NotEnoughDataError(
            "no plan was read out at the end of its window; after it run: stagecast plan readout "
            "NAME EVENTS"
        )
    return together


def _terms_of(engine: sa.Engine, plan: Plan) -> Terms | None:
    """Return what begins and cancels a contract; None where churn is no purchase.

    Raises
    ------
    UsageError
        The model that says it cannot be read.
    """
    if plan.proposal.get("churn") != "cancellation":
        return None
    with engine.connect() as connection:
        path = connection.scalar(sa.select(runs.c.model_path).where(runs.c.id == plan.run_id))
    try:
        terms = load_bundle(Path(path or "")).models.plan.terms
    except StagecastError as error:
        raise UsageError(
            f"plan '{plan.name}' keeps contracts, and the model that says which events cancel one "
            f"cannot be read: {error}; put it back, or count who stayed: --outcome FILE with "
            "customer_id and orders, 1 for who is a customer at the end of the window and 0 for "
            "who is not"
        ) from None
    return terms


def _counted(file: Path, ids: Sequence[str], plan: Plan) -> Observed:
    """Return outcomes of a file.

    Raises
    ------
    DataRefusedError
        A customer stands twice or is not of the plan, or a number is none.
    """
    rows = read_upload(file, required=("customer_id", "orders"))
    outcomes = outcomes_by_customer(
        (
            (row["customer_id"], number(row, "orders", file) or 0.0, number(row, "spend", file))
            for row in rows
        ),
        ids,
        plan.name,
    )
    return observed_at_end(outcomes, ids, plan.window_days, plan.ends_at)

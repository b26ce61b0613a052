"""The HTML pages of plans: all of them, one that is being made, one that is stored, the results.

What they show are the answers of the API; what changes a plan is sent to it by the script.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.features.errors import StagecastError
from stagecast.serving.http.languages import display_of
from stagecast.serving.http.lists import BANDS, STATES
from stagecast.serving.http.page_texts import (
    has_stake,
    plays_of,
    shop_of,
    store_name,
    titles_of,
)
from stagecast.serving.http.plan_query import PlanQuery
from stagecast.serving.http.problems import ProblemError, in_request_words
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.reports.rendering import render
from stagecast.serving.settled.ledger import entries
from stagecast.serving.store.comparisons import stored_comparisons
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.learned.terms import with_default_effects
from stagecast.serving.targeting.plan.audience import check_audience
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.counts import counts_of
from stagecast.serving.targeting.plan.errors import NoSuchPlanError
from stagecast.serving.targeting.plan.pooled_results import pooled_results
from stagecast.serving.targeting.plan.results import last_readout, last_readouts
from stagecast.serving.targeting.plan.sources import RUNNING, is_contract
from stagecast.serving.targeting.plan.stored import Plan
from stagecast.serving.targeting.trial.draw import HoldoutTooSmallError

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

GROUPS = {"draft": ("draft",), "running": RUNNING, "over": ("closed", "cancelled")}
"""Groups of the list of plans -> their states."""
FIRST = 25
"""Customers of a list that its page shows."""


@router.get("/plans")
def plans_page(request: Request, store: StoreDep) -> HTMLResponse:
    """Show the plans by what is to be done with them, in each group the newest first."""
    plans = PlanBook(store.engine).plans()
    grouped = ((name, [p for p in plans if p.state in states]) for name, states in GROUPS.items())
    return render(
        "plans.html",
        **shop_of(store.current_run(), request),
        groups=[(name, members) for name, members in grouped if members],
        results={plan.name: result for plan, result in _results(store, plans)},
    )


@router.get("/plans/new")
def new_plan_page(
    request: Request, query: Annotated[PlanQuery, Query()], store: StoreDep, state: StateDep
) -> HTMLResponse:
    """Show what a plan would be, and the form that changes it."""
    run = store.current_run()
    if run is None:
        return render(
            "empty.html", **shop_of(None, request), store=store_name(state.settings.store)
        )
    query, forecast, problem, first = _forecast(store, run, query)
    unknown = PlanBook(store.engine).ids_without_score(run, query.customer_id)
    body, stake_is_known = query.body(), has_stake(store, run)
    needs_worth = not stake_is_known and query.worth is None
    with store.engine.connect() as connection:
        contracts = is_contract(connection, run.id)
    return render(
        "plan_form.html",
        **shop_of(run, request),
        asked=query,
        plays=plays_of(run.scheme, display_of(request).language),
        stages=titles_of(run.scheme, display_of(request).language),
        bands=BANDS,
        states=STATES,
        forecast=None if needs_worth else forecast,
        problem=problem,
        contracts=contracts,
        has_money=store.has_money(run),
        has_stake=stake_is_known,
        needs_worth=needs_worth,
        unknown=[query.customer_id[position] for position in unknown],
        first=first,
        body=msgspec.json.encode(body).decode("utf-8"),
    )


def _forecast(
    store: Store, run: Run, query: PlanQuery
) -> tuple[PlanQuery, dict[str, Any] | None, str | None, list[tuple[str, float]]]:
    """Return the plan, what is expected, why it cannot be said, and the first customers with their
    gains.

    A list that is too short for the usual hold-out has none; one that was asked for is refused.
    """
    try:
        terms = query.body().terms()
        check_audience(terms.audience, run)
        terms = with_default_effects(store.engine, run, terms)
        proposal = PlanBook(store.engine).propose(run, terms)
    except HoldoutTooSmallError as error:
        if "holdout_percent" in query.model_fields_set:
            return query, None, str(error), []
        return _forecast(store, run, query.model_copy(update={"holdout_percent": 0.0}))
    except StagecastError as error:
        return query, None, in_request_words(str(error)), []
    members = proposal.members
    rows = zip(members.customers.customer_id, members.gain, members.held_out, strict=True)
    first = [(str(id_), float(gain)) for id_, gain, held_out in rows if not held_out][:FIRST]
    return query, proposal.forecast.to_json(), None, first


@router.get("/plans/{name}")
def plan_page(request: Request, name: str, store: StoreDep) -> HTMLResponse:
    """Show a stored plan: what is expected, its list, what it brought."""
    book = PlanBook(store.engine)
    try:
        plan = book.plan(name)
    except NoSuchPlanError as error:
        raise ProblemError(404, "plan-unknown", str(error)) from None
    first: list[dict[str, Any]] = []
    if plan.frozen_at is not None:
        first = list(book.members(name, "contact", FIRST))
    run = store.current_run()
    return render(
        "plan.html",
        **shop_of(run, request),
        plan=plan,
        forecast=plan.proposal,
        first=first,
        result=last_readout(store.engine, plan),
        superseded=run is None or run.id != plan.run_id,
        plays={} if run is None else plays_of(run.scheme, display_of(request).language),
    )


@router.get("/results")
def results_page(request: Request, store: StoreDep) -> HTMLResponse:
    """Show what plans brought, and what earlier scores said and what came."""
    plans = PlanBook(store.engine).plans()
    read = [(plan, result) for plan, result in _results(store, plans) if result is not None]
    with store.engine.connect() as connection:
        ledger = entries(connection)
    run, together = store.current_run(), pooled_results(store.engine)
    return render(
        "results.html",
        **shop_of(run, request),
        plays={} if run is None else plays_of(run.scheme, display_of(request).language),
        read=read,
        currencies={plan.name: _currency(store, plan, run) for plan, _ in read},
        counted_as=list(dict.fromkeys(counts_of(plan.proposal) for plan, _ in read)),
        together=None if together is None else together.to_json(),
        settled=ledger[::-1],
        comparisons=stored_comparisons(store.engine),
    )


def _currency(store: Store, plan: Plan, run: Run | None) -> str | None:
    """Return the currency of the scores of a plan; that of a run where they are deleted."""
    of_plan = store.run(plan.run_id) or run
    return None if of_plan is None else of_plan.currency


def _results(store: Store, plans: list[Plan]) -> list[tuple[Plan, dict[str, Any] | None]]:
    read = last_readouts(store.engine)
    return [(plan, read.get(plan.id)) for plan in plans if plan.frozen_at]

"""The first page: what to do today, what changed, what runs, and how true it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.features.errors import DataRefusedError
from stagecast.serving.http.languages import display_of
from stagecast.serving.http.list_links import cell_link
from stagecast.serving.http.page_texts import (
    has_stake,
    list_of_play,
    plays_of,
    shop_of,
    states_of,
    store_name,
    titles_of,
)
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.reports.rendering import render
from stagecast.serving.reports.value_grid import grid_rows
from stagecast.serving.settled.ledger import entries
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import Filters
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.sources import RUNNING, is_contract
from stagecast.training.schemes import BY_CONTRACT

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


NEWEST = 20
"""Rows of the ledger that Home checks; the page of results checks all."""
LEAST_SHARE = 0.01
"""A play that holds less of the money that can be moved is not what today is for."""


@router.get("/")
def home_page(request: Request, store: StoreDep, state: StateDep) -> HTMLResponse:
    """Show what to do today, and what changed since the run before."""
    run = store.current_run()
    if run is None:
        return render(
            "empty.html", **shop_of(None, request), store=store_name(state.settings.store)
        )
    overview = store.overview(run)
    language = display_of(request).language
    plays = _plays(run, overview["plays"], language)
    stages = _stages(store, run, titles_of(run.scheme, language))
    problem, settled = None, []
    with store.engine.connect() as connection:
        of_contracts = is_contract(connection, run.id)
    try:
        with store.engine.connect() as connection:
            settled = entries(connection, NEWEST)
    except DataRefusedError as error:
        problem = str(error)
    return render(
        "home.html",
        **shop_of(run, request),
        kind="cancellation" if of_contracts else "inactivity",
        totals=overview["totals"],
        has_money=store.has_money(run),
        has_stake=has_stake(store, run),
        lapsed=store.totals(run, Filters(state="lapsed")).customers,
        lapsed_on_active=_on_stages_of_others(store, run, "lapsed", "active"),
        open_on_lapsed=_on_stages_of_others(store, run, "active", "lapsed"),
        by_contract=BY_CONTRACT,
        before=overview["before"],
        changed=overview["changed"],
        plays=plays,
        first=_first(plays, overview["totals"]),
        least_share=LEAST_SHARE,
        asking=any(play["contact"] for play in plays),
        stages=stages,
        grid=grid_rows([{**cell, "link": cell_link(cell)} for cell in overview["grid"]]),
        play_titles=plays_of(run.scheme, language),
        running=[plan for plan in PlanBook(store.engine).plans() if plan.state in RUNNING],
        settled=settled[-1] if settled else None,
        ledger_problem=problem,
    )


def _plays(run: Run, counted: Sequence[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Return the plays with customers, those with the most money first, with their titles."""
    titles = plays_of(run.scheme, language)
    contact = {play["id"]: play.get("contact", True) for play in run.scheme.get("plays", ())}
    return [
        {
            **part,
            "title": titles[part["play"]],
            "money": (part["value_at_risk"] or 0.0) + (part["may_return"] or 0.0),
            "contact": contact[part["play"]],
            "link": list_of_play(run.scheme, part["play"]),
        }
        for part in counted
        if part["play"] in titles
    ]


def _first(
    plays: Sequence[dict[str, Any]], totals: Mapping[str, float | None]
) -> dict[str, Any] | None:
    """Return the play that today is for: of those with new customers, the one with most
    to lose or to bring back; else of all that ask for a contact. None where no such play has as
    much as :data:`LEAST_SHARE` of the money of all customers that can be moved.
    """
    movable = (totals["value_at_risk"] or 0.0) + (totals["may_return"] or 0.0)
    # a log without amounts has no money: the play with most customers is the first then
    has_money = any(play["money"] for play in plays)
    enough = [play for play in plays if play["contact"] and play["money"] >= LEAST_SHARE * movable]
    asking = [play for play in enough if play["money"] or not has_money]
    if not has_money:
        asking.sort(key=lambda play: -play["customers"])
    fresh = [play for play in asking if play["new"]]
    return next(iter(fresh or asking), None)


def _on_stages_of_others(store: Store, run: Run, state: str, stage_state: str) -> int:
    """Return how many customers of a state stand on a stage of customers of another state."""
    stages = tuple(stage for stage, of in states_of(run.scheme).items() if of == stage_state)
    return store.totals(run, Filters(stages=stages, state=state)).customers if stages else 0


def _stages(store: Store, run: Run, titles: dict[str, str]) -> list[dict[str, Any]]:
    flows, states = store.flows(run), states_of(run.scheme)
    before: dict[str, int] = {}
    for from_stage, _, customers in flows.flows:
        if from_stage is not None:
            before[from_stage] = before.get(from_stage, 0) + customers
    return [
        {
            "id": total.stage,
            "title": titles[total.stage],
            "customers": total.customers,
            "value_at_risk": total.value_at_risk,
            "state": states[total.stage],
            "is_active": states[total.stage] == "active",
            "expected": total.expected,
            "change": None
            if flows.earlier_as_of is None
            else total.customers - before.get(total.stage, 0),
        }
        for total in store.stages(run)
    ]

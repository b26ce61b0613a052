"""The HTML pages: the ranked list, one customer, and the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.features.errors import UsageError
from stagecast.features.shop.customer_ids import clean_id
from stagecast.serving.http.api_page import api_reference
from stagecast.serving.http.languages import display_of
from stagecast.serving.http.list_columns import LIST_COLUMNS, MONEY, STAKE
from stagecast.serving.http.list_links import chips, file_link, head, parameters_of, plan_link
from stagecast.serving.http.lists import BANDS, STATES, ListQuery
from stagecast.serving.http.page_texts import (
    has_rhythm,
    has_stake,
    list_of_play,
    plays_of,
    shop_of,
    states_of,
    store_name,
    titles_of,
)
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.routes.customers import customer_answer
from stagecast.serving.http.routes.saved_views import view_to_json
from stagecast.serving.http.routes.totals import views
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.languages.scheme_words import translation
from stagecast.serving.quoting import quote
from stagecast.serving.reports.curves import step_bars
from stagecast.serving.reports.customer_story import risk_explained
from stagecast.serving.reports.past_events import story_rows
from stagecast.serving.reports.rendering import link, render
from stagecast.serving.reports.timeline_chart import timeline_chart
from stagecast.serving.store.names import MOST_FOUND, customers_named, names_of
from stagecast.serving.store.protocols import ScorerLike
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import SORTS
from stagecast.serving.store.saved_views import list_views
from stagecast.serving.store.store import Store
from stagecast.training.schemes import BY_CONTRACT

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_SORTABLE = ("customer_id", *(column for column in LIST_COLUMNS if column in SORTS))


@router.get("/customers")
def customers_page(
    request: Request, query: Annotated[ListQuery, Query()], store: StoreDep, state: StateDep
) -> HTMLResponse:
    """Show the ranked list of the current run."""
    run, display = store.current_run(), display_of(request)
    if run is None:
        return render(
            "empty.html", **shop_of(None, request), store=store_name(state.settings.store)
        )
    has_money, stake_is_known = store.has_money(run), has_stake(store, run)
    columns = query.columns(run)
    if not query.column:
        columns = tuple(
            name
            for name in columns
            if (has_money or name not in MONEY)
            and (stake_is_known or name not in STAKE)
            and (name != "days_overdue" or has_rhythm(store, run))
        )
    filters, order = query.filters(run), query.order(store, run)
    titles = titles_of(run.scheme, display.language)
    plays = plays_of(run.scheme, display.language)
    stale = False
    try:
        page = store.customers(run, filters, order, cursor=query.cursor)
    except UsageError:
        # the cursor is from before the last publication: show the new list rather than an error
        page, stale = store.customers(run, filters, order), True
    total = store.totals(run, filters)
    of_active = total
    if total.value_at_risk and filters.state != "active":
        # the lapsed may still be customers, so something is at risk with them too
        of_active = store.totals(run, replace(filters, state="active"))
        if filters.state is not None:
            of_active = replace(of_active, value_at_risk=None)
    of_lapsed = total
    if total.win_back is not None and filters.state is None:
        # of what is gone with the active, nothing is said to return
        of_lapsed = store.totals(run, replace(filters, state="lapsed"))
    rows = [msgspec.json.decode(document) for document in page.documents]
    named = customers_named(store.engine, run.id, query.q) if query.q else []
    parameters = parameters_of(query)
    unsorted = [pair for pair in parameters if pair[0] != "sort"]
    return render(
        "customers.html",
        **shop_of(run, request),
        horizon_note=_horizon_note(run, state.scorer),
        asked=query,
        stale=stale,
        total=total.customers,
        totals=total,
        at_risk_of_active=of_active.value_at_risk,
        gone_of_lapsed=of_lapsed.value_gone,
        views=_views(store, run, query, display.language),
        **_saved_views(store, query, parameters),
        chips=chips(query, titles, plays, display.language),
        columns=columns,
        all_columns=[c for c in LIST_COLUMNS if has_money or c not in MONEY],
        has_money=has_money,
        has_stake=stake_is_known,
        plays=plays,
        page=page,
        rows=rows,
        names_of_rows=names_of(store.engine, [row["customer_id"] for row in rows]),
        named=named,
        named_more=len(named) == MOST_FOUND,
        alike=any(_not_ranked(score) for score in rows),
        titles=titles,
        stages=_stage_cards(store, run, query, display.language),
        bands=BANDS,
        states=STATES,
        order=order,
        other_parameters=[pair for pair in parameters if pair[0] != "column"],
        heads={column: head(column, order, unsorted) for column in _SORTABLE},
        next_link=None
        if page.next_cursor is None
        else link("/customers", [*parameters, ("cursor", page.next_cursor)]),
        first_link=link("/customers", parameters) if page.seen else None,
        everybody_link=link("/customers", []),
        csv_link=file_link(query, columns, "csv"),
        xlsx_link=file_link(query, columns, "xlsx"),
        plan_link=plan_link(query),
    )


@router.get("/customer")
def customer_page_by_id(
    request: Request, customer_id: Annotated[str, Query(alias="id")], store: StoreDep
) -> HTMLResponse:
    """Show the page of a customer whose id cannot be part of a path."""
    return customer_page(request, customer_id, store)


@router.get("/customers/{customer_id:path}")
def customer_page(request: Request, customer_id: str, store: StoreDep) -> HTMLResponse:
    """Show the last score of a customer, how it came about, what changed, and the history."""
    customer_id = clean_id(customer_id)
    record = store.customer(customer_id)
    if record is None:
        raise ProblemError(
            404,
            "customer-unknown",
            f"There is no published score of customer “{quote(customer_id)}”.",
        )
    run, display = store.current_run(), display_of(request)
    titles = {} if run is None else titles_of(run.scheme, display.language)
    score = msgspec.json.decode(record.document)
    previous = None
    if record.previous_document is not None:
        previous = msgspec.json.decode(record.previous_document)
    answer = customer_answer(store, run, customer_id, record, display)
    story = story_rows(answer["timeline"], answer["past_events"], record.clock)
    return render(
        "customer.html",
        **{**shop_of(run, request), "clock": record.clock, "currency": record.currency},
        **answer,
        score=score,
        customer_name=names_of(store.engine, [customer_id]).get(customer_id),
        titles=titles,
        risk_explained=risk_explained(score),
        stage_state=None if run is None else states_of(run.scheme).get(score["stage"]),
        by_contract=BY_CONTRACT,
        scheme=None if run is None else run.scheme_id,
        has_money=run is None or store.has_money(run),
        before=previous,
        story=story,
        chart=timeline_chart(
            story,
            left_out=bool(answer["past_days_left_out"]),
            mirrored=display.direction == "rtl",
        ),
        bars=list(zip(answer["risk_steps"], step_bars(answer["risk_steps"]), strict=True)),
    )


@router.get("/docs")
def docs_page(request: Request) -> HTMLResponse:
    """Show the description of the API; the page loads nothing from other servers."""
    host = request.headers.get("host", "127.0.0.1:8000")
    base_url = f"{request.url.scheme}://{host}"
    return render(
        "docs.html", **shop_of(None, request), **api_reference(request.app.openapi(), base_url)
    )


def _not_ranked(score: Mapping[str, Any]) -> bool:
    """Return whether a score has a risk and no rank: the active could not be told apart."""
    return score["churn_probability"] is not None and score["churn_percentile"] is None


def _views(store: Store, run: Run, query: ListQuery, language: str) -> list[dict[str, Any]]:
    """Return the plays as saved views, each with its counts and the link of its list."""
    return [
        {
            **view,
            "title": translation(view["title"], language, view["id"]),
            "chosen": view["id"] == query.play,
            "link": list_of_play(run.scheme, view["id"]),
        }
        for view in views(store, run)
    ]


def _saved_views(
    store: Store, query: ListQuery, parameters: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return the views of the team, the one that is shown, and what would be saved of a new one."""
    saved = [view_to_json(view) for view in list_views(store.engine)]
    here = link("/customers", parameters)
    shown = next((view for view in saved if view["link"] == here), None)
    values: dict[str, list[str]] = {}
    for name, value in parameters:
        values.setdefault(name, []).append(value)
    single = {name: v if name in ("stage", "column") else v[0] for name, v in values.items()}
    can_save = bool(parameters) and shown is None and not query.q
    body = msgspec.json.encode({"parameters": single}).decode("utf-8") if can_save else None
    return {"saved_views": saved, "shown_view": shown, "view_body": body, "here": here}


def _stage_cards(store: Store, run: Run, query: ListQuery, language: str) -> list[dict[str, Any]]:
    """Return each stage with its totals and a link that replaces the stage filter of the query."""
    titles = titles_of(run.scheme, language)
    meanings = {
        stage["id"]: translation(stage["meaning"], language, "") for stage in run.scheme["stages"]
    }
    states = states_of(run.scheme)
    other_parameters = [pair for pair in parameters_of(query) if pair[0] != "stage"]
    return [
        {
            "id": total.stage,
            "title": titles[total.stage],
            "meaning": meanings[total.stage],
            "customers": total.customers,
            "value_at_risk": total.value_at_risk,
            "is_active": states[total.stage] == "active",
            "chosen": total.stage in query.stage,
            "link": link("/customers", [("stage", total.stage), *other_parameters]),
        }
        for total in store.stages(run)
    ]


def _horizon_note(run: Run, scorer: ScorerLike | None) -> str | None:
    """Return what the model that made the scores says of its horizon, where it is the loaded one.

    The server loads the model of the published scores, unless another one is named.
    """
    if scorer is None or scorer.model_version != run.model_version:
        return None
    note: str | None = scorer.card.get("horizon_note")
    return note

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
from stagecast.serving.http.api_page import api_reference
from stagecast.serving.http.lists import BANDS, STATES, ListQuery
from stagecast.serving.http.page_texts import store_name, titles_of, translation
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.quoting import quote
from stagecast.serving.reports.play_words import play_of
from stagecast.serving.reports.rendering import link, plain_number, render
from stagecast.serving.store.changes import changes
from stagecast.serving.store.protocols import ScorerLike
from stagecast.serving.store.queries import Order
from stagecast.serving.store.store import Run, Store
from stagecast.serving.targeting.plan.of_customer import plans_of_customer

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# the first click on one of these columns sorts ascending; on any other, descending
_ASCENDING_FIRST = frozenset({"customer_id", "stage", "recency_days", "next_order_date"})
_SORTABLE = (
    "customer_id",
    "stage",
    "churn_probability",
    "value_at_risk",
    "value_gone",
    "clv",
    "recency_days",
    "next_order_date",
)


@router.get("/customers")
def customers_page(
    query: Annotated[ListQuery, Query()], store: StoreDep, state: StateDep
) -> HTMLResponse:
    """Show the ranked list of the current run."""
    run = store.current_run()
    if run is None:
        return render("empty.html", store=store_name(state.settings.store))
    filters, order = query.filters(run), query.order
    stale = False
    try:
        page = store.customers(run, filters, order, cursor=query.cursor)
    except UsageError:
        # the cursor is from before the last publication: show the new list rather than an error
        page, stale = store.customers(run, filters, order), True
    total = store.count(run, filters)
    rows = [msgspec.json.decode(document) for document in page.documents]
    parameters = _parameters(query)
    unsorted = [pair for pair in parameters if pair[0] != "sort"]
    return render(
        "customers.html",
        run=run,
        clock=run.clock,
        currency=run.currency,
        horizon_note=_horizon_note(run, state.scorer),
        asked=query,
        stale=stale,
        total=total,
        page=page,
        rows=rows,
        alike=any(_not_ranked(score) for score in rows),
        titles=titles_of(run.scheme),
        stages=_stage_cards(store, run, query),
        bands=BANDS,
        states=STATES,
        order=order,
        heads={column: _head(column, order, unsorted) for column in _SORTABLE},
        next_link=None
        if page.next_cursor is None
        else link("/customers", [*parameters, ("cursor", page.next_cursor)]),
        first_link=link("/customers", parameters) if page.seen else None,
        everybody_link=link("/customers", []),
        csv_link=link("/v1/customers", [*parameters, ("format", "csv"), ("limit", "all")]),
    )


@router.get("/customers/{customer_id:path}")
def customer_page(customer_id: str, request: Request, store: StoreDep) -> HTMLResponse:
    """Show the last score of a customer, what changed, and the history."""
    record = store.customer(customer_id)
    if record is None:
        raise ProblemError(
            404,
            "customer-unknown",
            f"There is no published score of customer “{quote(customer_id)}”.",
        )
    run = store.current_run()
    titles = {} if run is None else titles_of(run.scheme)
    score = msgspec.json.decode(record.document)
    scheme = None if run is None else run.scheme_id
    previous = None
    if record.previous_document is not None:
        previous = msgspec.json.decode(record.previous_document)
    return render(
        "customer.html",
        clock=record.clock,
        currency=record.currency,
        score=score,
        history=record.history,
        titles=titles,
        scheme=scheme,
        changes=changes(score, previous, titles, record.currency),
        before=previous,
        play=None if run is None else play_of(run.scheme, score, titles),
        plans=plans_of_customer(store.engine, customer_id),
    )


@router.get("/docs")
def docs_page(request: Request) -> HTMLResponse:
    """Show the description of the API; the page loads nothing from other servers."""
    host = request.headers.get("host", "127.0.0.1:8000")
    base_url = f"{request.url.scheme}://{host}"
    return render("docs.html", **api_reference(request.app.openapi(), base_url))


def _not_ranked(score: Mapping[str, Any]) -> bool:
    """Return whether a score has a risk and no rank: the active could not be told apart."""
    return score["churn_probability"] is not None and score["churn_percentile"] is None


def _parameters(query: ListQuery) -> list[tuple[str, str]]:
    """Return the parameters of a list that are not at their default, without the cursor."""
    min_value = None if query.min_value is None else plain_number(query.min_value)
    single_values = (
        ("band", query.band),
        ("state", query.state),
        ("play", query.play),
        ("min_value", min_value),
        ("q", query.q),
    )
    parameters = [("stage", stage) for stage in query.stage]
    parameters += [(name, value) for name, value in single_values if value is not None]
    if query.sort is not None:
        parameters.append(("sort", query.sort))
    return parameters


def _head(column: str, order: Order, parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the link of a column's head, and how the list is sorted by the column."""
    ranked = order.column == column
    next_order = (
        replace(order, descending=not order.descending)
        if ranked
        else Order(column, column not in _ASCENDING_FIRST)
    )
    return {
        "link": link("/customers", [*parameters, ("sort", str(next_order))]),
        "aria": ("descending" if order.descending else "ascending") if ranked else None,
    }


def _stage_cards(store: Store, run: Run, query: ListQuery) -> list[dict[str, Any]]:
    """Return each stage with its totals and a link that replaces the stage filter of the query."""
    titles = titles_of(run.scheme)
    meanings = {
        stage["id"]: translation(stage["meaning"], "en", "") for stage in run.scheme["stages"]
    }
    other_parameters = [pair for pair in _parameters(query) if pair[0] != "stage"]
    return [
        {
            "id": total.stage,
            "title": titles[total.stage],
            "meaning": meanings[total.stage],
            "customers": total.customers,
            "value_at_risk": total.value_at_risk,
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

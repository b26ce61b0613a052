"""The pages for marketers: the ranked list, one customer, the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.features.errors import UsageError
from stagecast.serving.http.api_page import reference
from stagecast.serving.http.lists import BANDS, STATES, ListQuery
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.quoting import quote
from stagecast.serving.reports.rendering import link, plain_number, render
from stagecast.serving.store.changes import changes
from stagecast.serving.store.queries import Order
from stagecast.serving.store.store import Run, Store

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# smallest first is what one wants of these; largest first of the others
_ASCENDING_FIRST = frozenset({"customer_id", "stage", "recency_days", "next_order_date"})
_SORTABLE = (
    "customer_id",
    "stage",
    "churn_probability",
    "value_at_risk",
    "clv",
    "recency_days",
    "next_order_date",
)


@router.get("/")
def customers_page(
    asked: Annotated[ListQuery, Query()], store: StoreDep, state: StateDep
) -> HTMLResponse:
    """Show the ranked list of the current run."""
    run = store.current_run()
    if run is None:
        return render("empty.html", store=_shown_store(state.settings.store))
    filters, order = asked.filters(run), asked.order
    stale = False
    try:
        page = store.customers(run, filters, order, cursor=asked.cursor)
    except UsageError:
        # a page left open over a new publication: show the new list rather than an error
        page, stale = store.customers(run, filters, order), True
    total = store.count(run, filters)
    kept = _parameters(asked)
    unsorted = [pair for pair in kept if pair[0] != "sort"]
    return render(
        "customers.html",
        run=run,
        asked=asked,
        stale=stale,
        total=total,
        page=page,
        rows=[msgspec.json.decode(document) for document in page.documents],
        titles=_titles(run),
        stages=_stage_cards(store, run, asked),
        bands=BANDS,
        states=STATES,
        order=order,
        heads={column: _head(column, order, unsorted) for column in _SORTABLE},
        next_link=None
        if page.next_cursor is None
        else link("/", [*kept, ("cursor", page.next_cursor)]),
        first_link=link("/", kept) if page.seen else None,
        everybody_link=link("/", []),
        csv_link=link("/v1/customers", [*kept, ("format", "csv"), ("limit", "all")]),
    )


@router.get("/customers/{customer_id:path}")
def customer_page(customer_id: str, request: Request, store: StoreDep) -> HTMLResponse:
    """Show everything that is known of one customer."""
    record = store.customer(customer_id)
    if record is None:
        raise ProblemError(
            404,
            "customer-unknown",
            f"There is no published score of customer “{quote(customer_id)}”.",
        )
    run = store.current_run()
    titles = {} if run is None else _titles(run)
    score = msgspec.json.decode(record.document)
    scheme = None if run is None else run.scheme_id
    before = None if record.before is None else msgspec.json.decode(record.before)
    return render(
        "customer.html",
        score=score,
        history=record.history,
        titles=titles,
        scheme=scheme,
        changes=changes(score, before, titles),
        before=before,
    )


@router.get("/docs")
def docs_page(request: Request) -> HTMLResponse:
    """Show the description of the API, made here: nothing is fetched from elsewhere."""
    host = request.headers.get("host", "127.0.0.1:8000")
    return render("docs.html", **reference(request.app.openapi(), f"{request.url.scheme}://{host}"))


def _parameters(asked: ListQuery) -> list[tuple[str, str]]:
    """Return the query string of the same list from its top; what is as by default is left out."""
    least = None if asked.min_value is None else plain_number(asked.min_value)
    one_each = (("band", asked.band), ("state", asked.state), ("min_value", least), ("q", asked.q))
    given = [("stage", stage) for stage in asked.stage]
    given += [(name, value) for name, value in one_each if value is not None]
    if asked.sort != ListQuery().sort:
        given.append(("sort", asked.sort))
    return given


def _head(column: str, order: Order, kept: list[tuple[str, str]]) -> dict[str, Any]:
    """Return where a column's head leads, and whether the list is ranked by it."""
    ranked = order.column == column
    following = (
        replace(order, descending=not order.descending)
        if ranked
        else Order(column, column not in _ASCENDING_FIRST)
    )
    return {
        "link": link("/", [*kept, ("sort", str(following))]),
        "aria": ("descending" if order.descending else "ascending") if ranked else None,
    }


def _titles(run: Run, language: str = "en") -> dict[str, str]:
    return {
        stage["id"]: _in(stage["title"], language, stage["id"]) for stage in run.scheme["stages"]
    }


def _in(texts: Mapping[str, str], language: str, otherwise: str) -> str:
    return texts.get(language) or next(iter(texts.values()), otherwise)


def _stage_cards(store: Store, run: Run, asked: ListQuery) -> list[dict[str, Any]]:
    """Return the stages with their totals and a link to the list of each; what else is asked for
    stays.
    """
    titles = _titles(run)
    meanings = {stage["id"]: _in(stage["meaning"], "en", "") for stage in run.scheme["stages"]}
    other = [pair for pair in _parameters(asked) if pair[0] != "stage"]
    return [
        {
            "id": total.stage,
            "title": titles[total.stage],
            "meaning": meanings[total.stage],
            "customers": total.customers,
            "value_at_risk": total.value_at_risk,
            "chosen": total.stage in asked.stage,
            "link": link("/", [("stage", total.stage), *other]),
        }
        for total in store.stages(run)
    ]


def _shown_store(url: str) -> str:
    return (
        url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else url.rpartition("@")[2]
    )

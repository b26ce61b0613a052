"""Plans: whom to contact under a budget, the frozen list, what was sent, what it brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stagecast.features.errors import StagecastError
from stagecast.features.intake.counted import counted
from stagecast.features.shop.clock import UTC_CLOCK
from stagecast.serving.http.bodies import read_body
from stagecast.serving.http.idempotency import PARAMETER, done_once
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.plan_bodies import (
    decode_outcomes,
    decode_plan,
    decode_sent,
    instant_of,
)
from stagecast.serving.http.problems import ProblemError, in_request_words, without_values
from stagecast.serving.http.state import StateDep, StoreDep, get_run
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.learned.terms import with_default_effects, with_learned_effects
from stagecast.serving.targeting.plan.audience import check_audience
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.errors import (
    NameRefusedError,
    NoSuchPlanError,
    PlanStateError,
)
from stagecast.serving.targeting.plan.files import csv_pieces
from stagecast.serving.targeting.plan.observed import observed_at_end, outcomes_by_customer
from stagecast.serving.targeting.plan.results import (
    confirm_sent,
    last_readout,
    list_of,
    read_out_plan,
)

FIRST_UNKNOWN = 5
"""Places of ids without a score that a warning names."""
NO_PLAN = "there is no plan of this name; GET /v1/plans lists them"

router = APIRouter(prefix="/v1", tags=["plans"])
T = TypeVar("T")


def _answer(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _plainly(work: Callable[[], T]) -> T:
    """Return what some work returns; its errors become problems with the fitting status."""
    try:
        return work()
    except NoSuchPlanError:
        raise ProblemError(404, "plan-unknown", NO_PLAN) from None
    except PlanStateError as error:
        raise ProblemError(409, "plan-state", in_request_words(str(error))) from None
    except NameRefusedError as error:
        raise ProblemError(422, "plan-refused", error.without_name) from None
    except StagecastError as error:
        detail = in_request_words(without_values(str(error)))
        raise ProblemError(422, "plan-refused", detail) from None


@router.post(
    "/plans",
    summary="Work out a plan; with a name, store it as a draft",
    responses={
        **json_response("PlanAnswer"),
        201: json_response("PlanAnswer")[200] | {"description": "Stored as a draft"},
        **problem_responses(400, 404, 409, 413, 415, 422),
    },
    openapi_extra={**request_body("PlanBody"), "parameters": [PARAMETER]},
)
async def make_plan(request: Request, state: StateDep, store: StoreDep) -> Response:
    """Choose whom to contact within a budget or a number of contacts, and draw a hold-out.

    The expected gain of a contact is the effect of keeping times the value at risk, and the effect
    of winning back times the value gone, less the costs; the offer is also paid to customers who
    would have ordered anyway. Effects that are not stated are those of the plans that were read out
    after their windows, where any of these shows one, and a note says what they are; with
    `effects.learned` false they are assumed. Without `name` nothing is stored,
    and the answer is what the plan would be.
    """
    raw = await read_body(request, state.settings.max_body_bytes)
    work = partial(_make_plan, store, raw)
    return await anyio.to_thread.run_sync(done_once, request, store, raw, work)


def _make_plan(store: Store, raw: bytes) -> Response:
    body = decode_plan(raw)
    run = get_run(store)

    def work() -> Response:
        terms, starts_at = body.terms(), instant_of(body.starts_at, "starts_at", run.clock)
        check_audience(terms.audience, run)
        if body.effects.learned:
            terms = with_learned_effects(store.engine, run, terms)
        elif body.effects.learned is None:
            terms = with_default_effects(store.engine, run, terms)
        book = PlanBook(store.engine)
        warnings = _without_score(book, run, terms.audience.ids or ())
        if body.name is None:
            forecast = book.propose(run, terms, starts_at).forecast
            return _answer({"plan": None, **forecast.to_json(), "warnings": warnings})
        plan, _ = book.create(
            body.name,
            run,
            terms,
            owner=body.owner,
            starts_at=starts_at,
            replace=body.replace,
        )
        return _answer({"plan": plan.to_json(), **plan.proposal, "warnings": warnings}, 201)

    return _plainly(work)


def _without_score(book: PlanBook, run: Run, ids: Sequence[str]) -> list[str]:
    """Return a warning that says which ids of a body no score has, by their places in it."""
    unknown = book.ids_without_score(run, ids)
    if not unknown:
        return []
    first = ", ".join(f"[{position}]" for position in unknown[:FIRST_UNKNOWN])
    more = "" if len(unknown) <= FIRST_UNKNOWN else ", ..."
    have = "has no score and is" if len(unknown) == 1 else "have no score and are"
    named = counted(len(ids), "customer")
    return [f"{len(unknown):,} of {named} of audience.customer_ids {have} left out: {first}{more}"]


@router.get("/plans", summary="All plans, the newest first", responses=json_response("PlanList"))
def list_plans(store: StoreDep) -> Response:
    """List the plans with their states and what is expected of them."""
    return _answer({"plans": [plan.to_json() for plan in PlanBook(store.engine).plans()]})


@router.get(
    "/plans/{name}",
    summary="One plan: what it was asked for, what is expected of it, its state",
    responses={**json_response("Plan"), **problem_responses(404)},
)
def one_plan(name: str, store: StoreDep) -> Response:
    """Return a plan."""
    return _answer(_plainly(lambda: PlanBook(store.engine).plan(name)).to_json())


@router.delete(
    "/plans/{name}",
    summary="Delete a draft",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Deleted"}, **problem_responses(404, 409)},
)
def drop_plan(name: str, store: StoreDep) -> Response:
    """Delete a draft; a frozen plan stays."""
    _plainly(lambda: PlanBook(store.engine).drop(name))
    return Response(status_code=204)


@router.post(
    "/plans/{name}/freeze",
    summary="Draw the hold-out and fix the list",
    responses={**json_response("Plan"), **problem_responses(404, 409, 415, 422)},
    openapi_extra={"parameters": [PARAMETER]},
)
def freeze_plan(name: str, request: Request, store: StoreDep) -> Response:
    """Fix a plan: from then on nothing of it changes but its state."""

    def work() -> Response:
        return _answer(_plainly(lambda: PlanBook(store.engine).freeze(name)).to_json())

    return done_once(request, store, b"", work)


@router.post(
    "/plans/{name}/cancel",
    summary="Cancel a frozen plan that was not sent",
    responses={**json_response("Plan"), **problem_responses(404, 409, 415, 422)},
    openapi_extra={"parameters": [PARAMETER]},
)
def cancel_plan(name: str, request: Request, store: StoreDep) -> Response:
    """Cancel a plan, so that other plans may contact its customers."""

    def work() -> Response:
        return _answer(_plainly(lambda: PlanBook(store.engine).cancel(name)).to_json())

    return done_once(request, store, b"", work)


@router.get(
    "/plans/{name}/customers",
    summary="The list of a frozen plan, in the order of its ranks",
    responses={**json_response("PlanCustomers", csv=True), **problem_responses(404, 409, 422)},
)
def plan_customers(
    name: str,
    store: StoreDep,
    arm: Annotated[Literal["contact", "holdout"] | None, Query()] = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Response:
    """List who is contacted and who is held out; with `format=csv` as a file to send from."""
    book = PlanBook(store.engine)
    rows = _plainly(lambda: book.members(name, arm))
    if format == "csv":
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return StreamingResponse(csv_pieces(rows), headers=headers, media_type="text/csv")
    hidden = ("plan_id", "stratum")
    return _answer(
        {
            "plan": name,
            "customers": [
                {key: value for key, value in row.items() if key not in hidden} for row in rows
            ],
        }
    )


@router.post(
    "/plans/{name}/sent",
    summary="Note that the customers of a plan were contacted",
    responses={**json_response("Plan"), **problem_responses(400, 404, 409, 413, 415, 422)},
    openapi_extra={**request_body("SentBody"), "parameters": [PARAMETER]},
)
async def plan_sent(name: str, request: Request, state: StateDep, store: StoreDep) -> Response:
    """Note when customers were contacted, so that quiet days and caps of later plans know it."""
    raw = await read_body(request, state.settings.max_body_bytes)

    def work() -> Response:
        body = decode_sent(raw)
        run = store.current_run()
        clock = UTC_CLOCK if run is None else run.clock
        at = instant_of(body.at, "at", clock) or datetime.now(UTC)
        source: Literal["hand", "upload"] = "hand" if body.customer_ids is None else "upload"
        plan = _plainly(
            lambda: confirm_sent(store.engine, name, at, source=source, ids=body.customer_ids)
        )
        return _answer(plan.to_json())

    return await anyio.to_thread.run_sync(done_once, request, store, raw, work)


@router.post(
    "/plans/{name}/outcomes",
    summary="Read out a plan from counted outcomes of its whole window",
    responses={**json_response("PlanReadOut"), **problem_responses(400, 404, 409, 413, 415, 422)},
    openapi_extra={**request_body("OutcomesBody"), "parameters": [PARAMETER]},
)
async def plan_outcomes(name: str, request: Request, state: StateDep, store: StoreDep) -> Response:
    """Store what the customers of a plan did, close it, and return what it brought."""
    raw = await read_body(request, state.settings.max_body_bytes)
    work = partial(_outcomes, store, name, raw)
    return await anyio.to_thread.run_sync(done_once, request, store, raw, work)


def _outcomes(store: Store, name: str, raw: bytes) -> Response:
    body = decode_outcomes(raw)

    def work() -> Response:
        plan = PlanBook(store.engine).plan(name)
        members = list_of(store.engine, plan)
        ids = [row["customer_id"] for row in members]
        rows = outcomes_by_customer(
            ((row.customer_id, row.orders, row.spend) for row in body.outcomes), ids, name
        )
        observed = observed_at_end(rows, ids, plan.window_days, plan.ends_at)
        read_out_plan(store.engine, plan, members, observed, margin=body.margin)
        return _answer(last_readout(store.engine, plan))

    return _plainly(work)


@router.get(
    "/plans/{name}/readout",
    summary="What a plan brought, as of the last look",
    responses={**json_response("PlanReadOut"), **problem_responses(404)},
)
def plan_readout(name: str, store: StoreDep) -> Response:
    """Return the last read-out of a plan, which `stagecast plan readout` or outcomes made."""
    book = PlanBook(store.engine)
    plan = _plainly(lambda: book.plan(name))
    result = last_readout(store.engine, plan)
    if result is None:
        end = day_on(book.clocks([plan])[plan.run_id], plan.ends_at)
        raise ProblemError(
            404,
            "not-read-out",
            f"plan '{name}' was not read out yet; after {end} send its outcomes: POST "
            f"/v1/plans/{name}/outcomes (or run: stagecast plan readout {name} EVENTS)",
        )
    return _answer(result)

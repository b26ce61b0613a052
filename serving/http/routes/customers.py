"""Published scores: the ranked list, one customer, many customers by id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any
from urllib.parse import urlencode

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from stagecast.features.shop.customer_ids import LONGEST_ID, clean_id
from stagecast.serving.http.accept import accepted
from stagecast.serving.http.access import require_scope
from stagecast.serving.http.bodies import decode_lookup, read_body
from stagecast.serving.http.entity_tags import tag_of, unchanged
from stagecast.serving.http.languages import DisplayDep, display_of
from stagecast.serving.http.list_columns import Sheet
from stagecast.serving.http.lists import ApiListQuery
from stagecast.serving.http.openapi import WORKBOOK, json_response, problem_responses, request_body
from stagecast.serving.http.page_texts import titles_of
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.http.score_fields import FieldsQuery, fields_of
from stagecast.serving.http.state import RunNumber, StateDep, StoreDep, run_of
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.reports.customer_story import risk_steps, timeline, usual_gap
from stagecast.serving.reports.past_events import past_events
from stagecast.serving.reports.play_words import play_of
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.store.changes import changes
from stagecast.serving.store.customer_history import CustomerRecord
from stagecast.serving.store.documents import with_sentences
from stagecast.serving.store.exports import csv_pieces, ndjson_pieces
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.purging import erasure
from stagecast.serving.store.store import Store
from stagecast.serving.store.timelines import past_of_customer
from stagecast.serving.store.workbook import check_rows, write_workbook
from stagecast.serving.targeting.plan.of_customer import contacts_of_customer, plans_of_customer

router = APIRouter(prefix="/v1", tags=["customers"])

CustomerIdQuery = Annotated[
    str, Query(alias="id", min_length=1, max_length=LONGEST_ID, description="the customer, as text")
]
HISTORY_MAX = 1000
HistoryLimit = Annotated[
    int, Query(ge=1, le=HISTORY_MAX, description="most past scores of an answer, the latest first")
]
HistoryBefore = Annotated[
    int | None,
    Query(
        ge=1,
        le=2**31 - 1,
        description="history_next of the answer before: the past scores after that run's",
    ),
]
_FORMATS = {"application/json": "json", "application/x-ndjson": "ndjson", "text/csv": "csv"}
_FOR_PEOPLE = ("csv", "xlsx")


def _json(content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), headers=headers, media_type="application/json")


def _raw_json(
    documents: list[str],
    currency: str | None,
    language: str = "en",
    fields: Sequence[str] | None = None,
) -> list[msgspec.Raw]:
    # the store holds each score as JSON text, of which only the reasons are decoded and encoded
    return [
        msgspec.Raw(with_sentences(document, currency, language, fields)) for document in documents
    ]


def _response_format(request: Request, query: ApiListQuery) -> str:
    if query.format is not None:
        return query.format
    return _FORMATS[accepted(request.headers.get("accept", ""), list(_FORMATS))]


@router.get(
    "/customers",
    summary="The published customers, ranked and filtered",
    responses={
        **json_response("CustomerList", csv=True, workbook=True),
        **problem_responses(304, 400, 404, 406, 410, 422),
    },
)
def list_customers(
    request: Request, query: Annotated[ApiListQuery, Query()], store: StoreDep
) -> Response:
    """List the customers of a scoring run, by default of the current one and those with the most
    value at risk first.

    Follow `next_cursor` (also in the `Link` header) for the next page; it holds until new scores
    are published, and with `run` as long as the run is stored. An answer has an `ETag`; sent back
    as `If-None-Match`, it is 304 while nothing has changed. In
    CSV, text that a spreadsheet would take for a formula begins with an apostrophe. With `column`
    the CSV is one for people: heads in words, and these columns; so is the workbook of
    `format=xlsx`.
    """
    response_format = _response_format(request, query)
    require_scope(request, "read" if response_format == "json" else "export")
    run = run_of(store, query.run)
    filters, order, fields = (
        query.filters(run),
        query.order(store, run),
        fields_of(query.fields, run),
    )
    tag, display = tag_of(request, store, run, response_format), display_of(request)
    if (known := unchanged(request, tag, "Accept")) is not None:
        return known
    headers = {"Vary": "Accept", "ETag": tag}
    if query.column and response_format not in _FOR_PEOPLE:
        fault = Fault("query.column", "columns are for CSV and XLSX", ", ".join(query.column))
        raise ProblemError(
            422, "query-refused", "column needs format=csv or format=xlsx", faults=[fault]
        )
    if response_format == "xlsx" or query.column:
        return _sheet_response(store, run, query, response_format, headers, display)
    if query.limit == "all":
        if response_format == "json":
            fault = Fault("query.limit", "'all' is for CSV, XLSX and NDJSON", "all")
            raise ProblemError(
                422, "query-refused", "limit=all needs format=csv, xlsx or ndjson", faults=[fault]
            )
        all_documents = store.all_customers(run, filters, order)
        return _streaming_response(
            response_format, all_documents, run, headers, display.language, fields
        )
    page = store.customers(run, filters, order, limit=int(query.limit), cursor=query.cursor)
    if page.next_cursor is not None:
        parameters = [
            (name, value) for name, value in request.query_params.multi_items() if name != "cursor"
        ]
        next_query = urlencode([*parameters, ("cursor", page.next_cursor)])
        headers["Link"] = f'<{request.url.path}?{next_query}>; rel="next"'
    if response_format != "json":
        return _streaming_response(
            response_format, page.documents, run, headers, display.language, fields
        )
    return _json(
        {
            "run": run.id,
            "as_of": run.as_of,
            "model_version": run.model_version,
            "total": store.count(run, filters),
            "next_cursor": page.next_cursor,
            "customers": _raw_json(page.documents, run.currency, display.language, fields),
        },
        headers,
    )


def _sheet_response(
    store: Store,
    run: Run,
    query: ApiListQuery,
    response_format: str,
    headers: dict[str, str],
    display: Display,
) -> Response:
    """Return a list for people: heads in words, and the columns that were asked for."""
    filters, order = query.filters(run), query.order(store, run)
    sheet = Sheet(run, query.columns(run), display)
    documents: Iterable[str]
    if query.limit == "all":
        documents = store.all_customers(run, filters, order)
    else:
        limit = int(query.limit)
        documents = store.customers(run, filters, order, limit=limit, cursor=query.cursor).documents
    name = f"{sheet.file_name}.{response_format}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if response_format == "csv":
        return StreamingResponse(
            sheet.csv_pieces(documents), headers=headers, media_type="text/csv"
        )
    check_rows(store.count(run, filters) if query.limit == "all" else int(query.limit))
    with NamedTemporaryFile(suffix=".xlsx", delete=False) as file:
        path = Path(file.name)
    try:
        write_workbook(path, "customers", sheet.head, sheet.rows(documents), sheet.number_formats)
    except BaseException:
        path.unlink()
        raise
    removed = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, headers=headers, media_type=WORKBOOK, background=removed)


def _streaming_response(
    response_format: str,
    documents: Iterable[str],
    run: Run,
    headers: dict[str, str],
    language: str,
    fields: Sequence[str] | None,
) -> Response:
    if response_format == "ndjson":
        return StreamingResponse(
            ndjson_pieces(documents, run.currency, language, fields),
            headers=headers,
            media_type="application/x-ndjson",
        )
    name = f"customers-{day_on(run.clock, run.as_of)}.csv"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(
        csv_pieces(documents, run.stage_ids, run.currency, language, fields),
        headers=headers,
        media_type="text/csv",
    )


@router.post(
    "/customers/lookup",
    summary="The published scores of up to 1,000 customers by id",
    responses={**json_response("LookupAnswer"), **problem_responses(400, 404, 413, 415, 422)},
    openapi_extra=request_body("LookupBody"),
)
async def lookup(
    request: Request,
    state: StateDep,
    store: StoreDep,
    run: RunNumber = None,
    fields: FieldsQuery = None,
) -> Response:
    """Return the scores of a run in the order of the ids, and the ids that have none."""
    raw = await read_body(request, state.settings.max_body_bytes)
    return await anyio.to_thread.run_sync(
        _lookup_response, store, raw, run, fields, display_of(request).language
    )


def _lookup_response(
    store: Store, raw: bytes, number: int | None, field_names: str | None, language: str
) -> Response:
    ids = decode_lookup(raw)
    run = run_of(store, number)
    fields = fields_of(field_names, run)
    documents = store.lookup(run, ids)
    return _json(
        {
            "scores": _raw_json(
                [documents[customer_id] for customer_id in ids if customer_id in documents],
                run.currency,
                language,
                fields,
            ),
            "missing": [customer_id for customer_id in ids if customer_id not in documents],
        }
    )


@router.get(
    "/customers/{customer_id:path}",
    summary="One customer: the last published score, its reasons, what changed, its history",
    responses={**json_response("CustomerAnswer"), **problem_responses(404)},
)
def one_customer(
    customer_id: str,
    store: StoreDep,
    display: DisplayDep,
    history_limit: HistoryLimit = HISTORY_MAX,
    history_before: HistoryBefore = None,
) -> Response:
    """Return the last score of a customer, what changed since the one before, all scores so far,
    the play with its reasons, the plans that the customer was in, how the risk adds up
    (`risk_steps`), the own usual gap between orders in days, and a timeline of what is stored.

    An id may hold slashes. `GET /v1/customer?id=` takes any id, also one with `..` or a line end.
    """
    customer_id = clean_id(customer_id)
    record = store.customer(customer_id)
    if record is None:
        raise _unknown_customer()
    answer = customer_answer(store, store.current_run(), customer_id, record, display)
    return _json(
        {
            "score": _raw_json([record.document], record.currency, display.language)[0],
            **answer,
            **_history(record, history_limit, history_before),
        }
    )


def _history(record: CustomerRecord, limit: int, before: int | None) -> dict[str, Any]:
    """Return a part of the history, and before which run the next part begins."""
    history = record.history
    if before is not None:
        numbers = [past.run for past in history]
        if before not in numbers:
            problem = "no score of this customer is of a run of this number"
            fault = Fault("query.history_before", problem)
            raise ProblemError(422, "query-refused", f"{fault.where}: {problem}", faults=[fault])
        history = history[numbers.index(before) + 1 :]
    next_before = history[limit - 1].run if len(history) > limit else None
    return {"history": history[:limit], "history_next": next_before}


@router.get(
    "/customer",
    summary="One customer, whose id may be any text",
    responses={**json_response("CustomerAnswer"), **problem_responses(404)},
)
def one_customer_by_id(
    customer_id: CustomerIdQuery,
    store: StoreDep,
    display: DisplayDep,
    history_limit: HistoryLimit = HISTORY_MAX,
    history_before: HistoryBefore = None,
) -> Response:
    """Return what `GET /v1/customers/{customer_id}` returns, for ids that cannot be part of a
    path: with `..`, `.`, or a line end."""
    return one_customer(customer_id, store, display, history_limit, history_before)


def customer_answer(
    store: Store,
    run: Run | None,
    customer_id: str,
    record: CustomerRecord,
    display: Display = ENGLISH,
) -> dict[str, Any]:
    """Return what the API answers about a customer beside the score."""
    score = msgspec.json.decode(record.document)
    previous = None
    if record.previous_document is not None:
        previous = msgspec.json.decode(record.previous_document)
    scheme = {} if run is None else run.scheme
    titles = titles_of(scheme, display.language) if scheme else {}
    plans = plans_of_customer(store.engine, customer_id)
    contacts = contacts_of_customer(store.engine, customer_id)
    scored = [{"as_of": each.as_of, "stage": each.stage} for each in record.history]
    past = None
    if record.run is not None:
        past = past_of_customer(store.engine, record.run, customer_id)
    return {
        "changes": changes(score, previous, titles, record.currency, display),
        "history": record.history,
        "play": play_of(scheme, score, titles, display),
        "plans": plans,
        "risk_steps": risk_steps(score),
        "usual_gap_days": usual_gap(score),
        "timeline": timeline(score, scored, contacts, plans),
        "past_events": past_events(past),
        "past_days_left_out": None if past is None else past.days_left_out,
    }


@router.delete(
    "/customers/{customer_id:path}",
    summary="Erase one customer from the store",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Erased"}, **problem_responses(404)},
)
def erase_customer(customer_id: str, store: StoreDep, state: StateDep) -> Response:
    """Erase a customer's scores from every run, with the history; totals that were published stay.

    The scores are gone when this answers. The bytes of deleted rows leave the files of the
    database a little later, in one go for all erasures that wait; the address in `Location` says
    when that is done. The request has no body, and needs no content type. Logs, reports and MLflow
    are not the server's: `stagecast erase` works on those.
    """
    customer_id = clean_id(customer_id)
    number = store.forget(customer_id)
    if number is None:
        raise _unknown_customer()
    if state.purger is not None:
        state.purger.wake()
    return Response(status_code=204, headers={"Location": f"/v1/erasures/{number}"})


@router.delete(
    "/customer",
    summary="Erase one customer, whose id may be any text, from the store",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Erased"}, **problem_responses(404)},
)
def erase_customer_by_id(
    request: Request, customer_id: CustomerIdQuery, store: StoreDep, state: StateDep
) -> Response:
    """Do what `DELETE /v1/customers/{customer_id}` does, for any id."""
    request.scope["path_params"]["customer_id"] = customer_id  # the audit log hashes it
    return erase_customer(customer_id, store, state)


@router.get(
    "/erasures/{number}",
    summary="How far an erasure is",
    responses={**json_response("Erasure"), **problem_responses(404, 422)},
)
def erasure_state(
    number: Annotated[int, PathParameter(ge=1, le=2**31 - 1)], store: StoreDep
) -> Response:
    """Return the `state` of an erasure: `waiting`, `running`, or `done`, when the bytes of the
    deleted rows are out of the files as well."""
    result = erasure(store.engine, number)
    if result is None:
        raise ProblemError(404, "erasure-unknown", "there is no erasure of this number")
    return _json({**asdict(result), "state": result.state})


def _unknown_customer() -> ProblemError:
    detail = "no published score of this customer; ids are case-sensitive text"
    return ProblemError(404, "customer-unknown", detail)

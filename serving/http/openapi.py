"""Schemas and examples of the OpenAPI document that FastAPI cannot derive.

They describe the bodies that msgspec decodes, the score of the contract, and the responses.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from fastapi.routing import APIRoute

from stagecast.serving.http.bodies import JOB_CUSTOMERS_MAX, LookupBody, ScoreBody
from stagecast.serving.http.channel_schemas import channel_schemas
from stagecast.serving.http.examples import EXAMPLE_SCORE, example_request
from stagecast.serving.http.past_event_schemas import past_event_schemas
from stagecast.serving.http.plan_schemas import BODIES, EXAMPLES, plan_schemas
from stagecast.serving.http.run_schemas import run_schemas
from stagecast.serving.http.schema_parts import object_schema
from stagecast.serving.http.score_properties import score_properties
from stagecast.serving.http.trust_schemas import trust_schemas
from stagecast.serving.http.view_bodies import EXAMPLES as VIEW_EXAMPLES
from stagecast.serving.http.view_bodies import SavedViewBody, view_schemas
from stagecast.serving.scoring.contract import WARNING_CODES

_OR_NULL = ["string", "null"]
_REF = "#/components/schemas/{name}"

_EXAMPLES: dict[str, Any] = {
    **EXAMPLES,
    **VIEW_EXAMPLES,
    "ScoreBody": example_request(),
    "JobBody": example_request(),
    "LookupBody": {"customer_ids": ["a", "b"]},
    "ScoreAnswer": {
        "model_version": "6a06d9abbcc1",
        "as_of": "1998-07-02T00:00:00Z",
        "scores": [{**EXAMPLE_SCORE, "warnings": []}],
        "errors": [],
    },
    "CustomerList": {
        "run": 1,
        "as_of": "1998-07-02T00:00:00Z",
        "model_version": "6a06d9abbcc1",
        "total": 2357,
        "next_cursor": "WzEsIjRi",
        "customers": [EXAMPLE_SCORE],
    },
    "LookupAnswer": {"scores": [EXAMPLE_SCORE], "missing": ["b"]},
    "Problem": {
        "type": "urn:stagecast:problem:body-refused",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "customers[0].events[3].amount: Expected `float | null`, got `str`",
        "instance": "urn:stagecast:request:0b9f3c5d7e21a846",
        "errors": [
            {
                "where": "customers[0].events[3].amount",
                "problem": "Expected `float | null`, got `str`",
            }
        ],
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def request_body(name: str) -> dict[str, Any]:
    """Return the description of a JSON body that the route decodes itself.

    Parameters
    ----------
    name
        Name of the schema.
    """
    content = {"application/json": {"schema": _ref(name), "example": _EXAMPLES[name]}}
    return {"requestBody": {"required": True, "content": content}}


WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def json_response(
    name: str, *, csv: bool = False, workbook: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the description of a route's response of status 200.

    Parameters
    ----------
    name
        Name of the schema.
    csv
        Whether the route also responds with NDJSON and CSV.
    workbook
        Whether it also responds with a workbook of Excel.
    """
    content: dict[str, Any] = {"application/json": {"schema": _ref(name)}}
    if name in _EXAMPLES:
        content["application/json"]["example"] = _EXAMPLES[name]
    if csv:
        content["application/x-ndjson"] = {
            "schema": {"type": "string", "description": "one score on each line"}
        }
        content["text/csv"] = {
            "schema": {"type": "string", "description": "the columns of scores.parquet"}
        }
    if workbook:
        content[WORKBOOK] = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "As asked", "content": content}}


_MEANINGS = {
    304: "Nothing has changed since the answer whose ETag was sent as If-None-Match",
    400: "The body is not JSON, or the cursor is damaged or of another query",
    404: "Nothing of that name, or nothing published yet",
    406: "No form of the answer that the header Accept names",
    409: "The plan is in a state in which this is not possible, or the name is taken",
    410: "The cursor is of a run that is not current any more",
    413: "The body is too long",
    415: "The body is not of type application/json, or encoded otherwise than by gzip",
    422: "A value will not do: which one, where it stands, and why",
    503: "No model is loaded, or the store cannot be read",
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of a route's error responses (RFC 9457), by status."""
    content = {
        "application/problem+json": {"schema": _ref("Problem"), "example": _EXAMPLES["Problem"]}
    }
    return {
        status: {"description": _MEANINGS[status]} | ({} if status < 400 else {"content": content})
        for status in statuses
    }


_OPERATIONS = {
    "score": "score_customers",
    "lookup": "lookup_customers",
    "one_customer": "get_customer",
    "one_customer_by_id": "get_customer_by_id",
    "erase_customer_by_id": "erase_customer_by_id",
    "erasure_state": "get_erasure",
    "list_totals": "get_totals",
    "value_grid": "get_value_grid",
    "add_saved_view": "create_saved_view",
    "drop_saved_view": "delete_saved_view",
    "list_flows": "list_stage_flows",
    "trust": "get_trust",
    "make_plan": "create_plan",
    "one_plan": "get_plan",
    "drop_plan": "delete_plan",
    "plan_customers": "list_plan_customers",
    "plan_sent": "confirm_plan_sent",
    "plan_outcomes": "send_plan_outcomes",
    "plan_readout": "get_plan_readout",
    "results": "get_results",
    "model_card": "get_model",
    "livez": "get_livez",
    "readyz": "get_readyz",
}


def operation_id(route: APIRoute) -> str:
    """Return the name of an operation, by which generated clients call it; it never changes."""
    return _OPERATIONS.get(route.name, route.name)


def job_body(score_body: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the body of a job: that of a score with more customers."""
    properties = dict(score_body["properties"])
    properties["customers"] = {**properties["customers"], "maxItems": JOB_CUSTOMERS_MAX}
    return {**score_body, "title": "JobBody", "properties": properties}


def set_example_as_of(document: dict[str, Any], first_as_of: datetime) -> None:
    """Let the request in the document's example stand after the training of the loaded model."""
    for path in ("/v1/score", "/v1/jobs"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        body["example"] = example_request(first_as_of + timedelta(days=1))


def complete_document(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas and the security schemes to FastAPI's document, and return it."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, bodies = msgspec.json.schema_components(
        [ScoreBody, LookupBody, SavedViewBody, *BODIES], ref_template=_REF
    )
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                # a field that pydantic knows as deprecated warns whoever reads it
                if parameter["schema"].pop("deprecated", False):
                    parameter["deprecated"] = True
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                _restore_examples(part.get("content", {}))
            # FastAPI describes its own format of a 422, which the error handlers replace
            if "422" in operation["responses"]:
                operation["responses"]["422"] = problem_responses(422)[422]
    schemas.update(bodies)
    schemas["JobBody"] = job_body(schemas["ScoreBody"])
    schemas.update(plan_schemas(_REF))
    schemas.update(channel_schemas())
    schemas.update(trust_schemas())
    schemas.update(view_schemas())
    schemas.update(run_schemas())
    schemas.update(_response_schemas())
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    # a key is optional because a server without API keys does not check it
    document["security"] = [{}, {"bearer": []}, {"key": []}]
    return document


def _restore_examples(content: dict[str, Any]) -> None:
    """Put the examples in once more, of which FastAPI leaves out what is null."""
    for form in content.values():
        name = form["schema"].get("$ref", "").rpartition("/")[2]
        if "example" in form and name in _EXAMPLES:
            form["example"] = _EXAMPLES[name]


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _response_schemas() -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    instant: dict[str, Any] = {"type": "string", "format": "date-time"}
    number: dict[str, Any] = {"type": ["number", "null"]}
    run: dict[str, Any] = {"as_of": instant, "model_version": text}
    scores = _array(_ref("Score"))
    past_score: dict[str, Any] = {
        "as_of": instant,
        "stage": text,
        "scheme": text,
        "model_version": text,
    }
    past_score |= dict.fromkeys(("churn_probability", "value_at_risk", "clv"), number)
    text_or_null: dict[str, Any] = {"type": ["string", "null"]}
    past_score |= dict.fromkeys(("zone", "currency"), text_or_null)
    past_score["run"] = {"type": ["integer", "null"]}
    change: dict[str, Any] = {"field": text, "before": {}, "now": {}, "sentence": text}
    entry: dict[str, Any] = {"at": instant, "kind": text, "what": text_or_null}
    step: dict[str, Any] = {"kind": text, "reason": {"type": ["integer", "null"]}}
    step |= {name: {"type": "number"} for name in ("start", "end")}
    by_language = {"type": "object", "additionalProperties": text}
    stage: dict[str, Any] = {
        "id": text,
        "state": text,
        "customers": {"type": "integer"},
        "value_at_risk": number,
        "clv": number,
        "expected": number,
    }
    stage |= dict.fromkeys(("title", "meaning", "action"), by_language)
    flow: dict[str, Any] = {"from_stage": {"type": ["string", "null"]}, "to_stage": text}
    flow |= {"customers": {"type": "integer"}, "share": {"type": "number"}}
    unscored = {
        "type": "object",
        "description": "A customer without a score, only with strict=false",
        "properties": {
            "customer_id": {"type": ["string", "null"]},
            "position": {"type": "integer"},
            **dict.fromkeys(("where", "problem"), text),
            "more": {"type": "integer"},
        },
    }
    fault = {"type": "object", "properties": dict.fromkeys(("where", "problem"), text)}
    return {
        "Score": object_schema(
            score_properties(_REF),
            "One customer's score; the same columns as scores.parquet",
            optional=("warnings",),
        ),
        "ScoreWarning": {
            "type": "object",
            "description": "Where a request is not what the model was trained on",
            "properties": {
                "code": {"type": "string", "enum": list(WARNING_CODES)},
                "detail": text,
                "event": {**text, "description": "the event type that is not known"},
                "nearest": {**text, "description": "the known event type that is most like it"},
            },
            "required": ["code", "detail"],
        },
        "ScoreAnswer": object_schema(
            {**run, "scores": scores, "errors": _array(unscored)},
            "The scores, in the order of the customers asked for",
        ),
        "CustomerList": object_schema(
            {
                "run": {"type": "integer"},
                **run,
                "total": {"type": "integer"},
                "next_cursor": {"type": ["string", "null"]},
                "customers": scores,
            },
            "One page of the ranked list; total counts all pages",
        ),
        "CustomerAnswer": object_schema(
            {
                "score": _ref("Score"),
                "changes": _array(object_schema(change, "A field that changed, in a sentence")),
                "history": _array(object_schema(past_score, "The score of one run")),
                "history_next": {"type": ["integer", "null"]},
                "play": {
                    "type": ["object", "null"],
                    "description": "The play of the scheme, and the conditions that hold",
                    "properties": {
                        "id": text,
                        "title": by_language,
                        "contact": {"type": "boolean"},
                        "because": _array(text),
                    },
                },
                "plans": _array(_ref("PlanOfCustomer")),
                "risk_steps": _array(
                    object_schema(step, "What one reason adds to the probability")
                ),
                "usual_gap_days": number,
                "timeline": _array(object_schema(entry, "An instant of the past, or one expected")),
                **past_event_schemas(),
            },
            (
                "The last published score, what changed since the score before, all scores so far, "
                "latest first, the play, and the plans that the customer was in; how the risk adds "
                "up, and what is stored of the past"
            ),
        ),
        "LookupAnswer": object_schema(
            {"scores": scores, "missing": _array(text)}, "Scores in the order of the ids"
        ),
        "Erasure": object_schema(
            {
                "id": {"type": "integer"},
                "state": {"type": "string", "enum": ["waiting", "running", "done"]},
                "requested_at": instant,
                **{key: {**instant, "type": _OR_NULL} for key in ("started_at", "finished_at")},
                "problem": text_or_null,
            },
            "An erasure: the rows are deleted, and the files are rewritten when it is done",
        ),
        "StageList": object_schema(
            {
                **run,
                "scheme": text,
                "stages": _array(object_schema(stage, "A stage with who stands on it")),
            },
            "The stages of the scheme, in order",
        ),
        "StageFlowList": object_schema(
            {
                "from_as_of": {**instant, "type": ["string", "null"]},
                "to_as_of": instant,
                "scheme": text,
                "flows": _array(
                    object_schema(
                        flow, "Customers who went one way; share is of those on from_stage then"
                    )
                ),
            },
            "How customers moved between the stages since the run before",
        ),
        "Problem": {
            "type": "object",
            "description": "What went wrong and what to do (RFC 9457)",
            "properties": {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "instance": {**text, "description": "id of the request, as in X-Request-ID"},
                "errors": _array(fault),
                "errors_left_out": {"type": "integer"},
            },
            "required": ["type", "title", "status", "detail"],
        },
    }

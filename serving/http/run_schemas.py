"""Schemas of what the routes of runs and changes answer, for the description of the API."""

from __future__ import annotations

from typing import Any

from stagecast.serving.http.rollout_schemas import rollout_schemas
from stagecast.serving.http.schema_parts import object_schema
from stagecast.serving.store.feed import SHOWN

_TEXT: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_COUNT: dict[str, Any] = {"type": "integer"}
_COUNT_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}
_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
_INSTANT_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def run_schemas() -> dict[str, Any]:
    """Return name -> schema."""
    side = {
        "type": ["object", "null"],
        "description": "the score in one of the two runs; null: there is none",
        "properties": {
            name: {"type": ["number", "null"]}
            if name in ("churn_probability", "value_at_risk")
            else _TEXT_OR_NULL
            for name in SHOWN
        },
    }
    job = {
        "id": {**_TEXT, "pattern": "^[0-9a-f]{32}$"},
        "state": {
            "type": "string",
            "enum": ["waiting", "running", "done", "failed", "cancelled", "lost"],
        },
        **dict.fromkeys(("created_at", "as_of"), _INSTANT),
        **dict.fromkeys(("started_at", "finished_at"), _INSTANT_OR_NULL),
        "model_version": _TEXT,
        **dict.fromkeys(("customers", "scored", "failed"), _COUNT),
        "problem": _TEXT_OR_NULL,
    }
    return {
        "Job": object_schema(job, "A batch of raw events that is scored in the background"),
        "JobList": object_schema(
            {"jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}},
            "The jobs of a key, the newest first",
        ),
        "Run": object_schema(
            {
                "id": _COUNT,
                **dict.fromkeys(("as_of", "data_cutoff", "published_at"), _INSTANT),
                "horizon_days": _COUNT,
                "model_version": _TEXT,
                "scheme": _TEXT,
                "customers": _COUNT,
                "zone": _TEXT_OR_NULL,
                "currency": _TEXT_OR_NULL,
            },
            "A published scoring run",
        ),
        "ModelContract": object_schema(
            {
                "event_types": {**_TEXTS, "type": ["array", "null"]},
                "event_types_read": _TEXTS,
                "currency": _TEXT_OR_NULL,
                "amounts": {"type": ["boolean", "null"]},
                "zone": _TEXT,
                "equal_events": {"type": "string", "enum": ["one", "each"]},
                **dict.fromkeys(("first_as_of", "last_as_of"), _INSTANT),
                "horizon_days": _COUNT,
                "scheme": _TEXT,
                **dict.fromkeys(("event_columns", "attributes", "columns"), _TEXTS),
            },
            "What the model can be asked; a request that breaks it has warnings or is refused",
        ),
        "ModelCard": {
            "type": "object",
            "description": "What the model was trained on, and how good it is",
            "properties": {
                "model_version": _TEXT,
                **dict.fromkeys(("as_of", "data_cutoff", "scheme", "zone"), _TEXT),
                "horizon_days": _COUNT,
                "stages": _TEXTS,
                "contract": {"$ref": "#/components/schemas/ModelContract"},
                **{
                    name: {"anyOf": [{"$ref": f"#/components/schemas/{schema}"}, {"type": "null"}]}
                    for name, schema in (("model_doubt", "ModelDoubt"), ("canary", "ModelCanary"))
                },
            },
            "required": ["model_version"],
        },
        **rollout_schemas(),
        "RunList": object_schema(
            {
                "current": _COUNT_OR_NULL,
                "runs": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}},
                "next_before": _COUNT_OR_NULL,
            },
            "The published runs, the newest first",
        ),
        "Change": object_schema(
            {
                "customer_id": _TEXT,
                "kind": {"type": "string", "enum": ["added", "changed", "removed"]},
                "before": side,
                "now": side,
            },
            "How the score of a customer differs between two runs",
        ),
        "ChangeList": object_schema(
            {
                "since": _COUNT,
                "run": _COUNT,
                **dict.fromkeys(("from_as_of", "to_as_of"), _INSTANT),
                "changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
                "next_cursor": _TEXT_OR_NULL,
            },
            "Whose score differs between two runs, in the order of the ids",
        ),
    }

"""Schemas of a canary and of a challenger, for the description of the API."""

from __future__ import annotations

from typing import Any

from stagecast.serving.follow.pairs import LABELS, NUMBERS
from stagecast.serving.http.schema_parts import object_schema

_TEXT: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_COUNT: dict[str, Any] = {"type": "integer"}
_NUMBER: dict[str, Any] = {"type": "number"}
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}


def rollout_schemas() -> dict[str, Any]:
    """Return name -> schema."""
    number = object_schema(
        {
            **dict.fromkeys(("both", "only_answered", "only_beside"), _COUNT),
            **dict.fromkeys(
                (
                    "mean_answered",
                    "mean_beside",
                    "mean_difference",
                    "psi",
                    "rank_correlation",
                ),
                _NUMBER_OR_NULL,
            ),
        },
        "A number of the scores of two models; psi and rank_correlation are of a sample",
    )
    comparison = object_schema(
        {
            "scores": _COUNT,
            "errors": {
                "type": "object",
                "description": "kind -> customers at whom the model beside failed",
                "additionalProperties": _COUNT,
            },
            "milliseconds_per_score": object_schema(
                dict.fromkeys(("answered", "beside"), _NUMBER_OR_NULL), "Processor time of a score"
            ),
            "columns": object_schema(dict.fromkeys(NUMBERS, number), "By column of a score"),
            "agreement": object_schema(
                dict.fromkeys(LABELS, _NUMBER_OR_NULL), "Share of scores in which both say the same"
            ),
        },
        "Scores of the same customers by two models",
    )
    return {
        "ModelDoubt": object_schema(
            {"since": _INSTANT, "problem": _TEXT}, "Since when an old model stays, and why"
        ),
        "ModelCanary": object_schema(
            {
                "model_version": _TEXT,
                "share": _NUMBER,
                "since": _INSTANT,
                **dict.fromkeys(
                    ("customers_compared", "customers_needed", "customers_answered", "errors"),
                    _COUNT,
                ),
            },
            "A new model that answers a share of the customers, until it answers all or none",
        ),
        "ShadowReport": object_schema(
            {
                **dict.fromkeys(
                    ("answered_model_version", "beside_model_version", "process_problem"),
                    _TEXT_OR_NULL,
                ),
                "share": _NUMBER,
                "since": {**_INSTANT, "type": ["string", "null"]},
                "problem": {
                    "anyOf": [{"$ref": "#/components/schemas/ModelDoubt"}, {"type": "null"}]
                },
                **dict.fromkeys(("requests", "requests_dropped"), _COUNT),
                "comparison": {"anyOf": [comparison, {"type": "null"}]},
            },
            "A challenger that is scored beside the model that answers",
        ),
    }

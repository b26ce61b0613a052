"""Schemas of the fields of a score: their types, what values they can have, and in which unit."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stagecast.features.stages.plays import BANDS, STATES
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.without_amounts import MONEY_COLUMNS

_VALUES: dict[str, tuple[str, ...]] = {
    "method": ("rule", "btyd", "blend"),
    "state": tuple(STATES),
    "churn_band": tuple(BANDS),
    "churn": ("inactivity", "cancellation"),
}
_PROBABILITIES = frozenset({"p_inactive", "churn_probability", "p_return", "p_convert", "p_alive"})
_NOT_NEGATIVE = frozenset(
    {"horizon_days", "recency_days", "tenure_days", "frequency", "orders", "expected_orders"}
)


def _limits(column: score_schema.Column) -> dict[str, Any]:
    """Return the values that a field can have, and the unit of money."""
    if column.name in _VALUES:
        values: tuple[str | None, ...] = _VALUES[column.name]
        return {"enum": [*values, None] if column.nullable else list(values)}
    if column.name in _PROBABILITIES:
        return {"minimum": 0, "maximum": 1}
    if column.name == "churn_percentile":
        return {"minimum": 0, "maximum": 100}
    limits: dict[str, Any] = {"minimum": 0} if column.name in _NOT_NEGATIVE else {}
    return limits | ({"x-unit": "money"} if column.name in MONEY_COLUMNS else {})


def _json_type(arrow_type: pa.DataType) -> tuple[str, dict[str, Any]]:
    if pa.types.is_timestamp(arrow_type):
        return "string", {"format": "date-time"}
    if pa.types.is_date(arrow_type):
        return "string", {"format": "date"}
    if pa.types.is_boolean(arrow_type):
        return "boolean", {}
    if pa.types.is_integer(arrow_type):
        return "integer", {}
    return ("number", {}) if pa.types.is_floating(arrow_type) else ("string", {})


def score_properties(ref_template: str) -> dict[str, Any]:
    """Return name -> schema of the fields of a score.

    Parameters
    ----------
    ref_template
        How a schema names another one, with ``{name}``.
    """
    properties: dict[str, Any] = {}
    for column in score_schema.columns(()):
        if column.name == "next_stage":
            meaning = "P(stage at the end of the horizon) by stage id; all sum to 1"
            probabilities = {"type": "number", "minimum": 0, "maximum": 1}
            properties["next_stage"] = {
                "type": "object",
                "additionalProperties": probabilities,
                "description": meaning,
            }
            properties["next_stage_likeliest"] = {"type": "string", "description": column.meaning}
        elif column.name == "reasons":
            fields = {
                f.name: {"type": [_json_type(f.type)[0], "null"]} for f in score_schema.REASON
            }
            item = {"type": "object", "properties": fields}
            properties["reasons"] = {"type": "array", "items": item, "description": column.meaning}
        elif pa.types.is_list(column.type):
            properties[column.name] = {
                "type": ["array", "null"] if column.nullable else "array",
                "items": {"type": ["number", "null"]},
                **_limits(column),
                "description": column.meaning,
            }
        else:
            type_name, extra = _json_type(column.type)
            json_type = [type_name, "null"] if column.nullable else type_name
            properties[column.name] = {
                "type": json_type,
                **extra,
                **_limits(column),
                "description": column.meaning,
            }
    properties["warnings"] = {
        "type": "array",
        "items": {"$ref": ref_template.format(name="ScoreWarning")},
        "description": "Where the request is not what the model was trained on; only in answers to "
        "raw events",
    }
    return properties

"""Schemas of what the routes of channels answer, for the description of the API."""

from __future__ import annotations

from typing import Any

from stagecast.serving.http.schema_parts import object_schema

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
_COUNT: dict[str, Any] = {"type": "integer"}
_FIGURES = ("cac", "first_order", "year_over", "year", "clv", "ltv_to_cac", "lost")


def channel_schemas() -> dict[str, Any]:
    """Return name -> schema."""
    point = {name: {"type": "number"} for name in ("days", "value", "low", "high")}
    earned = object_schema(point, "What a customer has brought by an age, times the margin")
    group = _group({"earned": {"type": "array", "items": earned}})
    cohort = _group({"cohort": {"type": "string", "format": "date"}})
    ends = object_schema(
        dict.fromkeys(("value", "low", "high"), _NUMBER), "A number and its interval"
    )
    plan_cost = {
        "plan": _TEXT,
        "until": _TEXT,
        "contacted": _COUNT,
        "cost": {"type": "number"},
        "kept": ends,
        "cost_per_kept": ends,
    }
    return {
        "Figure": object_schema(
            {
                **dict.fromkeys(("value", "low", "high"), _NUMBER),
                "customers": _COUNT,
                "needed": {"type": ["integer", "null"]},
                "too_few": {"type": "boolean"},
            },
            "A number with its 95 % interval; null where fewer customers are known than it needs",
        ),
        "Payback": object_schema(
            {
                **dict.fromkeys(("days", "low", "high"), _NUMBER),
                "followed_days": {"type": "number"},
            },
            "Days from the first purchase until the cost is earned; null: not by followed_days",
        ),
        "ChannelList": object_schema(
            {
                "as_of": {"type": "string", "format": "date-time"},
                "model_version": _TEXT,
                "by": _TEXT,
                "unit": _TEXT,
                "margin": {"type": "number"},
                "groups": {"type": "array", "items": group},
                "cohorts": {"type": "array", "items": cohort},
                "keeping": {
                    "type": "array",
                    "items": object_schema(plan_cost, "What a plan that is over cost and kept"),
                },
                "notes": {"type": "array", "items": _TEXT},
            },
            "Customers by what they were first seen in; not what brought them",
        ),
    }


def _group(more: dict[str, Any]) -> dict[str, Any]:
    figure = {"anyOf": [{"$ref": "#/components/schemas/Figure"}, {"type": "null"}]}
    payback = {"anyOf": [{"$ref": "#/components/schemas/Payback"}, {"type": "null"}]}
    return object_schema(
        {
            "first_seen_in": _TEXT,
            **more,
            "people": _COUNT,
            "customers": _COUNT,
            "cost": _NUMBER,
            **dict.fromkeys(_FIGURES, figure),
            "payback": payback,
        },
        "Those who were first seen in one group; customers are those of them who have bought",
    )

"""Schemas of what the routes of trust, totals and views answer, for the description of the API."""

from __future__ import annotations

from typing import Any

from stagecast.serving.http.schema_parts import object_schema

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
_COUNT: dict[str, Any] = {"type": "integer"}
_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}


def trust_schemas() -> dict[str, Any]:
    """Return name -> schema."""
    totals = {
        "customers": _COUNT,
        **dict.fromkeys(("value_at_risk", "value_gone", "win_back", "clv", "spend"), _NUMBER),
    }
    view = {
        "id": _TEXT,
        "title": {"type": "object", "additionalProperties": _TEXT},
        "contact": {"type": "boolean"},
        "customers": _COUNT,
        **dict.fromkeys(("value_at_risk", "win_back"), _NUMBER),
        "stake": {"type": "number"},
        "new": {"type": ["integer", "null"]},
    }
    return {
        "TrustAnswer": object_schema(
            {
                "as_of": _INSTANT,
                "data_cutoff": _INSTANT,
                "published_at": _INSTANT,
                "model_version": _TEXT,
                "scheme": _TEXT,
                "customers": _COUNT,
                "settled": {"type": "array", "items": {"type": "object"}},
                "ledger_problem": {"type": ["string", "null"]},
                "card": {"type": ["object", "null"]},
                "data": {"type": ["object", "null"]},
                "drift": {"anyOf": [_drift(), {"type": "null"}]},
            },
            "What the published scores rest on, and how true earlier ones were",
        ),
        "Totals": object_schema(
            {"as_of": _INSTANT, **totals},
            "How many customers pass the filters, and the sums of their money; null: no amounts",
        ),
        "ValueGrid": object_schema(
            {"as_of": _INSTANT, "cells": {"type": "array", "items": _cell()}},
            "The active customers by churn band and class of value",
        ),
        "ViewList": object_schema(
            {"as_of": _INSTANT, "views": {"type": "array", "items": object_schema(view, "A play")}},
            "The plays of the scheme, with the customers who have them and their money",
        ),
    }


def _cell() -> dict[str, Any]:
    return object_schema(
        {
            "band": _TEXT,
            "value_class": _COUNT,
            "customers": _COUNT,
            **dict.fromkeys(("value_at_risk", "clv_above", "clv_at_most"), _NUMBER),
            "play": {"type": ["string", "null"]},
            "play_customers": _COUNT,
        },
        "Customers of one churn band and class of value",
        optional=("clv_above", "clv_at_most", "play", "play_customers"),
    )


def _drift() -> dict[str, Any]:
    movement = object_schema(
        {
            "name": _TEXT,
            "about": _TEXT,
            "psi": {"type": "number"},
            "strength": {"type": "string", "enum": ["little", "clearly", "far"]},
        },
        "How far a feature or score moved since the training: its population stability index",
    )
    moved = {"type": "array", "items": movement}
    numbers = ("age_days", "unknown_event_share", "said_share", "left_share", "money_ratio")
    return object_schema(
        {
            "model_version": _TEXT,
            "as_of": _INSTANT,
            "made_at": _INSTANT,
            "action": {"type": ["string", "null"], "enum": ["keep", "retrain", "repair", None]},
            "faults": {"type": ["integer", "null"]},
            **dict.fromkeys(numbers, _NUMBER),
            "features": _COUNT,
            "moved": moved,
            "scores": moved,
        },
        "What the last `stagecast monitor` with this store said of its model",
    )

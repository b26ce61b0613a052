"""Schemas and examples of plans in the OpenAPI document."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from stagecast.serving.http.plan_bodies import OutcomesBody, PlanBody, SentBody
from stagecast.serving.http.schema_parts import object_schema
from stagecast.serving.targeting.plan.counts import Counts
from stagecast.serving.targeting.plan.forecast import Forecast
from stagecast.serving.targeting.trial.readout import ReadOut

BODIES: tuple[type[Any], ...] = (PlanBody, SentBody, OutcomesBody)
EXAMPLES: dict[str, Any] = {
    "PlanBody": {
        "name": "autumn",
        "audience": {"plays": ["loyal_going_quiet", "worth_winning_back"]},
        "contacts": 500,
        "costs": {"contact": 1.0, "offer_share": 0.1},
        "effects": {"keep": 0.05, "win_back": 0.02},
        "rules": {"quiet_days": 14},
        "holdout": 0.1,
    },
    "SentBody": {"at": "1998-01-02T09:00:00Z", "customer_ids": ["a"]},
    "OutcomesBody": {"outcomes": [{"customer_id": "a", "orders": 1, "spend": 31.4}]},
}


def plan_schemas(ref_template: str) -> dict[str, Any]:
    """Return the schemas of the answers about plans.

    Parameters
    ----------
    ref_template
        How a schema names another one, with ``{name}``.
    """
    _, schemas = msgspec.json.schema_components([Forecast, ReadOut], ref_template=ref_template)

    def ref(name: str) -> dict[str, str]:
        return {"$ref": ref_template.format(name=name)}

    text, instant = {"type": "string"}, {"type": "string", "format": "date-time"}
    instant_or_null = {"type": ["string", "null"], "format": "date-time"}
    number = {"type": ["number", "null"]}
    plan = {
        **dict.fromkeys(("name", "owner"), text),
        "state": {"type": "string", "enum": ["draft", "frozen", "sent", "closed", "cancelled"]},
        "run_id": {"type": "integer"},
        **dict.fromkeys(("as_of", "starts_at", "ends_at", "created_at"), instant),
        **dict.fromkeys(("frozen_at", "sent_at"), instant_or_null),
        "sent_by": {"type": ["string", "null"]},
        "window_days": {"type": "integer"},
        "request": {"type": "object", "description": "the terms of the plan"},
        "proposal": ref("Forecast"),
        "digest": {"type": ["string", "null"], "description": "SHA-256 of the frozen list"},
    }
    customer = {
        "customer_id": text,
        "arm": {"type": "string", "enum": ["contact", "holdout"]},
        "rank": {"type": "integer"},
        **dict.fromkeys(("state", "stage"), text),
        **{
            key: {"type": ["string", "null"]}
            for key in (
                *("play", "churn_band", "name", "email_sha256", "contact_key", "channel"),
                "country",
            )
        },
        "confirmed_at": instant_or_null,
        **dict.fromkeys(
            ("gain", "cost", "contact_cost", "offer", "expected_purchase", "expected_spend"), number
        ),
    }
    return schemas | {
        "Plan": object_schema(
            plan, "A plan: what it was asked for, what is expected of it, its state"
        ),
        "PlanAnswer": {
            "description": "What a plan would be; `plan` is null where nothing was stored",
            "allOf": [
                ref("Forecast"),
                {
                    "type": "object",
                    "properties": {
                        "plan": {"anyOf": [ref("Plan"), {"type": "null"}]},
                        "warnings": {
                            "type": "array",
                            "items": text,
                            "description": "what was asked for and cannot be met, such as ids "
                            "without a score",
                        },
                    },
                    "required": ["plan"],
                },
            ],
        },
        "PlanReadOut": {
            "description": "What a plan brought, as of a look",
            "allOf": [
                ref("ReadOut"),
                object_schema(
                    {
                        "erased": {"type": "integer", "description": "customers erased since"},
                        **dict.fromkeys(("read_at", "data_until"), instant),
                    },
                    "When it was read out, and until when the data tell",
                ),
            ],
        },
        "Results": object_schema(
            {
                "plans": {"type": "array", "items": text},
                **{key: {"type": "integer"} for key in ("contacted", "held_out")},
                **{key: {"type": "number"} for key in ("level", "cost")},
                **{key: {"type": "object"} for key in ("buyers", "mean_buyers")},
                **{key: {"type": ["object", "null"]} for key in ("money", "net", "mean_net")},
                "by_play": {"type": "array", "items": {"type": "object"}},
                "notes": {"type": "array", "items": text},
                "counts": {"type": "string", "enum": list(get_args(Counts))},
            },
            "What all closed plans brought together",
        ),
        "BeforeAfterList": object_schema(
            {"comparisons": {"type": "array", "items": _before_after()}},
            "Comparisons of the customers before and after a date, the latest date first",
        ),
        "PlanOfCustomer": object_schema(
            {
                **dict.fromkeys(("name", "state", "arm"), text),
                "starts_at": instant,
                "window_days": {"type": "integer"},
                "contacted_at": instant_or_null,
                "verdict": {"type": ["string", "null"]},
            },
            "A plan that a customer was in",
        ),
        "PlanList": object_schema({"plans": {"type": "array", "items": ref("Plan")}}, "All plans"),
        "PlanCustomers": object_schema(
            {
                "plan": text,
                "customers": {
                    "type": "array",
                    "items": object_schema(customer, "A customer of a plan; money is expected"),
                },
            },
            "The list of a plan, in the order of its ranks",
        ),
    }


def _before_after() -> dict[str, Any]:
    """Return the schema of a comparison before and after a date."""
    text, number, count = {"type": "string"}, {"type": ["number", "null"]}, {"type": "integer"}
    flag, texts = {"type": "boolean"}, {"type": "array", "items": text}
    instant = {"type": "string", "format": "date-time"}
    window = object_schema(
        {"start": text, "end": text, "customers": count}, "A window; its end is the day after"
    )
    measure = object_schema(
        {
            **dict.fromkeys(("id", "title", "unit", "sentence"), text),
            **dict.fromkeys(("before", "after", "difference", "relative_difference"), number),
            **dict.fromkeys(("low", "high", "p_value"), number),
            **dict.fromkeys(("excludes_zero", "beyond_chance"), flag),
            "year_before": {"type": ["object", "null"]},
        },
        "A measure before and after, with the 95 % interval of the difference",
    )
    return object_schema(
        {
            "date": text,
            "as_of": text,
            "made_at": instant,
            "scheme": text,
            "windows": object_schema({"before": window, "after": window}, "The two windows"),
            **dict.fromkeys(("window_days", "look_back_days", "draws", "comparisons"), count),
            "stay_limit_days": {"type": "number"},
            "headline": text,
            "measures": {"type": "array", "items": measure},
            "left_out": texts,
            "caveats": texts,
        },
        "Two windows that touch at a date, compared; no experiment",
    )

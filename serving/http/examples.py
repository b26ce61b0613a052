"""Examples of the OpenAPI document: a request for a score, and the answer of a model to it.

The answer is that of the model of ``stagecast demo``. The as_of of the request is later than the
training of the model that the server has loaded, so that it can be sent as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stagecast.features.clock import instant_text

DEMO_AS_OF = datetime(1998, 7, 2, tzinfo=UTC)
_EVENTS: tuple[tuple[timedelta, dict[str, Any]], ...] = (
    (timedelta(days=214), {"amount": 10.0}),
    (timedelta(days=170, hours=14, minutes=30), {"amount": 24.5, "discount": 2.5}),
    (timedelta(days=72, hours=6, minutes=55), {"amount": 31.0}),
)


def example_request(as_of: datetime = DEMO_AS_OF) -> dict[str, Any]:
    """Return a request for the score of one customer at an as_of."""
    events = [
        {"timestamp": instant_text(as_of - before), "event": "purchase", **more}
        for before, more in _EVENTS
    ]
    customer = {"customer_id": "a", "attributes": {}, "events": events}
    return {"as_of": instant_text(as_of), "customers": [customer]}


EXAMPLE_SCORE: dict[str, Any] = {
    "customer_id": "a",
    "as_of": "1998-07-02T00:00:00Z",
    "horizon_days": 90,
    "data_cutoff": "1998-04-20T17:05:00Z",
    "model_version": "6a06d9abbcc1",
    "method": "blend",
    "low_data": False,
    "state": "active",
    "stage": "repeat",
    "stage_since": "1998-01-12T09:30:00Z",
    "stage_rule": "orders 3 is at least 2",
    "next_stage": {
        "prospect": 0.0,
        "new": 0.0,
        "repeat": 0.3429,
        "loyal": 0.0075,
        "at_risk": 0.6476,
        "sleeping": 0.0,
        "lost": 0.0,
        "reactivated": 0.002,
    },
    "next_stage_likeliest": "at_risk",
    "p_inactive": 0.6475,
    "churn_probability": 0.6475,
    "churn_percentile": 43.4128,
    "churn_band": "medium",
    "p_return": None,
    "p_convert": None,
    "p_alive": 0.7375,
    "expected_orders": 0.5211,
    "next_order_date": "1998-12-30",
    "expected_spend": 14.2371,
    "expected_spend_low": 0.0,
    "expected_spend_high": 43.4283,
    "clv": 55.3348,
    "clv_low": 0.0,
    "clv_high": 145.9535,
    "value_at_risk": 11.5811,
    "recency_days": 73.0,
    "tenure_days": 214.0,
    "frequency": 2,
    "monetary": 27.75,
    "orders": 3,
    "spend": 65.5,
    "rfm": "544",
    "rfm_segment": "champions",
    "reasons": [
        {
            "feature": "orders",
            "value": 3.0,
            "usual": 4.0,
            "effect": 0.2447,
            "sentence": "3 orders so far (4 is usual on this stage)",
            "code": "orders.stage",
            "direction": "raises",
            "label": None,
        },
        {
            "feature": "T_days",
            "value": 214.0,
            "usual": 501.0,
            "effect": -0.3867,
            "sentence": "first order 214 days ago (501 is usual on this stage); this lowers "
            "the risk",
            "code": "T_days.stage",
            "direction": "lowers",
            "label": None,
        },
    ],
    "action": "Keep the rhythm: remind when the next order is due, offer what goes with the last "
    "one.",
    "clv_residual": 183.8257,
    "churn": "inactivity",
    "value_gone": 32.9859,
    "value_if_kept": 99.9018,
    "clv_by_year": [55.3348, 40.6748, 31.3509, 111.8],
    "risk_base": 0.602,
    "risk_rest": -0.0352,
    "play": None,
    "loss_per_week": 0.6462,
    "window_closes": "1999-08-10",
    "usual_gap_days": 70.5,
    "days_overdue": 2.5,
}

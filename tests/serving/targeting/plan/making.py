"""Customers made up for the tests of plans, and a slow oracle of what a contact brings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stagecast.features.stages.plays import Play, play_from_toml
from stagecast.serving.scoring.win_back import win_back_of
from stagecast.serving.targeting.plan.candidates import COLUMNS, Candidates, candidates


def customer(customer_id: str, **values: Any) -> dict[str, Any]:
    """Return a customer of the scores; ``values`` replaces what is usual."""
    usual = {
        "customer_id": customer_id,
        "state": "active",
        "stage": "loyal",
        "churn_band": "high",
        "play": None,
        "p_inactive": 0.5,
        "value_at_risk": 100.0,
        "value_gone": 0.0,
        "clv": 200.0,
        "expected_orders": 2.0,
        "expected_spend": 60.0,
    }
    return usual | values


def columns_of(rows: list[dict[str, Any]]) -> Candidates:
    """Return customers as plans read them."""
    full = [
        {"win_back": win_back_of(row | {"p_return": 1.0 - row["p_inactive"]}), **row}
        if row["p_inactive"] is not None
        else {"win_back": None, **row}
        for row in rows
    ]
    return candidates({name: [row[name] for row in full] for name in COLUMNS})


def many(number: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return customers of all states, drawn at random."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(number):
        state = ("active", "active", "lapsed", "prospect")[rng.integers(4)]
        has_value = state != "prospect"
        rows.append(
            customer(
                f"c{k:05d}",
                state=state,
                stage={"active": "loyal", "lapsed": "lost", "prospect": "prospect"}[state],
                churn_band="high" if state == "active" else None,
                play=("a", "b", None)[rng.integers(3)],
                p_inactive=float(rng.random()) if has_value else None,
                value_at_risk=float(rng.gamma(1.5, 40)) if state == "active" else None,
                value_gone=float(rng.gamma(1.5, 40)) if has_value else None,
                clv=float(rng.gamma(2, 60)) if has_value else None,
                expected_orders=float(rng.gamma(1, 1)),
                expected_spend=float(rng.gamma(1, 40)),
            )
        )
    return rows


def play(id_: str, **values: Any) -> Play:
    """Return a play."""
    data = {"id": id_, "title": {"en": id_}, "when": ["stage == loyal"]}
    return play_from_toml(data | values, "the test")


def money_of(
    row: dict[str, Any], terms: Any, plays: list[Play], horizon: int, window: int
) -> dict[str, float]:
    """Return gross, cost and gain of contacting a customer, worked out one by one."""
    own = {p.id: p for p in plays}.get(row["play"])

    def term(name: str, wanted: float | None, default: float) -> float:
        if wanted is not None:
            return wanted
        value = None if own is None else getattr(own, name)
        return default if value is None else value

    is_lapsed = row["state"] == "lapsed"
    keep = terms.effects.keep
    if keep is None:
        keep = 0.05 if is_lapsed or own is None or own.effect is None else own.effect
    back = terms.effects.win_back
    if back is None:
        back = 0.02 if not is_lapsed or own is None or own.effect is None else own.effect
    if row["p_inactive"] is not None:  # at most as many as come back by themselves
        back = min(back, 1.0 - row["p_inactive"])
    leave = 1.0 if row["p_inactive"] is None else row["p_inactive"]
    order = 1 - math.pow(leave, window / horizon)
    offer = 0.0
    if own is None or own.offer:
        per_order = row["expected_spend"] / row["expected_orders"] if row["expected_orders"] else 0
        offer = term("offer_cost", terms.costs.offer, 0.0)
        offer += term("offer_share", terms.costs.offer_share, 0.0) * per_order
    effect = back if is_lapsed else keep
    gross = keep * (row["value_at_risk"] or 0) + back * (row["value_gone"] or 0)
    if terms.worth is not None:
        gross = effect * leave * terms.worth
    contact = term("contact_cost", terms.costs.contact, 0.0)
    cost = contact + offer * order + offer * effect * (1 - order)
    return {"gross": gross, "cost": cost, "gain": gross - cost}

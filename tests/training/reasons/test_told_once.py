"""A fact that two families would tell is told once, with the effects of both."""

from __future__ import annotations

import numpy as np

from stagecast.training.reasons.due import USUAL_GAP
from stagecast.training.reasons.families import Family
from stagecast.training.reasons.told_once import told_once

FAMILIES = (
    Family("orders_90d", ("orders_90d",), -1, own_past="orders_prev_90d", window_days=90),
    Family("gap_mean", ("gap",)),
    Family("T_days", ("T_days",)),
    Family("orders", ("orders",), -1),
    Family("recency_days", ("",), 1, own_past="gap_mean", least_gaps=2, overdue=True),
)
AGE = Family("contract_days", ("age_days",))
EFFECTS = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])


def moved(families: tuple[Family, ...], effects: np.ndarray, **columns: float) -> list[float]:
    arrays = {name: np.array([value]) for name, value in columns.items()}
    (result,) = told_once(families, arrays, effects)
    assert result.sum() == effects.sum()
    return [float(value) for value in result[0]]


def test_of_who_ordered_once_the_first_order_is_the_silence() -> None:
    assert moved(FAMILIES, EFFECTS, frequency=0.0) == [1.0, 2.0, 0.0, 8.0, 20.0]
    assert moved(FAMILIES, EFFECTS, frequency=1.0) == EFFECTS[0].tolist()
    assert EFFECTS[0].tolist() == [1.0, 2.0, 4.0, 8.0, 16.0]  # what is given stays


def test_of_regular_purchases_gaps_and_short_windows_say_how_long_the_silence_is() -> None:
    yearly = {"frequency": 3.0, USUAL_GAP: 365.0}
    assert moved(FAMILIES, EFFECTS, **yearly) == [0.0, 0.0, 4.0, 8.0, 19.0]
    weekly = {"frequency": 3.0, USUAL_GAP: 7.0}
    assert moved(FAMILIES, EFFECTS, **weekly) == [1.0, 0.0, 4.0, 8.0, 18.0]


def test_the_first_order_and_the_payments_of_a_first_contract_are_its_age() -> None:
    families, effects = (*FAMILIES, AGE), np.array([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]])
    contract = {"frequency": 3.0, "orders": 4.0, "contract_days": 110.0}
    period = {"payment_period_days": 30.0, "earlier_contracts": 0.0}
    assert moved(families, effects, **contract, **period) == [1.0, 2.0, 0.0, 0.0, 16.0, 44.0]
    came_back = {**period, "earlier_contracts": 1.0}
    assert moved(families, effects, **contract, **came_back) == effects[0].tolist()
    besides = {**contract, "orders": 12.0}  # bought more than the payments
    assert moved(families, effects, **besides, **period) == [1.0, 2.0, 0.0, 8.0, 16.0, 36.0]
    unknown = {**period, "payment_period_days": np.nan}
    assert moved(families, effects, **contract, **unknown) == [1.0, 2.0, 0.0, 8.0, 16.0, 36.0]

"""Payments that all come on the same days: what the pool learns between them does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.training.billing.calendar import DueDate
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.in_step import pay_in_step
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import MIDDLES, DatedModel
from stagecast.training.learners.customer_base import CustomerBase
from tests.training.made import Row, day, trained

QUARTER, LATE, LEAVE = 91.0, 0.2, 0.1
MODEL = Model("mbg_nbd", (900.0, 900.0 * QUARTER / 96, 1.0, 9.0), 0.0, 100, 96)
DATED = DatedModel.of(MODEL, tuple(0.01 * MIDDLES), 0.02, QUARTER, 0.01)


def histories(places: np.ndarray) -> dict[str, np.ndarray]:
    """Return histories of two payments, the last of which lies these days back."""
    return {"t_x_days": np.full(len(places), QUARTER), "T_days": QUARTER + places}


def test_all_pay_in_step_where_their_last_payments_lie_whole_gaps_apart() -> None:
    random = np.random.default_rng(1)
    in_step = histories(20.0 + QUARTER * random.integers(0, 5, 400) + random.normal(0.0, 4.0, 400))
    on_any_day = histories(random.uniform(0.0, 5 * QUARTER, 400))
    dated = CustomerBase((DATED,), None)
    assert pay_in_step(dated, in_step, 30)
    assert not pay_in_step(dated, in_step, 90)  # a horizon in which all pay
    assert not pay_in_step(dated, on_any_day, 30)
    assert not pay_in_step(dated, histories(np.zeros(0)), 30)
    assert pay_in_step(CustomerBase((MODEL,), None), in_step, 30)
    # of random gaps, a silence in step is the season of a shop
    shop = Model("mbg_nbd", (2.0, 182.0, 1.0, 9.0), 0.0, 100)
    assert not pay_in_step(CustomerBase((shop,), None), in_step, 30)
    assert pay_in_step(CustomerBase((MODEL,), None, due=DueDate(14.0, 40.0)), on_any_day, 30)


def quarterly(customers: int, seed: int) -> tuple[list[Row], dict[str, float]]:
    """Return payments on the first days of quarters, and when each customer pays next.

    One in ten leaves after a payment; of the payments a fifth is two to six weeks late.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    paid: dict[str, float] = {}
    for k in range(customers):
        for quarter in range(int(random.integers(0, 12)), 16):
            days = random.uniform(14.0, 42.0) if random.random() < LATE else random.uniform(0, 3)
            at = quarter * QUARTER + days
            if at >= AS_OF:
                paid[f"q{k:04d}"] = at
                break
            rows.append((f"q{k:04d}", day(at), "purchase", 40.0))
            if random.random() < LEAVE:
                break
    return sorted(rows, key=lambda row: row[1]), paid


AS_OF = 14 * QUARTER + 10.0


@pytest.mark.parametrize("seed", [1, 2])
def test_who_did_not_pay_with_the_others_is_late_or_has_left(seed: int, tmp_path: Path) -> None:
    rows, paid = quarterly(600, seed)
    config = TrainConfig(horizon_days=30, max_dates=4)
    done = trained(rows, tmp_path / "m", day(AS_OF), config, evaluated=False)
    scores = done.scores().to_pandas().set_index("customer_id")
    last = pd.Series({name: at for name, at, _, _ in rows if at < day(AS_OF)})
    silent = (day(AS_OF) - last).dt.days.reindex(scores.index)
    within = pd.Series({name: float(at < AS_OF + 30) for name, at in paid.items()})
    orders = within.reindex(scores.index, fill_value=0.0)
    is_late = (silent > 80) & (silent < 102)
    assert is_late.sum() > 40
    expected = 1.0 - scores["p_inactive"].astype(float)
    assert expected[is_late].mean() == pytest.approx(orders[is_late].mean(), abs=0.12)
    assert expected[silent < 11].max() < 0.05

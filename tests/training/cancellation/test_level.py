"""The level of P(cancelled) today where few cancellations teach it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.errors import DataRefusedError
from stagecast.training.cancellation.fitting import CHANCE, fit_cancellation
from stagecast.training.cancellation.landmarks import current, past
from stagecast.training.cancellation.model import CancellationModel

DAYS, RATE, HORIZON = 1_100, 0.03 / 365.0, 90


def insurers(customers: int, seed: int, calm_days: int) -> Spells:
    """Return contracts of which 3 % a year are cancelled, and by chance none in the last days."""
    random = np.random.default_rng(seed)
    start = np.floor(random.uniform(0, DAYS - 10, customers)) * DAY_MICROSECONDS
    end = start + random.exponential(1.0 / RATE, customers) * DAY_MICROSECONDS
    is_over = end < (DAYS - calm_days) * DAY_MICROSECONDS
    end = np.where(is_over, np.floor(end).astype(np.int64), NEVER)
    order, nobody = np.arange(customers), np.zeros(customers, dtype=np.int64)
    began = start.astype(np.int64)
    return Spells(
        DAYS * DAY_MICROSECONDS, order.astype(object), order, began, end, began, nobody, 0
    )


def test_a_calm_month_of_few_cancellations_is_mostly_chance() -> None:
    of = insurers(1_500, 3, calm_days=60)
    assert 40 < of.cancellations < 80
    rows, now = past(of, HORIZON), current(of)
    # a column that only says which date it is, like the length of what is remembered
    model = fit_cancellation(of, HORIZON, rows, {"spend_mean": 1.0 * -rows.back}, seed=1)
    today = {"spend_mean": np.zeros(len(now))}
    expected, pool = (
        float(each.probability(now, today).mean()) for each in (model, replace(model, level=0.0))
    )
    usual = RATE * HORIZON
    assert pool < 0.5 * usual
    assert 0.6 * usual < expected < 1.1 * usual
    of_chance = 1.0 / (1.0 + (of.cancellations / CHANCE) ** 2)
    assert expected == pytest.approx(pool * np.exp(model.level), rel=0.02)
    assert model.level > of_chance * 0.5
    assert CancellationModel.from_json(model.to_json()).level == model.level
    with pytest.raises(DataRefusedError, match="level"):
        CancellationModel.from_json({**model.to_json(), "level": float("nan")})

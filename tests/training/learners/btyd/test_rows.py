"""Formulas of the customer base give the same bits for one customer, a block of them, and many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import betageometric, paretonbd

PARETO = [(0.55, 10.6, 0.61, 11.7), (0.9, 200.0, 1.0, 30.0), (4.0, 15.0, 0.05, 4000.0)]
ROWS = 1_300
"""More than two blocks of either model."""
DAYS = 90.0


def histories() -> tuple[Array, Array, Array]:
    """Return frequency, day of the last order and age of customers of all sorts."""
    draw = np.random.default_rng(7)
    x = draw.integers(0, 40, ROWS).astype(np.float64)
    t_x = np.where(x > 0, draw.uniform(0, 2_000, ROWS), 0.0)
    T = t_x + draw.choice([0.0, 0.25, 30.0, 3_000.0], ROWS)
    x[:3], t_x[:3], T[:3] = 900.0, 1_999.0, (1_999.0, 2_000.0, 9_999.0)
    return x, t_x, T


@pytest.mark.parametrize("params", PARETO)
def test_pareto_of_one_customer_has_the_bits_of_many(params: paretonbd.Params) -> None:
    x, t_x, T = histories()
    with np.errstate(all="ignore"):
        odds = paretonbd.log_odds_dead(params, x, t_x, T)
        silent = paretonbd.none_if_active(params, np.full(ROWS, DAYS), x, T)
        rate = paretonbd.rate_if_left(params, x, t_x, T)
        for row in range(0, ROWS, 3):
            history = float(x[row]), float(t_x[row]), float(T[row])
            own = paretonbd.odds_and_none_of_one(params, DAYS, *history)
            assert own == (odds[row], silent[row])
            assert paretonbd.rate_if_left_of_one(params, *history) == rate[row]


@pytest.mark.parametrize(
    "of",
    [
        lambda x, t_x, T: paretonbd.log_odds_dead(PARETO[0], x, t_x, T),
        lambda x, t_x, T: paretonbd.none_if_active(PARETO[0], np.full(x.shape, DAYS), x, T),
        lambda x, t_x, T: paretonbd.rate_if_left(PARETO[0], x, t_x, T),
        lambda x, t_x, T: betageometric.orders_if_active(
            (0.46, 41.5, 1.09, 2.57), 1, np.full(x.shape, DAYS), x, T
        ),
        lambda x, t_x, T: betageometric.orders_if_active(
            (0.46, 41.5, 0.6, 2.57), 1, np.full(x.shape, DAYS), np.full(x.shape, 3.0), T + x
        ),
    ],
    ids=["odds", "silent", "rate", "orders", "orders of one frequency"],
)
def test_bits_do_not_depend_on_the_size_of_a_block(
    of: Callable[[Array, Array, Array], Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, t_x, T = histories()
    results = set()
    for rows in (1, 7, 256, 512, 4_096):
        monkeypatch.setattr(paretonbd, "_ROWS_AT_ONCE", rows)
        monkeypatch.setattr(betageometric, "_ROWS_AT_ONCE", rows)
        with np.errstate(all="ignore"):
            results.add(of(x, t_x, T).tobytes())
    assert len(results) == 1

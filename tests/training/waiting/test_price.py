"""The loss per week of waiting and the day on which the window closes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.waiting.price import DISTINCT_ROWS, LATEST_DAYS, Waiting, price_of_waiting
from tests.profiles import examples

MBG = Model("mbg_nbd", (0.5248, 6.1831 * 7, 0.8914, 1.6140), 0.0, 2357)
"""CDNOW, Batislam et al. (2007), times in days."""
PARETO = Model("pareto_nbd", (0.5533, 10.578 * 7, 0.6061, 11.669 * 7), 0.0, 2357)
"""CDNOW, Fader, Hardie and Lee (2005), times in days."""
REGULAR = Model("mbg_nbd", (5.0, 40.0, 0.5, 3.0), 0.0, 500, 6)
MODELS = pytest.mark.parametrize("model", [MBG, PARETO, REGULAR], ids=["mbg", "pareto", "regular"])


def priced(model: Model, x: object, t_x: object, T: object, *, at_risk: float = 100.0) -> Waiting:
    columns = {
        name: np.atleast_1d(np.array(values, dtype=np.float64))
        for name, values in (("frequency", x), ("t_x_days", t_x), ("T_days", T))
    }
    none = model.p_none(90.0, *columns.values())
    rows = len(none)
    return price_of_waiting(
        model,
        columns,
        none,
        np.full(rows, at_risk),
        horizon_days=90,
        value_days=365,
    )


def pot_at(model: Model, x: float, t_x: float, T: float) -> float:
    """Return P(still a customer) times what leaving costs, in orders of a year."""
    alive = float(model.p_alive(x, t_x, T))
    stays = float(model.orders_if_kept(365.0, x, t_x, T, 0.0))
    return alive * stays - float(model.expected_orders(365.0, x, t_x, T))


@MODELS
def test_the_loss_of_the_active_is_what_the_silence_takes_times_its_chance(model: Model) -> None:
    x, t_x, T = 4.0, 200.0, 250.0
    expected = (
        float(model.p_none(7.0, x, t_x, T))
        * 100.0
        * (1.0 - pot_at(model, x, t_x, T + 7) / pot_at(model, x, t_x, T))
    )
    loss = priced(model, x, t_x, T).loss_per_week
    assert loss[0] == pytest.approx(max(expected, 0.0), rel=1e-6)


@MODELS
def test_a_customer_without_value_at_risk_has_no_loss(model: Model) -> None:
    waiting = priced(model, 0.0, 0.0, 100.0, at_risk=np.nan)
    assert np.isnan(waiting.loss_per_week[0])
    assert waiting.closes_in_days[0] >= 0


@MODELS
def test_the_window_closes_on_the_first_day_on_which_the_chance_stays_below_the_limit(
    model: Model,
) -> None:
    x, t_x, T = (
        np.array([0.0, 2.0, 8.0]),
        np.array([0.0, 100.0, 300.0]),
        np.array([50.0, 160.0, 320.0]),
    )
    days = priced(model, x, t_x, T).closes_in_days
    for k, day in enumerate(days):
        silence = np.arange(0.0, LATEST_DAYS + 1)
        chance = 1.0 - model.p_none(90.0, x[k], t_x[k], T[k] + silence)
        enough = np.flatnonzero(chance >= 0.05)
        if np.isnan(day):
            assert enough[-1] == LATEST_DAYS
        else:
            assert day == (enough[-1] + 1 if len(enough) else 0)


def test_a_window_that_is_closed_closes_today() -> None:
    assert priced(MBG, 0.0, 0.0, 900.0).closes_in_days[0] == 0.0


def test_a_yearly_buyer_who_has_just_bought_has_an_open_window() -> None:
    # nobody who buys once a year buys again within 90 days, and silence makes it likelier
    yearly = Model("mbg_nbd", (50.0, 50.0 * 365 / 50, 0.3, 5.0), 0.0, 100, 50)
    x, t_x, T = 4.0, 1460.0, 1470.0
    assert float(1.0 - yearly.p_none(90.0, x, t_x, T)) < 0.05
    assert priced(yearly, x, t_x, T).closes_in_days[0] > 200.0


@pytest.mark.parametrize("p_none", [0.97, 0.99, 0.9999])
def test_the_window_of_a_yearly_payer_closes_after_the_payment_is_due(p_none: float) -> None:
    # of those who pay again in 110, 200 and 300 days, the pool says that they pay nothing now
    yearly = Model("mbg_nbd", (480.0, 3650.0, 25.0, 75.0), 0.0, 1_000, 48)
    due = np.array([110.0, 200.0, 300.0])
    columns = {"frequency": np.full(3, 2.0), "t_x_days": np.full(3, 730.0), "T_days": 1095.0 - due}
    pooled = np.full(3, p_none)
    days = price_of_waiting(
        yearly, columns, pooled, np.ones(3), horizon_days=90, value_days=365
    ).closes_in_days
    assert ((days > due + 60) & (days < due + 180)).all()


def test_a_moved_pooled_chance_moves_the_day() -> None:
    columns = {"frequency": np.ones(2), "t_x_days": np.full(2, 30.0), "T_days": np.full(2, 60.0)}
    waiting = price_of_waiting(
        MBG,
        columns,
        np.array([0.5, 0.8]),
        np.zeros(2),
        horizon_days=90,
        value_days=365,
    )
    assert waiting.closes_in_days[0] > waiting.closes_in_days[1]
    assert waiting.loss_per_week.tolist() == [0.0, 0.0]


@MODELS
def test_many_rows_are_priced_as_each_alone(model: Model) -> None:
    draw = np.random.default_rng(4)
    T = draw.integers(1, 400, DISTINCT_ROWS).astype(np.float64)
    x = draw.integers(0, 5, DISTINCT_ROWS).astype(np.float64)
    t_x = np.where(x > 0, np.floor(T * draw.uniform(size=DISTINCT_ROWS)), 0.0)
    many = priced(model, x, t_x, T)
    for k in range(0, DISTINCT_ROWS, 97):
        alone = priced(model, x[k], t_x[k], T[k])
        assert alone.loss_per_week[0] == pytest.approx(many.loss_per_week[k], rel=1e-9)
        np.testing.assert_equal(alone.closes_in_days[0], many.closes_in_days[k])


@settings(max_examples=examples(40), deadline=None)
@given(
    st.sampled_from([MBG, PARETO]),
    st.integers(0, 30),
    st.integers(0, 700),
    st.integers(0, 700),
)
def test_a_loss_is_between_nothing_and_the_value_at_risk(
    model: Model, x: int, t_x: int, silence: int
) -> None:
    t_x = t_x if x else 0
    waiting = priced(model, float(x), float(t_x), float(t_x + silence))
    loss: Array = waiting.loss_per_week
    assert 0.0 <= loss[0] <= 100.0
    assert np.isnan(waiting.closes_in_days[0]) or 0 <= waiting.closes_in_days[0] <= LATEST_DAYS

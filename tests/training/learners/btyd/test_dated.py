"""Payments on dates of their own, against customers who are drawn one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import MIDDLES, DatedModel, model_from_json

GAP, DAY = 91.0, 1.2
A, B = 2.0, 14.0
PHASES = Model("mbg_nbd", (5_000.0, 5_000.0 * GAP / 96, A, B), 0.0, 100, 96)


def late(random: np.random.Generator, size: int) -> Array:
    """Return the days by which payments come late: a day or so, and of one in 25 three weeks."""
    weeks = random.uniform(18.0, 26.0, size)
    return np.where(random.random(size) < 0.04, weeks, random.normal(0.0, DAY, size))


@pytest.fixture(scope="module")
def model() -> DatedModel:
    days = np.quantile(late(np.random.default_rng(1), 200_000), MIDDLES)
    return DatedModel.of(PHASES, tuple((days / GAP).tolist()), 0.002, GAP, 0.01)


HISTORY = (np.full(5, 6.0), np.full(5, 6.0 * GAP), 6.0 * GAP + np.array([3.0, 60, 86, 92, 105]))


def drawn(silence: float, days: float, rate: float) -> tuple[float, float, float, float]:
    """Return P(alive), P(none), discounted orders and those of who stays, by drawing."""
    random, size = np.random.default_rng(7), 100_000
    p = random.beta(A, B + 6.0, size)  # six coins of six payments came up heads
    stays = random.random(size) >= p  # and one falls now
    first = GAP + late(random, size)
    silent = ~stays | (first > silence)
    alive = (stays & (first > silence)).sum() / silent.sum()
    kept, orders = np.zeros(size), np.zeros(size)
    at, goes_on = first - silence, stays.copy()
    for _ in range(int(days / GAP) + 2):
        worth = np.where(at <= days, (1.0 + rate) ** (-at / 365.0), 0.0)
        kept += worth
        orders += worth * goes_on
        goes_on &= random.random(size) >= p
        at = at + GAP + late(random, size)
    is_active = stays & (first > silence)
    none = 1.0 - (is_active & (first - silence <= days)).sum() / silent.sum()
    return (
        float(alive),
        float(none),
        float(orders[is_active].sum() / silent.sum()),
        # whoever stays has the distribution of the first payment, given the silence
        float(kept[first > silence].mean()),
    )


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("days", [30.0, 365.0])
def test_predictions_are_those_of_drawn_payers(model: DatedModel, days: float, rate: float) -> None:
    x, t_x, T = HISTORY
    # the day of the as_of is not over
    truth = np.array([drawn(float(silence) - 0.5, days, rate) for silence in T - t_x])
    alive, none = model.p_alive(x, t_x, T), model.p_none(days, x, t_x, T)
    np.testing.assert_allclose(alive, truth[:, 0], atol=0.03)
    np.testing.assert_allclose(none, truth[:, 1], atol=0.03)
    orders = model.expected_orders_discounted(days, x, t_x, T, rate)
    kept = model.orders_if_kept(days, x, t_x, T, rate)
    np.testing.assert_allclose(orders, truth[:, 2], atol=0.06)
    np.testing.assert_allclose(kept, truth[:, 3], atol=0.08)
    # the model of phases does not know on which day a payment is due
    assert abs(PHASES.p_none(30.0, x, t_x, T)[1] - drawn(59.5, 30.0, 0.0)[1]) > 0.2


def test_a_late_payer_is_neither_given_up_nor_counted_on(model: DatedModel) -> None:
    x, t_x = np.full(3, 6.0), np.full(3, 6.0 * GAP)
    alive = model.p_alive(x, t_x, t_x + np.array([80.0, 102.0, 130.0]))
    assert alive[0] > 0.9
    assert 0.15 < alive[1] < 0.45  # one in 25 is late, one in eleven has left
    assert alive[2] < 0.05
    ended = model.ended(x, t_x, t_x + np.array([80.0, GAP + 0.5, 102.0]))  # a day is not over
    assert ended.round(1).tolist() == pytest.approx([0.0, 0.5, 1.0], abs=0.1)


def test_orders_never_fall_with_the_span_and_are_those_of_one_row(model: DatedModel) -> None:
    random = np.random.default_rng(3)
    x = random.integers(0, 20, 60).astype(float)
    t_x = x * GAP * random.uniform(0.9, 1.1, 60)
    T = t_x + random.uniform(0.0, 400.0, 60)
    spans = np.arange(1.0, 1_500.0, 7.0)
    orders = np.array([model.expected_orders_discounted(s, x, t_x, T, 0.1) for s in spans])
    assert (np.diff(orders, axis=0) >= -1e-12).all()
    for k in range(60):
        one = model.expected_orders_discounted(
            700.0, x[k : k + 1], t_x[k : k + 1], T[k : k + 1], 0.1
        )
        assert one[0] == model.expected_orders_discounted(700.0, x, t_x, T, 0.1)[k]
    none = np.array([model.p_none(s, x, t_x, T) for s in spans])
    assert (np.diff(none, axis=0) <= 1e-12).all()
    assert ((none >= 0.0) & (none <= 1.0)).all()


def test_whatever_the_silence_there_are_numbers(model: DatedModel) -> None:
    x, t_x = np.array([0.0, 3.0, 200.0]), np.array([0.0, 3.0, 200.0])
    T = t_x + 20_000.0
    for values in (
        model.p_alive(x, t_x, T),
        model.p_none(90.0, x, t_x, T),
        model.expected_orders_discounted(3_650.0, x, t_x, T, 0.1),
        model.orders_if_kept(3_650.0, x, t_x, T, 0.1),
        model.rate_if_left(x, t_x, T),
    ):
        assert np.isfinite(values).all()
        assert (values >= 0.0).all()


def test_it_is_read_back_and_faults_are_named(model: DatedModel) -> None:
    stored = model.to_json()
    assert model_from_json(stored) == model
    assert model_from_json(PHASES.to_json()) == PHASES
    assert model.of_phases == PHASES
    assert isinstance(replace(model, params=(5_000.0, 4_700.0, 3.0, 14.0)), DatedModel)
    with pytest.raises(ValueError, match="quantiles; expected"):
        model_from_json({**stored, "lateness": [0.0, 0.1]})
    with pytest.raises(ValueError, match="rising order"):
        model_from_json({**stored, "lateness": stored["lateness"][::-1]})
    with pytest.raises(ValueError, match=r"share_of_phases is 2\.0"):
        model_from_json({**stored, "share_of_phases": 2.0})

"""Customers who are back: learned from those who came, and nothing where nobody comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.leaving import Leaving
from stagecast.training.learners.regularities import GAP_LOGS, RegularityBase
from stagecast.training.panel import Frame
from stagecast.training.value.fit_reactivation import chance_of_having_left, fit_reactivation
from stagecast.training.value.reactivation import Reactivation, reactivated_orders
from stagecast.training.value.spans import Purchases

HISTORY_DAYS, CUSTOMERS, AS_OF = 1_000.0, 2_500, 19_000.0
BACKS = (180, 365, 500)
RATE_BACK = 0.02
"""Purchases a day of all customers who are back, whatever they bought before."""


def bought(random: np.random.Generator, rate: Array, start: Array, stop: Array) -> Array:
    """Return times of purchases at a rate within spans, shape (n, most); others are infinite."""
    gaps = random.exponential(1.0, (len(rate), 400)) / np.maximum(rate, 1e-9)[:, None]
    at = start[:, None] + np.cumsum(gaps, axis=1)
    return np.where(at < stop[:, None], at, np.inf)


def drawn(seed: int, share_back: float) -> PurchaseDays:
    """Return purchase days of customers who leave after some months, of whom a share comes back.

    Who comes back does so after 100 to 500 days, and buys at ``RATE_BACK`` from then on.
    """
    random = np.random.default_rng(seed)
    begin = AS_OF - random.uniform(0.0, HISTORY_DAYS, CUSTOMERS)
    rate = random.gamma(1.0, 1 / 25, CUSTOMERS)
    left = begin + random.exponential(1 / random.gamma(2.0, 1 / 250, CUSTOMERS))
    is_back = random.random(CUSTOMERS) < share_back
    back = np.where(is_back, left + random.uniform(100.0, 500.0, CUSTOMERS), np.inf)
    again = bought(random, np.full(CUSTOMERS, RATE_BACK), back, np.full(CUSTOMERS, AS_OF))
    at = np.column_stack([begin, bought(random, rate, begin, left), back, again])
    owner = np.repeat(np.arange(CUSTOMERS), at.shape[1]).reshape(at.shape)
    known = at < AS_OF
    days = np.unique(np.column_stack([owner[known], np.floor(at[known])]).astype(int), axis=0)
    return PurchaseDays(days[:, 0], days[:, 1], np.ones(len(days)), days[:, 1] * 86_400_000_000)


def frame_of(days: PurchaseDays, back: int) -> Frame:
    """Return the buyers of a past date."""
    now = AS_OF - back
    known = days.day < now
    owner, day = days.customer[known], days.day[known].astype(float)
    buyers = np.unique(owner)
    count = np.bincount(owner)[buyers].astype(float)
    first = day[np.searchsorted(owner, buyers)]
    last = day[np.searchsorted(owner, buyers, side="right") - 1]
    columns = {
        "frequency": count - 1.0,
        "t_x_days": last - first,
        "T_days": now - first,
        "monetary": np.full(len(buyers), 10.0),
    }
    nothing = np.zeros(len(buyers))
    stage: NDArray[np.int64] = np.zeros(len(buyers), dtype=np.int64)
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=now)
    return Frame(as_of, back, buyers, columns, stage, nothing, nothing, stage, stage)


def learned_of(
    days: PurchaseDays, backs: tuple[int, ...] = BACKS, *leaving: Leaving | None
) -> list[Reactivation]:
    """Return what the dates teach with each of several models of leaving, or the base alone."""
    frames = [frame_of(days, back) for back in backs]
    bases = {frame.back: fit_customer_base(frame.columns) for frame in frames}
    purchases = Purchases(days, AS_OF)
    return [
        fit_reactivation(frames, bases, own, purchases, TrainConfig()) for own in leaving or (None,)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_where_customers_leave_for_good_nothing_is_learned(seed: int) -> None:
    (reactivation,) = learned_of(drawn(seed, 0.0))
    assert reactivation.is_none


@pytest.mark.parametrize("seed", [1, 2])
def test_who_is_back_at_a_rate_of_all_is_expected_to_buy_at_it(seed: int) -> None:
    (reactivation,) = learned_of(drawn(seed, 0.5))
    rates = np.array([0.01, RATE_BACK, 0.1, 0.2])
    back = reactivation.orders(rates * 365.0, 365.0) / 365.0
    assert (np.diff(back) >= 0).all()
    assert (back <= rates).all()
    assert reactivation.power < 0.6
    # a burst says five to ten times the rate at which its customers come back
    error, of_before = np.log(back[2:] / RATE_BACK), np.log(rates[2:] / RATE_BACK)
    assert (error > -0.4).all()
    assert (error < 0.75 * of_before).all()


def test_groups_of_a_past_date_have_models_of_their_own() -> None:
    days = drawn(1, 0.5)
    frame = frame_of(days, 365)
    gap_logs = np.where(frame.columns["frequency"] > 0, 3.0 * frame.columns["frequency"], np.nan)
    frame = replace(frame, columns={**frame.columns, GAP_LOGS: gap_logs})
    base = fit_customer_base(frame.columns)
    of_gaps = tuple(replace(base.models[0], regularity=k) for k in (1, 4))
    grouped = RegularityBase(
        base.models,
        base.spend,
        base.weights,
        rhythms=of_gaps,
        shares=(0.5, 0.5),
        groups=((0.4, 0.1, 0.3, 0.2), (0.1, 0.4, 0.3, 0.2)),
    )
    leaving = Leaving((0.5, 0.5))  # of the as_of, where gaps are of one kind
    learned = fit_reactivation(
        [frame], {365: grouped}, leaving, Purchases(days, AS_OF), TrainConfig()
    )
    assert not learned.is_none


def test_dates_less_than_two_horizons_back_teach_nothing() -> None:
    (reactivation,) = learned_of(drawn(1, 0.5), (150,))
    assert reactivation.is_none


def test_models_of_regular_gaps_say_who_had_left_in_place_of_the_customer_base() -> None:
    regular = Model("pareto_nbd", (2.0, 20.0, 2.0, 250.0), 0.0, CUSTOMERS, 2)
    leaving = Leaving((1.0,), (regular,), (1.0,))
    by_regular, by_base = learned_of(drawn(1, 0.5), (365,), leaving, None)
    assert by_regular.power < 0.6
    assert by_regular != by_base


def test_the_chance_of_having_left_is_that_of_bayes_and_0_within_chance() -> None:
    random = np.random.default_rng(3)
    alive, q, back = random.uniform(0.02, 0.98, 20_000), 0.6, 0.25
    is_customer = random.random(20_000) < alive
    came = random.random(20_000) < np.where(is_customer, q, back)
    p_left = chance_of_having_left(alive, alive * q, came)
    assert p_left[came].sum() == pytest.approx((came & ~is_customer).sum(), rel=0.15)
    assert p_left[came].sum() < (came & ~is_customer).sum()
    only_customers = is_customer & (random.random(20_000) < q)
    assert chance_of_having_left(alive, alive * q, only_customers).max() < 1e-9


def test_orders_rise_with_the_rate_of_before_and_are_its_own_where_nothing_is_learned() -> None:
    orders = np.array([0.0, 0.5, 2.0, 30.0])
    assert Reactivation().orders(orders, 365.0) is orders
    for power in (0.0, 0.3, 1.0):
        back = Reactivation(0.8, power, 0.01).orders(orders, 365.0)
        assert (np.diff(back) >= 0).all()
        assert np.isfinite(back).all()
        assert (back <= orders).all()
    np.testing.assert_allclose(reactivated_orders(orders, 3.65, 0.8, 1.0), 0.8 * orders, atol=1e-9)
    np.testing.assert_array_equal(reactivated_orders(orders, 3.65, 1.5, 1.0), orders)


def test_reactivation_survives_json_and_what_is_no_rate_is_refused() -> None:
    reactivation = Reactivation(0.71, 0.33, 0.0123)
    data = json.loads(json.dumps(reactivation.to_json()))
    assert Reactivation.from_json(data) == reactivation
    for changed in ({"level": 0.0}, {"power": 1.5}, {"usual_rate": float("nan")}):
        with pytest.raises(ValueError, match="level and rate are above 0"):
            Reactivation.from_json({**data, **changed})

"""Nobody is expected to buy faster after the horizon than the own rate lets expect."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.value.ahead import OrdersAhead, own_rate
from stagecast.training.value.model import ValueModel
from stagecast.training.value.money_of_buyers import money_of_buyers
from stagecast.training.value.rest import fit_rest
from stagecast.training.value.spans import Purchases
from tests.training.made import a_frame

BASE = CustomerBase((Model("pareto_nbd", (1.0, 40.0, 1.0, 400.0), 0.0, 1),), None)
CONFIG = TrainConfig(horizon_days=90, value_horizon_days=365, annual_discount=0.0)
REST_DAYS = 275.0


def columns_of(frequency: Array, t_x: Array, tenure: Array) -> dict[str, Array]:
    """Return the columns of buyers that the customer base needs, shape (rows,) each."""
    return {
        "frequency": frequency,
        "orders": frequency + 1.0,
        "t_x_days": t_x,
        "T_days": tenure,
    }


def rest_of(columns: dict[str, Array], near: Array, factor: float, season: float = 1.0) -> Array:
    """Return the orders after the horizon where past dates teach a factor, shape (rows,)."""
    model = ValueModel(10.0, rest=Factor(factor), rest_season=season)
    return OrdersAhead(model, BASE, CONFIG, columns, near).until(365) - near


def test_the_heaviest_is_not_lifted_above_the_own_rate() -> None:
    # 171 orders in 497 days, the last one yesterday; 28.5 expected in the horizon
    heavy = columns_of(np.array([170.0]), np.array([496.0]), np.array([497.0]))
    near = np.array([28.5])
    assert rest_of(heavy, near, 2.35)[0] == pytest.approx(171.0 / 497.0 * REST_DAYS)
    assert rest_of(heavy, near, 2.35, season=1.2)[0] == pytest.approx(1.2 * 171 / 497 * REST_DAYS)
    # one who has quickened may go on at the rate of the horizon
    assert rest_of(heavy, np.array([36.0]), 2.35)[0] == pytest.approx(0.4 * REST_DAYS)
    # and who is far below it is lifted by all of the factor
    light = columns_of(np.array([1.0]), np.array([50.0]), np.array([497.0]))
    least, lifted = (rest_of(light, np.array([0.1]), factor)[0] for factor in (1.0, 2.35))
    assert lifted == pytest.approx(2.35 * least)


@given(
    st.floats(0.0, 300.0),
    st.floats(0.0, 1.0),
    st.floats(1.0, 2000.0),
    st.floats(0.0, 40.0),
    st.floats(0.1, 9.0),
)
def test_the_rest_is_within_the_rate_or_what_the_customer_base_says(
    frequency: float, recent: float, tenure: float, near: float, factor: float
) -> None:
    bought = np.floor(frequency)
    t_x = recent * tenure if bought else 0.0
    one = columns_of(*(np.array([v]) for v in (bought, t_x, tenure)))
    orders = np.array([near])
    rate = own_rate(one["orders"], one["T_days"], orders, 90)[0]
    unlifted, rest = (rest_of(one, orders, by)[0] for by in (1.0, factor))
    by_base = BASE.discounted_orders(365, one, 0.0) - BASE.discounted_orders(90, one, 0.0)
    assert rest <= max(rate * REST_DAYS, by_base[0]) + 1e-6
    assert rest <= factor * by_base[0] + 1e-6
    assert rest >= min(factor, 1.0) * unlifted - 1e-6
    ahead = OrdersAhead(ValueModel(10.0, rest=Factor(factor)), BASE, CONFIG, one, orders)
    ends = [float(ahead.until(days)[0]) for days in (30, 90, 180, 365, 3650)]
    assert ends == sorted(ends)


def grown(seed: int, buyers: int = 600) -> tuple[NDArray[np.int64], Array, Array]:
    """Return customers who never leave and have bought thrice as often since day 650.

    Their number, the days of their purchases, since the first of each and up to 1460, and their
    rates a day since then, shape (buyers,).
    """
    random = np.random.default_rng(seed)
    rates = random.gamma(1.0, 1 / 30, buyers)
    owners, days = [], []
    for customer, rate in enumerate(rates):
        at = np.floor(random.uniform(0.0, 1460.0, random.poisson(rate * 1460.0)))
        at = at[(at >= 650.0) | (random.random(len(at)) < 1 / 3)]
        bought = np.unique(np.r_[0.0, at])
        owners.append(np.full(len(bought), customer))
        days.append(bought)
    return np.concatenate(owners), np.concatenate(days), rates


def history_of(owner: NDArray[np.int64], day: Array, until: float) -> dict[str, Array]:
    """Return the columns of all customers so many days after their first purchase."""
    past = day < until
    frequency = np.bincount(owner[past]) - 1.0
    t_x = np.zeros(len(frequency))
    np.maximum.at(t_x, owner[past], day[past])
    return columns_of(frequency, t_x, np.full(len(frequency), until))


def test_a_growth_of_the_past_lifts_nobody_above_the_rate_of_the_horizon() -> None:
    base = CustomerBase((Model("pareto_nbd", (1.0, 40.0, 1.0, 5000.0), 0.0, 1),), None)
    owner, day, rates = grown(1)
    frames = []
    for back in (365, 400, 440):
        columns = history_of(owner, day, 1095.0 - back)
        made = a_frame(columns, orders=np.ones(len(rates)).tolist())
        frames.append(replace(made, back=back, customer=np.arange(len(rates))))
    known = day < 1095.0
    place = day[known].astype(np.int64) + 15_000 - 1095
    bought = PurchaseDays(owner[known], place, np.ones(len(place)), place * 86_400_000_000)
    bases = {frame.back: base for frame in frames}
    rest = fit_rest(frames, bases, Purchases(bought, 15_000.0), CONFIG)
    now, near = history_of(owner, day, 1095.0), rates * 90.0
    model = ValueModel(10.0, rest=rest.factor, rest_season=rest.season)
    expected = OrdersAhead(model, base, CONFIG, now, near).until(365) - near
    by_base = base.discounted_orders(365, now, 0.0) - base.discounted_orders(90, now, 0.0)
    came = np.bincount(owner[(day >= 1185) & (day < 1460)], minlength=len(rates))
    heavy = rates > np.quantile(rates, 0.9)
    for group in (heavy, np.full(len(rates), True)):
        total = came[group].sum()
        assert (by_base * rest.factor.of(now))[group].sum() > 1.1 * total
        assert expected[group].sum() == pytest.approx(total, rel=0.08)


def test_nobody_buys_on_more_days_than_the_horizon_has() -> None:
    # who bought on each of 730 days, of whom the customer base expects a little more
    daily = columns_of(np.array([729.0]), np.array([729.0]), np.array([730.0]))
    of_base = {"btyd_none": -30.0, "btyd_orders": 93.0, "btyd_alive": 1.0}
    columns = {**daily, **{name: np.array([value]) for name, value in of_base.items()}}
    none = np.array([1e-9])
    money = money_of_buyers(ValueModel(None), BASE, CONFIG, columns, none, 0.0)
    assert money.orders_if_any[0] == CONFIG.horizon_days
    assert money.expected_orders[0] <= CONFIG.horizon_days


def test_who_pays_each_january_does_so_once_in_a_year() -> None:
    # a regular yearly rhythm, and nine in ten within a horizon in which the base expects fewer
    model = Model("mbg_nbd", (600.0, 600.0 * 365.0 / 16, 20.0, 80.0), 0.0, 1, 16)
    base = CustomerBase((model,), None)
    history = columns_of(np.array([2.0, 2.0]), np.array([730.0, 730.0]), np.array([1e3, 1e3]))
    columns = {**history, **base.columns(history, 90)}
    by_base = float(columns["btyd_orders"][0])
    assert 0.1 < by_base < 0.6
    ahead = OrdersAhead(ValueModel(10.0), base, CONFIG, columns, np.array([by_base, 0.9]))
    in_year = ahead.until(365)
    # one, and the next one where the rhythm wavers enough (a quarter of a year) and they stay
    assert in_year[1] < 1.25
    assert in_year[1] - 0.9 < 0.7 * (in_year[0] - by_base)
    # nothing changes where no more come within the horizon than the base expects
    np.testing.assert_allclose(np.broadcast_to(ahead.left, 2)[0], 1.0, atol=0.01)
    later = [ahead.until(days) for days in (365, 730, 1095)]
    assert all((b >= a).all() for a, b in pairwise(later))


def test_random_gaps_are_not_pulled_forward() -> None:
    history = columns_of(np.array([2.0]), np.array([730.0]), np.array([1e3]))
    columns = {**history, **BASE.columns(history, 90)}
    assert OrdersAhead(ValueModel(10.0), BASE, CONFIG, columns, np.array([0.9])).left == 1.0

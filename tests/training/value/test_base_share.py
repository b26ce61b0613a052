"""The customer base's share in the expected orders and money, which a past date teaches."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.training.learners.factor import Factor
from stagecast.training.value.base_share import BaseShare, mixed_if_any
from stagecast.training.value.fit_base_share import (
    Customers,
    learned_share,
    with_base_share,
)
from stagecast.training.value.model import ValueModel

PRICE = 30.0


def drawn(rows: int, truth: str, seed: int = 1) -> tuple[Customers, Array]:
    """Return customers whom the customer base and the models of past dates tell apart differently,
    and the spend of those who follow the one or the other.
    """
    random = np.random.default_rng(seed)
    by_base, by_models = random.lognormal(-0.5, 1.0, (2, rows))
    p_inactive = np.exp(-by_models)
    models = by_models / (1.0 - p_inactive)
    base = by_base / -np.expm1(-by_base)
    customers = Customers(models, base, by_base, p_inactive, np.full(rows, PRICE), np.ones(rows))
    orders = random.poisson(by_base if truth == "base" else by_models)
    return customers, orders * PRICE


def test_a_log_that_follows_the_customer_base_teaches_a_large_share() -> None:
    assert learned_share(*drawn(4_000, "base")) > 0.8
    assert learned_share(*drawn(4_000, "models")) < 0.1


def test_fewer_than_ten_buyers_teach_no_share() -> None:
    customers, spend = drawn(200, "base")
    assert learned_share(customers, np.where(np.arange(200) < 9, spend + 1.0, 0.0)) == 0.0
    assert learned_share(customers, spend) > 0.5


def test_a_share_that_is_better_only_by_chance_is_not_taken() -> None:
    # both say the same of a customer but for noise, which came by neither of them
    random = np.random.default_rng(2)
    shares = []
    for _ in range(20):
        rate = random.lognormal(-0.5, 1.0, 400)
        noisy = rate * random.lognormal(0.0, 0.1, 400)
        p_inactive = np.exp(-rate)
        ones = np.ones(400)
        customers = Customers(
            rate / (1.0 - p_inactive), noisy / -np.expm1(-noisy), noisy, p_inactive, ones, ones
        )
        shares.append(learned_share(customers, random.poisson(rate) * random.gamma(0.5, 2.0, 400)))
    assert np.count_nonzero(shares) <= 7


@pytest.mark.parametrize("factor", [0.0, 1_000.0])
def test_one_customer_does_not_decide_for_the_others(factor: float) -> None:
    customers, spend = drawn(600, "base")
    largest = int(np.argmax(spend))
    changed = spend.copy()
    changed[largest] *= factor
    shares = learned_share(customers, spend), learned_share(customers, changed)
    before, after = (np.delete(customers.spend(share), largest) for share in shares)
    np.testing.assert_allclose(after, before, rtol=0.05)


@given(
    st.floats(1.0, 30.0),
    st.floats(1.0, 30.0),
    st.floats(1e-9, 20.0),
    st.floats(0.0, 1.0),
    st.floats(0.01, 1.0),
    st.floats(0.7, 1.5),
)
def test_whoever_orders_does_so_once_or_more_and_never_more_than_both_models_say(
    if_any: float, base_if_any: float, base: float, p_inactive: float, share: float, level: float
) -> None:
    (mixed,) = mixed_if_any(
        *(np.array([value]) for value in (if_any, base_if_any, base, p_inactive)), share, level
    )
    assert 1.0 <= mixed <= max(if_any, base_if_any)
    assert 1.0 - p_inactive <= (1.0 - p_inactive) * mixed


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_share_leaves_the_totals_as_they_were(share: float) -> None:
    customers, _ = drawn(1_000, "base")
    mixed = customers.mixed_orders(share, customers.level_of(share))
    assert mixed.sum() == pytest.approx(customers.orders.sum(), rel=1e-4)
    assert np.corrcoef(np.log(mixed), np.log(customers.base_orders))[0, 1] > (
        np.corrcoef(np.log(customers.orders), np.log(customers.base_orders))[0, 1] + 0.1
    )


def test_a_share_is_smaller_where_it_would_lose_orders() -> None:
    customers, _ = drawn(1_000, "base")
    assert not customers.keeps_total(1.0)
    columns = {
        "btyd_none": -np.log(np.expm1(customers.base_orders)),
        "btyd_orders": customers.base_orders,
        "orders": np.ones(1_000),
    }
    model = ValueModel(None)
    mixed = with_base_share(model, None, 1.0, columns, customers.p_inactive)
    assert 0.2 < mixed.base_share.share < 1.0
    before, after = (
        (1.0 - customers.p_inactive) * m.orders_if_any(columns, customers.p_inactive)
        for m in (model, mixed)
    )
    assert after.sum() == pytest.approx(before.sum(), rel=1e-4)


def with_a_price() -> tuple[ValueModel, dict[str, Array], Array]:
    """Return a value model of a shop with one price, columns of its buyers, and P(no purchase)."""
    random = np.random.default_rng(3)
    rows = 500
    base_none = random.uniform(0.2, 0.9, rows)
    columns = {
        "btyd_none": np.log(base_none / (1.0 - base_none)),
        "btyd_orders": (1.0 - base_none) * random.uniform(1.0, 3.0, rows),
        "orders": np.full(rows, 400.0),
        "spend_mean": np.full(rows, PRICE),
    }
    return ValueModel(PRICE, orders=Factor(0.8)), columns, random.uniform(0.1, 0.9, rows)


def test_a_fixed_price_stays_the_price_and_orders_keep_their_total() -> None:
    model, columns, p_inactive = with_a_price()
    mixed = with_base_share(model, None, 0.7, columns, p_inactive)
    assert mixed.base_share.share == 0.7
    per_order = mixed.spend_per_order(columns, None)
    assert per_order is not None
    assert per_order.tolist() == pytest.approx([PRICE] * 500, rel=1e-6)
    before, after = (
        (1.0 - p_inactive) * m.orders_if_any(columns, p_inactive) for m in (model, mixed)
    )
    assert after.sum() == pytest.approx(before.sum(), rel=1e-4)
    assert np.abs(after / before - 1.0).max() > 0.1


def test_without_a_share_or_a_customer_base_the_orders_stay() -> None:
    model, columns, p_inactive = with_a_price()
    assert with_base_share(model, None, 0.0, columns, p_inactive) == model
    mixed = replace(model, base_share=BaseShare(0.7, 1.1))
    alone = {"orders": np.full(3, 2.0)}
    assert mixed.orders_if_any(alone, np.full(3, 0.5)).tolist() == [1.0] * 3


def test_the_share_survives_json_and_bundles_of_before_have_none() -> None:
    model = ValueModel(PRICE, base_share=BaseShare(0.4, 1.05))
    stored = json.loads(json.dumps(model.to_json()))
    assert ValueModel.from_json(stored, {}) == model
    del stored["base_share"]
    assert ValueModel.from_json(stored, {}).base_share == BaseShare()

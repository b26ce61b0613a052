"""The best customers under a budget and a number of contacts: brute force is the oracle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.serving.targeting.plan import selection
from stagecast.serving.targeting.plan.selection import select
from tests.profiles import examples


def best_by_trying_all(gain, cost, budget, contacts) -> float:
    best = 0.0
    for size in range(len(gain) + 1):
        if contacts is not None and size > contacts:
            break
        for rows in itertools.combinations(range(len(gain)), size):
            if budget is None or sum(cost[k] for k in rows) <= budget * (1 + 1e-9):
                best = max(best, sum(gain[k] for k in rows))
    return best


CENTS = st.integers(0, 400).map(lambda cents: cents / 100)
CUSTOMERS = st.lists(
    # few distinct values, so that ties and zeros are common
    st.tuples(
        st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), CENTS),
        st.one_of(st.sampled_from([0.0, 1.0, 2.0]), CENTS),
    ),
    max_size=9,
)


@settings(max_examples=examples(400))
@given(
    CUSTOMERS,
    st.one_of(st.none(), st.integers(0, 1200).map(lambda cents: cents / 100)),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_no_choice_within_the_limits_brings_more(customers, budget, contacts):
    gain = np.array([pair[0] for pair in customers])
    cost = np.array([pair[1] for pair in customers])
    chosen = select(gain, cost, budget=budget, contacts=contacts)
    wanted = best_by_trying_all(gain, cost, budget, contacts)
    assert gain[chosen.rows].sum() == pytest.approx(wanted, rel=1e-7, abs=1e-9)
    assert chosen.bound >= wanted * (1 - 1e-7)
    assert len(set(chosen.rows)) == len(chosen.rows)
    assert (gain[chosen.rows] > 0).all()
    assert contacts is None or len(chosen.rows) <= contacts
    assert budget is None or cost[chosen.rows].sum() <= budget * (1 + 1e-9)


@settings(max_examples=examples(100))
@given(CUSTOMERS, st.sampled_from([1e-7, 1e-3, 1e5]), st.sampled_from([1e-6, 1.0, 1e7]))
def test_the_choice_does_not_depend_on_the_units_of_money(customers, of_gain, of_cost):
    gain = np.array([pair[0] for pair in customers]) * of_gain
    cost = np.array([pair[1] for pair in customers]) * of_cost
    chosen = select(gain, cost, budget=3 * of_cost)
    wanted = best_by_trying_all(gain, cost, 3 * of_cost, None)
    assert gain[chosen.rows].sum() == pytest.approx(wanted, rel=1e-7)
    assert cost[chosen.rows].sum() <= 3 * of_cost * (1 + 1e-9)


def test_a_dear_customer_gives_way_to_two_cheap_ones():
    # by gain alone the first, by gain for money the second and the third
    gain, cost = np.array([10.0, 6.0, 5.0]), np.array([10.0, 5.0, 5.0])
    assert select(gain, cost, budget=10).rows.tolist() == [1, 2]


def test_by_gain_for_money_alone_the_best_would_be_missed():
    # ratios 1.1 and 1.0: greed takes the small customer, and the large no longer fits
    gain, cost = np.array([1.1, 10.0]), np.array([1.0, 10.0])
    assert select(gain, cost, budget=10).rows.tolist() == [1]


def test_equal_gains_are_chosen_in_the_order_of_the_customers():
    chosen = select(np.full(5, 2.0), np.full(5, 1.0), budget=3)
    assert chosen.rows.tolist() == [0, 1, 2]


def test_nobody_is_chosen_who_brings_nothing():
    assert select(np.array([0.0, -1.0]), np.array([1.0, 0.0])).rows.tolist() == []
    assert select(np.empty(0), np.empty(0), budget=1).rows.tolist() == []


@pytest.mark.parametrize("contacts", [None, 700])
def test_a_long_list_comes_within_a_hair_of_its_bound(contacts):
    rng = np.random.default_rng(3)
    gain, cost = rng.gamma(1.5, 4, 5_000), rng.gamma(2, 1, 5_000)
    chosen = select(gain, cost, budget=900.0, contacts=contacts)
    assert cost[chosen.rows].sum() <= 900 * (1 + 1e-9)
    assert gain[chosen.rows].sum() >= chosen.bound * (1 - 1e-4)
    assert contacts is None or len(chosen.rows) <= contacts


def test_what_the_bound_rests_on_holds_without_the_solver(monkeypatch):
    monkeypatch.setattr(selection, "_branch_and_bound", lambda *_: None)
    rng = np.random.default_rng(5)
    for _ in range(50):
        gain, cost = rng.integers(1, 9, 8).astype(float), rng.integers(1, 9, 8).astype(float)
        chosen, wanted = select(gain, cost, budget=12), best_by_trying_all(gain, cost, 12, None)
        assert gain[chosen.rows].sum() <= wanted + 1e-9
        assert wanted <= chosen.bound + 1e-6

"""What a contact is expected to bring and to cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.serving.targeting.plan.economics import economics
from stagecast.serving.targeting.plan.terms import Audience, Costs, Effects, Terms
from tests.profiles import examples
from tests.serving.targeting.plan.making import columns_of, customer, many, money_of, play

OPTIONAL_SHARE = st.one_of(st.none(), st.floats(0, 1))
OPTIONAL_MONEY = st.one_of(st.none(), st.floats(0, 50))


def test_gain_and_cost_of_one_customer_by_hand():
    # at risk 100, of which 10 % are saved: 10. Half of the customers order anyway, and 10 % of the
    # others are made to: 0.5 + 0.05 take the offer of 4, and a contact costs 1: 3.2
    money = economics(
        columns_of([customer("a")]),
        [],
        Terms(costs=Costs(1.0, 4.0), effects=Effects(0.1, 0.0)),
        horizon_days=90,
    )
    assert (money.gross[0], money.cost[0], money.gain[0]) == pytest.approx((10.0, 3.2, 6.8))
    assert money.paid_anyway[0] == pytest.approx(2.0)
    assert money.added_buyers[0] == pytest.approx(0.05)


def test_the_lapsed_are_won_back_and_not_kept():
    lapsed = customer("a", state="lapsed", value_at_risk=None, value_gone=50.0)
    money = economics(columns_of([lapsed]), [], Terms(effects=Effects(0.9, 0.1)), horizon_days=90)
    assert money.gross[0] == pytest.approx(5.0)


def test_nobody_is_contacted_who_surely_does_not_return():
    # a contact makes at most as many come back as do by themselves: of 200 gone .08 at most
    rows = [
        customer(name, state="lapsed", value_at_risk=None, value_gone=200.0, p_inactive=p)
        for name, p in (("gone", 0.9996), ("may return", 0.99), ("unknown", None))
    ]
    terms = Terms(costs=Costs(contact=1.0), effects=Effects(0.05, 0.02))
    money = economics(columns_of(rows), [], terms, horizon_days=90, contracts=True)
    assert money.gross.tolist() == pytest.approx([0.08, 2.0, 4.0])
    assert (money.gain > 0).tolist() == [False, True, True]


def test_half_a_window_has_the_square_root_of_the_chance_of_no_order():
    terms = Terms(window_days=45)
    money = economics(columns_of([customer("a", p_inactive=0.25)]), [], terms, horizon_days=90)
    assert money.p_order[0] == pytest.approx(0.5)


def test_a_contract_lives_through_half_a_window_with_the_square_root_of_its_chance():
    terms, columns = Terms(window_days=45), columns_of([customer("a", p_inactive=0.75)])
    money = economics(columns, [], terms, horizon_days=90, contracts=True)
    assert money.p_order[0] == pytest.approx(0.5)


@settings(max_examples=examples(100))
@given(
    seed=st.integers(0, 1000),
    costs=st.builds(Costs, OPTIONAL_MONEY, OPTIONAL_MONEY, OPTIONAL_SHARE),
    effects=st.builds(Effects, OPTIONAL_SHARE, OPTIONAL_SHARE),
    window=st.integers(1, 90),
    worth=OPTIONAL_MONEY,
)
def test_all_customers_are_as_worked_out_one_by_one(seed, costs, effects, window, worth):
    rows = many(12, seed)
    plays = [
        play("a", contact_cost=2.5, offer_cost=3.0, effect=0.2),
        play("b", offer=False, offer_share=0.3),
    ]
    terms = Terms(costs=costs, effects=effects, window_days=window, worth=worth)
    columns = columns_of([customer("anchor"), *rows])
    money = economics(columns, plays, terms, horizon_days=90)
    by_id = {id_: k for k, id_ in enumerate(columns.customer_id)}
    for row in rows:
        expected = money_of(row, terms, plays, 90, window)
        for name, value in expected.items():
            actual = getattr(money, name)[by_id[row["customer_id"]]]
            assert actual == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_scores_without_money_ask_what_a_customer_is_worth():
    none = dict.fromkeys(("value_at_risk", "value_gone", "clv", "expected_spend"))
    poor = columns_of([customer("a", **none)])
    with pytest.raises(UsageError, match="--worth 40"):
        economics(poor, [], Terms(), horizon_days=90)
    money = economics(poor, [], Terms(worth=40.0, effects=Effects(0.1)), horizon_days=90)
    assert money.gross[0] == pytest.approx(0.1 * 0.5 * 40)


def test_an_offer_of_a_share_costs_nothing_where_no_order_is_expected():
    none = customer("a", expected_orders=0.0, expected_spend=10.0)
    money = economics(columns_of([none]), [], Terms(costs=Costs(offer_share=0.5)), horizon_days=90)
    assert money.cost[0] == 0


@pytest.mark.parametrize(
    ("plays", "window", "expected"),
    [
        (("a",), None, 30),  # the one play that is named says it
        (("a",), 14, 14),  # a window that is asked for goes before
        (("long",), None, 90),  # not beyond the horizon
        (("a", "long"), None, 90),  # two plays are named
        ((), None, 90),
        (("silent",), None, 90),
    ],
)
def test_the_window_is_the_days_of_the_one_play_that_is_named(plays, window, expected):
    scheme = [play("a", days=30), play("long", days=400), play("silent")]
    terms = Terms(Audience(plays=plays), window_days=window)
    assert terms.check_window(90, scheme) == expected


def test_a_window_longer_than_the_horizon_is_refused():
    with pytest.raises(UsageError, match="longer than the horizon"):
        Terms(window_days=91).check_window(90)

"""What a plan would be: its list, its forecast, who is left out and why."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.serving.targeting.plan.proposal import Proposal, propose
from stagecast.serving.targeting.plan.suppression import Reach
from stagecast.serving.targeting.plan.terms import Audience, Costs, Effects, Rules, Terms
from tests.profiles import examples
from tests.serving.targeting.plan.making import columns_of, customer, many, money_of, play

NOBODY = Reach()


def made(rows, terms, plays=(), reach=NOBODY, **options) -> Proposal:
    options = {"horizon_days": 90} | options
    return propose(columns_of(rows), list(plays), terms, reach, **options)


def contacted(proposal: Proposal) -> list[str]:
    members = proposal.members
    return [
        str(id_)
        for id_, is_out in zip(members.customers.customer_id, members.held_out, strict=True)
        if not is_out
    ]


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(
    seed=st.integers(0, 10_000),
    contacts=st.one_of(st.none(), st.integers(1, 60)),
    budget=st.one_of(st.none(), st.floats(5, 80)),
    holdout=st.sampled_from([0.0, 0.2, 0.5]),
)
def test_a_list_keeps_its_limits_and_its_sums_add_up(seed, contacts, budget, holdout):
    rows = many(120, seed)
    costs, effects = Costs(0.5, 1.0), Effects(0.3, 0.2)
    terms = Terms(costs=costs, effects=effects, contacts=contacts, budget=budget, holdout=holdout)
    try:
        result = made(rows, terms)
    except UsageError as error:
        # the only refusals of lists so short
        assert "longer list" in str(error) or "no draw" in str(error)  # noqa: PT017
        assume(False)
    forecast, members = result.forecast, result.members
    by_id = {row["customer_id"]: money_of(row, terms, [], 90, 90) for row in rows}
    ids = contacted(result)
    assert forecast.contacts.contacts == len(ids)
    for name in ("gross", "cost", "gain"):
        total = math.fsum(by_id[id_][name] for id_ in ids)
        assert getattr(forecast.contacts, name) == pytest.approx(total)
    assert contacts is None or len(ids) <= contacts
    assert budget is None or forecast.contacts.cost <= budget * (1 + 1e-9)
    assert forecast.held_out == members.held_out.sum()
    assert (members.gain > 0).all()
    assert (np.diff(members.gain) <= 1e-12).all()
    assert forecast.considered == len(rows)
    assert len(members.customers) == len(rows) - sum(forecast.left_out.values())
    if contacts is None and budget is None:
        assert "beyond_limits" not in forecast.left_out
    # the same list in another order is the same plan
    again = made(rows[::-1], terms)
    assert contacted(again) == ids


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(seed=st.integers(0, 10_000), budget=st.floats(2, 60))
def test_no_simpler_ranking_is_expected_to_bring_more_for_the_same_money(seed, budget):
    terms = Terms(costs=Costs(0.5, 1.0), effects=Effects(0.3, 0.2), budget=budget, holdout=0.0)
    ranked = made(many(80, seed), terms).forecast.rankings
    assert ranked["plan"] >= max(ranked.values()) * (1 - 1e-9)


def test_the_curve_rises_to_its_best_cut_and_falls_from_there():
    forecast = made(many(300), Terms(costs=Costs(contact=4.0), effects=Effects(0.1, 0.1))).forecast
    gains = [point.gain for point in forecast.curve.points]
    contacts = [point.contacts for point in forecast.curve.points]
    best = contacts.index(forecast.curve.best.contacts)
    assert gains[: best + 1] == sorted(gains[: best + 1])
    assert gains[best:] == sorted(gains[best:], reverse=True)
    assert 0 < best < len(gains) - 1
    assert forecast.curve.best.gain == pytest.approx(max(gains))
    assert (contacts[0], gains[0]) == (0, 0.0)


def test_leavers_stayers_and_what_stayers_are_paid_are_those_of_the_contacted():
    rows = [customer("a", p_inactive=0.75), customer("b", p_inactive=0.25)]
    terms = Terms(costs=Costs(offer=2.0), effects=Effects(0.5), holdout=0.0)
    total = made(rows, terms).forecast.contacts
    assert (total.leavers, total.stayers, total.paid_to_stayers) == pytest.approx((1.0, 1.0, 2.0))


def test_the_lapsed_of_a_plan_and_what_its_gain_is_a_share_of_are_counted_apart():
    rows = [
        customer("a", p_inactive=0.25, value_gone=30.0),
        customer("l", state="lapsed", p_inactive=0.75, value_at_risk=None, value_gone=200.0),
        customer("m", state="lapsed", p_inactive=0.5, value_at_risk=None, value_gone=100.0),
    ]
    terms = Terms(effects=Effects(0.5, 0.25), holdout=0.0)
    forecast = made(rows, terms).forecast
    for total in (forecast.contacts, forecast.curve.best):
        assert (total.former, total.former_leavers, total.leavers) == (2, 1.25, 1.5)
        assert (total.value_gone, total.at_stake, total.won_back) == (330.0, 430.0, 0.25 * 330.0)
        assert total.gross == total.won_back + 0.5 * 100.0
    assert forecast.worth is None
    worth = made(rows, replace(terms, worth=40.0)).forecast
    assert worth.worth == 40.0
    assert worth.contacts.won_back == pytest.approx(0.25 * 1.25 * 40.0)
    assert worth.contacts.gross == pytest.approx(0.25 * 1.25 * 40.0 + 0.5 * 0.25 * 40.0)


@pytest.mark.parametrize(
    ("reason", "row", "reach", "rules"),
    [
        ("nothing_at_stake", {"state": "prospect", "p_inactive": None}, NOBODY, Rules()),
        ("nothing_at_stake", {"value_at_risk": 0.0}, NOBODY, Rules()),
        ("play_leaves_alone", {"play": "quiet"}, NOBODY, Rules()),
        ("do_not_contact", {}, Reach(do_not_contact={"x"}), Rules()),
        ("no_consent", {}, Reach(refused={"x"}), Rules()),
        ("consent_unknown", {}, Reach(consented={"a"}), Rules(require_consent=True)),
        ("contacted_recently", {}, Reach(recent={"x"}), Rules(quiet_days=5)),
        ("cap_reached", {}, Reach(capped={"x"}), Rules(most_contacts=1)),
        ("in_running_plan", {}, Reach(busy={"x"}), Rules()),
        ("gain_too_small", {"value_at_risk": 10.0}, NOBODY, Rules(min_gain=1.0)),
    ],
)
def test_each_reason_leaves_out_whom_it_speaks_of(reason, row, reach, rules):
    rows = [customer("a"), customer("x", **row)]
    terms = Terms(rules=rules, holdout=0.0)
    result = made(rows, terms, [play("quiet", contact=False)], reach)
    assert contacted(result) == ["a"]
    assert dict(result.forecast.left_out) == {reason: 1}


def test_who_fits_no_limit_is_counted_with_the_reason():
    rows = [customer(f"c{k}") for k in range(10)]
    result = made(rows, Terms(contacts=4, holdout=0.0))
    assert len(contacted(result)) == 4
    assert dict(result.forecast.left_out) == {"beyond_limits": 6}


def test_a_gain_from_the_value_gone_of_active_customers_is_told():
    rows = [customer("a", value_gone=300.0), customer("b", value_gone=0.0)]
    rows.append(customer("l", state="lapsed", value_at_risk=None, value_gone=500.0))
    told = "Of what is saved and won back, 6.00 is value gone of active customers"
    terms = Terms(effects=Effects(0.05, 0.02), holdout=0.0)
    forecast = made(rows, terms).forecast
    assert forecast.contacts.gross == pytest.approx(2 * 5.0 + 6.0 + 10.0)
    assert sum(note.startswith(told) for note in forecast.notes) == 1
    for others in (rows[1:], [customer("a", value_gone=0.1)]):
        notes = made(others, terms).forecast.notes
        assert not any("value gone of active" in note for note in notes)


def test_a_customer_counts_for_the_first_reason_alone():
    reach = Reach(do_not_contact={"x"}, refused={"x"}, recent={"x"}, busy={"x"})
    result = made([customer("a"), customer("x")], Terms(holdout=0.0), reach=reach)
    assert dict(result.forecast.left_out) == {"do_not_contact": 1}


def test_a_play_that_is_named_is_contacted_whatever_the_scheme_says():
    plays = [play("quiet", contact=False)]
    terms = Terms(Audience(plays=("quiet",)), holdout=0.0)
    assert contacted(made([customer("a", play="quiet")], terms, plays)) == ["a"]


def test_the_least_gain_itself_is_enough():
    terms = Terms(effects=Effects(0.05), rules=Rules(min_gain=5.0), holdout=0.0)
    assert contacted(made([customer("a")], terms)) == ["a"]


def test_an_effect_of_nothing_is_no_lack_of_value():
    result = made([customer("a")], Terms(effects=Effects(0.0, 0.0), holdout=0.0))
    assert dict(result.forecast.left_out) == {"gain_too_small": 1}


def test_costs_above_every_gain_say_that_nobody_is_worth_it():
    rows = [customer("a"), customer("b", value_at_risk=300.0)]
    result = made(rows, Terms(costs=Costs(contact=20.0)))
    assert contacted(result) == []
    # 5 % of 300, less 20
    assert any(
        note.startswith("Nobody is worth a contact") and "-5.00" in note
        for note in result.forecast.notes
    )


def test_a_budget_below_one_contact_is_refused_with_the_cheapest():
    with pytest.raises(UsageError, match=r"budget of 1\.00 does not pay one contact.*2\.00"):
        made([customer("a")], Terms(costs=Costs(contact=2.0), budget=1.0))


def test_the_effect_is_said_to_be_assumed():
    notes = made([customer("a")], Terms(holdout=0.0)).forecast.notes
    assert "assumed, not measured" in notes[0]
    assert "of the value gone, at most what may return without it" in notes[0]
    assert "5.0%" in notes[0]


def test_without_a_holdout_the_plan_says_that_it_shows_nothing():
    notes = made(many(50), Terms(holdout=0.0)).forecast.notes
    assert any("nothing can be shown" in note for note in notes)


def test_a_list_that_can_show_nothing_says_so():
    forecast = made([customer(f"c{k}") for k in range(12)], Terms(holdout=0.17)).forecast
    assert forecast.can_show_buyers is None
    assert any("too small to show anything" in note for note in forecast.notes)


def test_a_list_that_can_show_something_says_how_much():
    forecast = made(many(800), Terms(holdout=0.3)).forecast
    assert forecast.can_show_buyers is not None
    assert forecast.can_show_buyers.sentence
    assert forecast.can_show_money is not None


def test_a_list_of_the_lapsed_alone_has_money():
    rows = [
        customer(f"c{k}", state="lapsed", value_at_risk=None, value_gone=50.0) for k in range(30)
    ]
    assert made(rows, Terms()).forecast.contacts.contacts == 27


def test_an_audience_of_nobody_is_an_answer():
    forecast = made([], Terms()).forecast
    assert (forecast.considered, forecast.contacts.contacts, forecast.held_out) == (0, 0, 0)


def test_a_standing_holdout_is_the_same_in_every_plan():
    rows = many(400)
    first = made(rows, Terms(standing=True, contacts=100), standing_key="k").members
    second = made(rows[:300], Terms(standing=True), standing_key="k").members

    def arms(members):
        ids = members.customers.customer_id
        return dict(zip(ids, members.held_out, strict=True))

    both = set(arms(first)) & set(arms(second))
    assert len(both) > 50
    assert all(arms(first)[id_] == arms(second)[id_] for id_ in both)


def test_the_seed_alone_changes_who_is_held_out():
    rows = many(300)
    lists = [made(rows, Terms(seed=seed)).members for seed in (1, 1, 2)]
    same, again, other = [list(part.customers.customer_id[part.held_out]) for part in lists]
    assert same == again
    assert same != other


def test_a_number_of_contacts_is_met_but_for_one_beside_the_holdout():
    for number in (10, 37, 100):
        forecast = made(many(600), Terms(contacts=number, holdout=0.25)).forecast
        assert number - 1 <= forecast.contacts.contacts <= number
        assert forecast.held_out == pytest.approx(number / 3, abs=2)


def test_a_budget_is_spent_but_for_little_where_more_could_be_contacted():
    rows = [customer(f"c{k:03d}", value_at_risk=100.0 + k) for k in range(300)]
    for seed in range(10):
        terms = Terms(costs=Costs(contact=1.0), budget=50.0, seed=seed)
        assert made(rows, terms).forecast.contacts.cost == pytest.approx(50, abs=1.01)


def test_a_forecast_is_plain_json_without_nan():
    rows = [*many(60), customer("zero", expected_orders=0.0, expected_spend=0.0)]
    for terms in (Terms(), Terms(holdout=0.0, costs=Costs(1.0, None, 0.5)), Terms(worth=3.0)):
        json.dumps(made(rows, terms).forecast.to_json(), allow_nan=False)


def test_without_amounts_the_note_says_what_a_customer_is_worth():
    none = dict.fromkeys(("value_at_risk", "value_gone", "clv", "expected_spend"))
    rows = [customer(f"c{k}", **none) for k in range(40)]
    forecast = made(rows, Terms(worth=40.0, effects=Effects(0.1))).forecast
    assert forecast.contacts.gain == pytest.approx(36 * 0.1 * 0.5 * 40)
    assert forecast.can_show_money is None
    assert any("counts as worth 40" in note for note in forecast.notes)


def test_empc_is_that_of_empulse_at_certain_churn():
    # with churn of 0 or 1 the expected confusion is the observed one
    empulse = pytest.importorskip("empulse.metrics")
    rng = np.random.default_rng(2)
    churned = rng.random(400) < 0.3
    rows = [
        customer(f"c{k:03d}", p_inactive=float(left), clv=200.0) for k, left in enumerate(churned)
    ]
    result = made(rows, Terms(costs=Costs(1.0, 10.0), effects=Effects(1.0), holdout=0.0))
    reachable = [row for row in rows if row["p_inactive"]]
    assert result.forecast.empc is not None
    expected = empulse.empc_score(
        churned.astype(int),
        churned.astype(float),
        clv=200.0,
        incentive_cost=10.0,
        contact_cost=1.0,
    )
    # whoever may be contacted counts: the stayers bring a loss, and are left out for that alone
    assert len(reachable) == churned.sum()
    assert result.forecast.empc == pytest.approx(expected, rel=0.01)

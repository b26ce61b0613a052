"""Plays: conditions over columns of a score, checked like rules, the first that holds counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.features.stages.entries import LANGUAGES
from stagecast.features.stages.play_checks import check_plays
from stagecast.features.stages.play_choice import assign_plays, learn_bounds
from stagecast.features.stages.plays import Play, play_from_toml
from stagecast.features.stages.scheme_files import (
    known_schemes,
    load_scheme,
    scheme_from_json,
    scheme_to_json,
)
from stagecast.training.config import TrainConfig

STAGES = ("new", "loyal", "gone")


def play(name: str, *when: str) -> Play:
    values = {"id": name, "title": {"en": name}, "action": {"en": "Do."}, "when": list(when)}
    return play_from_toml(values, "file")


def columns(**values: list[Any]) -> dict[str, np.ndarray]:
    rows = len(next(iter(values.values())))
    usual: dict[str, list[Any]] = {"churn": ["inactivity"] * rows, "p_alive": [0.8] * rows}
    return {
        name: np.array(column, dtype=object if isinstance(column[0], str) else float)
        for name, column in (usual | values).items()
    }


def test_all_clauses_must_hold_and_one_comparison_of_each() -> None:
    rows = columns(
        stage=["loyal", "loyal", "new", "gone"],
        churn_probability=[0.6, 0.2, 0.9, float("nan")],
        orders=[9.0, 9.0, 1.0, 2.0],
    )
    quiet = play("quiet", "stage == loyal or stage == new", "churn_probability >= 0.5")
    assert quiet.holds(rows, {}).tolist() == [True, False, True, False]
    assert play("null", "churn_probability < 0.5").holds(rows, {}).tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert play("one", "orders == 1").holds(rows, {}).tolist() == [False, False, True, False]


def test_the_first_play_that_holds_counts_and_there_may_be_none() -> None:
    plays = (play("high", "churn_probability > 0.8"), play("some", "churn_probability > 0.4"))
    rows = columns(churn_probability=[0.9, 0.5, 0.1])
    assert assign_plays(plays, rows, {}, 3).tolist() == [0, 1, -1]
    assert assign_plays((), rows, {}, 3).tolist() == [-1, -1, -1]


def test_a_percentile_is_that_of_the_buyers_at_the_training() -> None:
    plays = (play("top", "value_at_risk > p80", "clv >= p50"),)
    values = np.arange(1.0, 101.0)
    buyers = np.r_[np.ones(100, dtype=bool), np.zeros(50, dtype=bool)]
    training = {
        "value_at_risk": np.r_[values, np.full(50, 1e6)],
        "clv": np.full(150, np.nan),
    }
    bounds = learn_bounds(plays, training, buyers)
    assert bounds == {"value_at_risk p80": 80.0}
    # a log without amounts has no such bound, and the play holds for nobody
    rows = columns(value_at_risk=[90.0], clv=[5.0])
    assert assign_plays(plays, rows, bounds, 1).tolist() == [-1]
    assert assign_plays(plays, rows, bounds | {"clv p50": 4.0}, 1).tolist() == [0]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (["churn_probabilty > 0.5"], "no column of a score .* Did you mean 'churn_probability'?"),
        (["stage > loyal"], "stage is a text; compare it with =="),
        (["stage == loyall"], "none of new, loyal, gone.*Did you mean 'loyal'?"),
        (["churn_band == huge"], "none of low, medium, high"),
        (["state == asleep"], "none of prospect, active, lapsed"),
        (["churn_probability > 50"], "churn_probability lies between 0 and 1"),
        (["orders > p80"], "p80 is a percentile, which only columns in money"),
        (["clv > many"], "'many' is neither a number nor a percentile like p80"),
        (["clv above 3"], "cannot be read; write it like"),
        ([], "'when' is empty"),
        (["orders > 5", "orders < 3"], "'orders > 5' and 'orders < 3' never hold together"),
        (["orders > 5", "orders <= 5"], "never hold together"),
        (["stage == new", "stage == gone"], "never hold together"),
        (["orders == 5", "orders == 3"], "never hold together"),
    ],
)
def test_a_play_that_cannot_be_is_refused_with_its_place(when: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=rf"(?s)mine.*{message}"):
        check_plays([play("mine", *when)], STAGES, "file")


def test_conditions_that_touch_can_hold() -> None:
    check_plays([play("mine", "orders >= 5", "orders <= 5")], STAGES, "file")
    check_plays([play("mine", "clv >= p50", "clv <= p90")], STAGES, "file")


def test_a_play_that_another_always_precedes_is_refused() -> None:
    first, second = play("wide", "stage == new"), play("narrow", "orders > 1", "stage == new")
    with pytest.raises(UsageError, match="play 'narrow': nobody has it, because 'wide' before it"):
        check_plays([first, second], STAGES, "file")
    check_plays([second, first], STAGES, "file")
    with pytest.raises(UsageError, match="the id stands twice"):
        check_plays([first, first], STAGES, "file")


@pytest.mark.parametrize("values", [{"colour": "red"}, {"id": "not a name"}, {"when": "stage"}])
def test_a_table_with_a_slip_names_the_play(values: dict[str, Any]) -> None:
    table = {"id": "mine", "title": {"en": "M"}, "action": {"en": "A"}, "when": ["orders > 1"]}
    with pytest.raises(UsageError, match=r"file, play 3 \("):
        play_from_toml(table | values, "file, play 3")


@pytest.mark.parametrize("name", known_schemes())
def test_every_scheme_of_the_package_has_plays_that_are_written_and_read_back(name: str) -> None:
    scheme = load_scheme(name)
    assert scheme.plays
    assert scheme_from_json(scheme_to_json(scheme)).plays == scheme.plays
    for mine in scheme.plays:
        assert set(mine.title) == set(LANGUAGES)


@pytest.mark.parametrize("name", known_schemes())
@pytest.mark.parametrize(("risk", "band"), [(0.63, "medium"), (0.95, "high")])
def test_nobody_active_at_a_high_risk_is_told_the_calm_action_of_loyal_customers(
    name: str, risk: float, band: str
) -> None:
    scheme = load_scheme(name)
    calm = {"loyal", "loyalty", "advocate", "developed", "member"} & set(scheme.ids)
    for stage in calm:
        rows = columns(
            stage=[stage],
            state=["active"],
            churn_probability=[risk],
            churn_band=[band],
            value_at_risk=[1.0],
            expected_orders=[1 - risk],
        ) | {"p_return": np.array([np.nan]), "value_gone": np.array([np.nan])}
        assert assign_plays(scheme.plays, rows, {}, 1)[0] >= 0, stage


def test_who_comes_back_alone_is_offered_no_discount() -> None:
    scheme = load_scheme("retail")
    rows = columns(stage=["sleeping"], state=["lapsed"], p_return=[0.92], value_gone=[1e9]) | {
        "churn_probability": np.array([np.nan]),
        "churn_band": np.array([None], dtype=object),
        "value_at_risk": np.array([np.nan]),
        "expected_orders": np.array([1.2]),
    }
    (position,) = assign_plays(scheme.plays, rows, {"value_gone p80": 1.0}, 1)
    assert scheme.plays[position].id == "coming_back_alone"
    assert "no discount" in scheme.plays[position].action["en"]


@pytest.mark.parametrize("name", known_schemes())
def test_no_play_cuts_the_risk_beside_a_band(name: str) -> None:
    # .33 and .67 gave customers between .33 and 1/3 the play of a band that they are not in
    cuts = {
        float(c.bound)
        for mine in load_scheme(name).plays
        for c in mine.comparisons
        if c.column == "churn_probability"
    }
    for cut in (TrainConfig.medium_risk, TrainConfig.high_risk):
        assert not [near for near in cuts if abs(near - cut) < 0.02]


@pytest.mark.parametrize("column", ["value_at_risk", "value_gone"])
def test_more_than_four_buyers_in_five_is_said_of_a_fifth_at_most(column: str) -> None:
    said = [
        mine
        for mine in load_scheme("retail").plays
        if "than with four buyers in five" in mine.action.get("en", "")
        or "than from four buyers in five" in mine.action.get("en", "")
    ]
    plays = [mine for mine in said if any(c.column == column for c in mine.comparisons)]
    assert len(plays) == 1
    # half of the buyers are worth the same: nobody is worth more than four in five
    for values in (np.arange(1.0, 101.0), np.r_[np.arange(1.0, 51.0), np.full(50, 60.0)]):
        bounds = learn_bounds(plays, {column: values}, np.ones(100, dtype=bool))
        (clause,) = [c for c in plays[0].comparisons if c.column == column]
        above = clause.holds({column: values}, bounds)
        assert above.sum() <= 20
        assert all((values < value).mean() >= 0.8 for value in values[above])


@pytest.mark.parametrize("name", [n for n in known_schemes() if n != "membership"])
def test_who_has_nothing_to_pay_within_the_horizon_is_left_alone(name: str) -> None:
    scheme = load_scheme(name)
    stage = next(s.id for s in scheme.stages if s.state == "active")
    rows = columns(
        stage=[stage] * 3,
        state=["active"] * 3,
        churn=["inactivity", "inactivity", "cancellation"],
        churn_band=["high"] * 3,
        churn_probability=[0.99] * 3,
        p_alive=[1.0, 0.8, 1.0],  # due later; overdue; a contract that will be cancelled
        expected_orders=[0.01] * 3,
        value_at_risk=[1.0] * 3,
    ) | {column: np.full(3, np.nan) for column in ("p_return", "value_gone")}
    chosen = [
        scheme.plays[k].id if k >= 0 else None for k in assign_plays(scheme.plays, rows, {}, 3)
    ]
    assert [play == "not_due" for play in chosen] == [True, False, False]
    (mine,) = [play for play in scheme.plays if play.id == "not_due"]
    assert not mine.contact


def test_a_payer_whom_a_silence_made_lapsed_is_left_alone_until_the_payment_is_due() -> None:
    plays = load_scheme("retail").plays
    rows = columns(
        stage=["sleeping"] * 3,
        state=["lapsed"] * 3,
        churn=["inactivity"] * 3,
        p_return=[0.01, 0.01, 0.8],  # due later; gone; due soon
        p_alive=[1.0, 0.01, 1.0],
        value_gone=[0.0, 90.0, 0.0],
    ) | {name: np.full(3, np.nan) for name in ("churn_probability", "expected_orders")}
    rows |= {"churn_band": np.array([None] * 3, dtype=object), "value_at_risk": np.zeros(3)}
    chosen = [plays[k].id for k in assign_plays(plays, rows, {}, 3)]
    assert chosen == ["not_due", "let_go", "coming_back_alone"]


def test_nobody_is_likely_to_order_because_a_cancellation_is_unlikely() -> None:
    plays = load_scheme("retail").plays
    rows = columns(
        stage=["at_risk", "at_risk"],
        state=["active", "active"],
        churn_band=["low", "low"],
        churn_probability=[0.2, 0.2],
        expected_orders=[0.8, 0.04],  # of an order log at least 1 - 0.2; of a contract anything
        value_at_risk=[1.0, 1.0],
    ) | {name: np.full(2, np.nan) for name in ("p_return", "value_gone")}
    chosen = [plays[k].id if k >= 0 else None for k in assign_plays(plays, rows, {}, 2)]
    assert chosen == ["overdue_but_coming", None]

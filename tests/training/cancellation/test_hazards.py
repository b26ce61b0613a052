"""The parts of the model of cancellations: life table, steps and landmarks, the regression, the
curves tried first.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.errors import UsageError
from stagecast.training.baselines import contracts as baselines
from stagecast.training.cancellation import landmarks
from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.cancellation.cloglog import GroupedHazards
from stagecast.training.cancellation.columns import step_columns
from stagecast.training.cancellation.fit_ages import fit_ages, life_table
from stagecast.training.cancellation.fit_hazards import fit_grouped
from stagecast.training.cancellation.landmarks import (
    Landmarks,
    current,
    past,
    plan_backs,
    step_days,
    steps_of,
)
from stagecast.training.learners.design import Recipe
from tests.profiles import examples


def spells_of(start: Array, lasts: Array, as_of: float) -> Spells:
    """Return spells of customers of their own, in days since 1970, as known at an as_of: those
    begun before it.
    """
    begin, finish = (
        np.round(start * DAY).astype(np.int64),
        np.round((start + lasts) * DAY).astype(np.int64),
    )
    at = round(as_of * DAY)
    begin, finish = begin[begin < at], finish[begin < at]
    rows = len(begin)
    ids = np.array([f"c{k:06d}" for k in range(rows)], dtype=object)
    end = np.where(finish < at, finish, NEVER)
    return Spells(at, ids, np.arange(rows), begin, end, begin, np.zeros(rows, dtype=np.int64), 0)


def simulated(
    rows: int, as_of: float, seed: int, *, rate: Array | float = 0.01, shape: float = 1.0
) -> Spells:
    """Return contracts begun at any time before the as_of, with S(t) = exp(-(rate t) ** shape)."""
    random = np.random.default_rng(seed)
    start = random.uniform(0.0, as_of, rows)
    return spells_of(start, random.exponential(1.0, rows) ** (1.0 / shape) / rate, as_of)


# --- life table


def test_the_life_table_by_hand() -> None:
    # open for 3.5 days; cancelled on day 1 of 3; cancelled at once; cancelled on a day that the
    # as_of cuts
    of = spells_of(np.array([6.5, 7.0, 5.0, 9.5]), np.array([90.0, 1.5, 0.0, 0.25]), 10.0)
    at_risk, cancelled = life_table(of)
    assert at_risk.tolist() == [3, 2, 1]
    assert cancelled.tolist() == [1, 1, 0]


def test_the_rate_is_recovered_under_heavy_censoring() -> None:
    of = simulated(20_000, 20.0, seed=1, rate=0.01)
    assert of.cancellations < 0.11 * len(of)
    model = fit_ages(of, 30, by_age=False)
    # some 1,700 cancellations: three standard errors
    assert -np.log1p(-model.rates[0]) == pytest.approx(0.01, rel=0.075)


@pytest.mark.parametrize("shape", [0.6, 1.8])
def test_a_hazard_that_changes_with_age_is_recovered(shape: float) -> None:
    of = simulated(20_000, 200.0, seed=2, rate=0.01, shape=shape)
    ages = np.array([1.0, 10.0, 40.0, 100.0])
    true = ((ages + 30) * 0.01) ** shape - (ages * 0.01) ** shape
    assert fit_ages(of, 30).ahead(ages, 30.0) == pytest.approx(true, rel=0.08)


def test_counting_cut_days_for_cancellations_alone_would_be_biased() -> None:
    of = simulated(20_000, 3.0, seed=3, rate=0.1)
    at_risk, cancelled = life_table(of)
    observed = -np.log1p(-cancelled.sum() / at_risk.sum())
    assert observed == pytest.approx(0.1, rel=0.08)
    days = np.floor(np.minimum(of.end, of.as_of) / DAY - of.start / DAY).sum()
    assert of.cancellations / days > 0.12


def test_the_day_of_a_renewal_stands_out() -> None:
    random = np.random.default_rng(4)
    leaves = random.random(3_000) < 0.3
    of = spells_of(random.uniform(0, 100, 3_000), np.where(leaves, 30.5, 900.0), 100.0)
    model = fit_ages(of, 30)
    assert model.ahead(np.array([29.0]), 3.0)[0] == pytest.approx(-np.log(0.7), rel=0.2)
    assert model.ahead(np.array([5.0]), 20.0)[0] < 0.02
    assert model.ahead(np.array([35.0]), 20.0)[0] < 0.03


@settings(max_examples=examples(40), deadline=None)
@given(
    spans=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=40),
    ages=st.lists(st.floats(0, 500), min_size=1, max_size=5),
)
def test_the_curve_by_age_ascends_and_is_inverted(
    spans: list[tuple[float, float]], ages: list[float]
) -> None:
    of = spells_of(np.array([a for a, _ in spans]), np.array([b for _, b in spans]), 61.0)
    model = fit_ages(of, 30)
    assert AgeHazard.from_json(json.loads(json.dumps(model.to_json()))) == model
    at = np.sort(np.array(ages))
    assert (np.diff(model.cumulative(at)) >= 0).all()
    assert model.age_at(model.cumulative(at)) == pytest.approx(at, rel=1e-6, abs=1e-6)


# --- landmarks and steps


def test_a_row_is_at_risk_at_its_beginning_and_was_seen_to_its_end() -> None:
    # cancelled 3 days after the landmark at 12 days; open; cancelled in a step that is not over
    of = spells_of(np.array([0.0, 0.0, 0.0]), np.array([15.0, 99.0, 23.5]), 24.0)
    rows = past(of, 14)
    assert rows.backs == [7, 14, 21]
    steps = steps_of(of, rows, 14)
    observed = [
        (int(rows.back[r]), int(rows.spell[r]), int(k), bool(c))
        for r, k, c in zip(steps.row, steps.ahead, steps.cancelled, strict=True)
    ]
    assert sorted(observed) == [
        (7, 1, 0, False),
        (7, 2, 0, True),
        (14, 0, 0, True),
        (14, 1, 0, False),
        (14, 1, 1, False),
        (14, 2, 0, False),
        (14, 2, 1, True),
        (21, 0, 0, False),
        (21, 0, 1, True),
        (21, 1, 0, False),
        (21, 1, 1, False),
        (21, 2, 0, False),
        (21, 2, 1, False),
    ]


def test_at_a_tie_a_contract_is_at_risk_and_cancelled_in_the_step_that_begins() -> None:
    of = spells_of(np.array([0.0, 10.0]), np.array([10.0, 50.0]), 24.0)
    rows = past(of, 7)
    at_tie = rows.back == 14
    assert rows.spell[at_tie].tolist() == [0]
    steps = steps_of(of, rows, 7)
    assert steps.cancelled[rows.back[steps.row] == 14].tolist() == [True]
    # at the end of a step it is cancelled in the next
    before = spells_of(np.array([0.0]), np.array([10.0]), 24.0)
    followed = past(before, 14)
    steps = steps_of(before, followed, 14)
    assert steps.ahead[followed.back[steps.row] == 21].tolist() == [0, 1]
    assert steps.cancelled[followed.back[steps.row] == 21].tolist() == [False, True]


@settings(max_examples=examples(60))
@given(history=st.floats(0, 5_000), horizon=st.integers(1, 3_650))
def test_past_dates_are_few_whole_steps_within_the_history(history: float, horizon: int) -> None:
    backs, step = plan_backs(history, horizon), step_days(horizon)
    assert len(backs) <= landmarks.MAX_DATES
    assert backs == sorted(set(backs))
    assert all(0 < back < history and back % step == 0 for back in backs)
    assert step * 15 >= horizon or step >= 7
    if history > step + 1:
        assert backs[0] == step


def test_rows_drawn_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    of = simulated(3_000, 300.0, seed=5, rate=0.002)
    every = past(of, 30)
    monkeypatch.setattr(landmarks, "MAX_ROWS", 8_000)
    drawn = past(of, 30, seed=3)
    assert len(drawn) < 8_400 < len(every) / 2
    assert drawn.weight.sum() == pytest.approx(len(every), rel=0.03)
    soon = of.end[every.spell] < every.at + 30 * DAY
    soon_drawn = of.end[drawn.spell] < drawn.at + 30 * DAY
    assert drawn.weight[soon_drawn].sum() == pytest.approx(soon.sum(), rel=0.03)


def test_age_and_season_move_on_and_the_rest_stays() -> None:
    of = spells_of(np.array([0.0]), np.array([99.0]), 50.0)
    now = current(of)
    observed = step_columns(
        now, {"x": np.array([7.0])}, np.zeros(3, dtype=np.int64), np.arange(3), 6, season=True
    )
    assert observed["age_days"].tolist() == [50.0, 56.0, 62.0]
    assert observed["ahead_days"].tolist() == [0.0, 6.0, 12.0]
    assert observed["x"].tolist() == [7.0, 7.0, 7.0]
    turn = 2 * np.pi * (np.array([53.0, 59.0, 65.0])) / 365.2425
    assert observed["season_sin"] == pytest.approx(np.sin(turn))
    assert observed["season_cos"] == pytest.approx(np.cos(turn))


def test_a_table_by_date_and_customer_is_matched_in_any_order() -> None:
    of = simulated(40, 60.0, seed=6)
    rows = past(of, 7)
    back, customer = np.repeat(rows.backs, 50), np.tile(np.arange(50), len(rows.backs))
    order = np.random.default_rng(0).permutation(len(back))
    place = rows.matched(back[order], customer[order])
    assert back[order][place].tolist() == rows.back.tolist()
    assert customer[order][place].tolist() == rows.customer.tolist()
    with pytest.raises(UsageError, match="no row for customer"):
        rows.matched(back[:50], customer[:50])
    nothing = np.zeros(0, dtype=np.int64)
    with pytest.raises(UsageError, match="no row for customer"):
        rows.matched(nothing, nothing)


# --- regression


def test_the_regression_by_hand() -> None:
    # two groups of 10 with 2 and 5 cancelled: without a penalty their hazards are -log(8/10) and
    # -log(5/10)
    x, hit = np.repeat([0.0, 1.0], 10), np.r_[np.arange(10) < 2, np.arange(10) < 5]
    model = fit_grouped(Recipe({"x": (False, 0)}), {"x": x}, hit, np.ones(20), 1e-9)
    actual = np.exp(model.log_hazard({"x": np.array([0.0, 1.0])}))
    assert actual == pytest.approx([-np.log(0.8), -np.log(0.5)], rel=1e-4)
    # a weight is so many rows
    heavy = fit_grouped(Recipe({"x": (False, 0)}), {"x": x}, hit, np.where(hit, 2.0, 1.0), 1e-9)
    twice = np.exp(heavy.log_hazard({"x": np.array([0.0, 1.0])}))
    assert twice == pytest.approx([-np.log(8 / 12), -np.log(5 / 15)], rel=1e-4)


def test_proportional_hazards_are_recovered_from_steps() -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=20_000)
    hit = random.random(20_000) < -np.expm1(-0.05 * np.exp(0.7 * x))
    model = fit_grouped(Recipe({"x": (False, 0)}), {"x": x}, hit, np.ones(20_000), 1.0)
    low, high = model.log_hazard({"x": np.array([0.0, 1.0])})
    assert low == pytest.approx(np.log(0.05), abs=0.1)
    assert high - low == pytest.approx(0.7, abs=0.08)
    again = GroupedHazards.from_json(json.loads(json.dumps(model.to_json())))
    assert again.log_hazard({"x": x}).tolist() == model.log_hazard({"x": x}).tolist()


@pytest.mark.parametrize("hit", [np.zeros(9, dtype=bool), np.ones(9, dtype=bool)])
def test_a_regression_without_either_kind_is_a_level(hit: NDArray[np.bool_]) -> None:
    model = fit_grouped(Recipe({"x": (False, 0)}), {"x": np.arange(9.0)}, hit, np.ones(9), 1.0)
    actual = np.exp(model.log_hazard({"x": np.arange(9.0)}))
    assert actual == pytest.approx(np.full(9, -np.log1p(-(hit.sum() + 0.5) / 10)))


# --- what is tried first


def test_kaplan_meier_by_hand() -> None:
    # as_of 10: durations 2 and 4 cancelled, 5 and 8 open; at age 3 three are at risk, two thirds
    # outlast 4
    of = spells_of(np.array([0.0, 1.0, 5.0, 2.0]), np.array([2.0, 4.0, 99.0, 99.0]), 10.0)
    p = baselines.kaplan_meier(of, np.array([3.0, 4.0, 2.0]), 2.0)
    assert p[0] == pytest.approx(1 - (2 / 3 * 3 + 1) / 5)
    # cancelled just at an age is cancelled from it on, whether the age is where the span begins or
    # where it ends
    assert p[1] == pytest.approx(1 - (2 / 3 * 3 + 1) / 5)
    assert p[2] == pytest.approx(1 - (3 / 4 * 4 + 1) / 6)


def test_cox_recovers_proportional_hazards_under_late_entry() -> None:
    random = np.random.default_rng(8)
    x = random.normal(size=2_000)
    rate = 0.01 * np.exp(0.8 * x)
    of = simulated(2_000, 150.0, seed=9, rate=rate)
    rows, now = past(of, 30), current(of)
    p = baselines.cox_regression(of, 30, rows, now, {"x": x[rows.customer]}, {"x": x[now.customer]})
    assert p is not None
    true = -np.expm1(-30 * rate[now.customer])
    assert np.abs(p - true).mean() < 0.025
    assert p.mean() == pytest.approx(true.mean(), rel=0.12)


def test_the_recency_rule_and_the_base_rate_are_shares_of_the_newest_date_that_is_over() -> None:
    of = simulated(3_000, 150.0, seed=10)
    rows, now = past(of, 30), current(of)
    quiet = np.random.default_rng(1).uniform(0, 50, 3_000)
    actual = baselines.fit_and_predict(
        of,
        30,
        rows,
        now,
        {"recency_days": quiet[rows.customer]},
        {"recency_days": quiet[now.customer]},
    )
    assert set(actual) == set(baselines.LABELS)
    at = rows.back == 30
    share = (of.end[rows.spell[at]] < of.as_of).mean()
    assert actual["base_rate"][0] == pytest.approx(share, abs=0.001)
    assert actual["recency"].mean() == pytest.approx(share, abs=0.03)
    assert all(((p > 0) & (p < 1)).all() for p in actual.values())


def test_nothing_to_learn_leaves_the_base_rate() -> None:
    nothing = spells_of(np.zeros(0), np.zeros(0), 10.0)
    rows: Landmarks = past(nothing, 30)
    actual = baselines.fit_and_predict(nothing, 30, rows, current(nothing))
    assert {name: len(p) for name, p in actual.items()} == {"base_rate": 0}
    assert baselines.base_rate(nothing, 30, rows) == 0.25

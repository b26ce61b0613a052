"""What a log allows: the prediction is what a training then does, and what is missing is said in
figures.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import from_frame
from stagecast.training.config import TrainConfig
from stagecast.training.fit_bases import PAST_CUSTOMERS
from stagecast.training.inactivity.few_customers import FEWEST_CUSTOMERS, FEWEST_OF_EACH
from stagecast.training.judging.readiness import readiness
from stagecast.training.judging.readiness.answer import Readiness
from stagecast.training.judging.readiness.short_horizon import short_horizon_notes
from stagecast.training.learners.btyd.fit import MIN_CUSTOMERS, MIN_REPEATERS
from stagecast.training.train import train
from tests.training.made import Row, day, frame_of, log_of, simulated_rows, unevaluated

pytestmark = pytest.mark.slow


def bought(name: str, *days: float, amount: float = 10.0) -> list[Row]:
    return [(name, day(number), "purchase", amount) for number in days]


def buyers(count: int, repeaters: int, first: float = 0.0) -> list[Row]:
    """Return buyers of whom so many buy a second time, at dates of their own within 200 days."""
    rows: list[Row] = []
    for k in range(count):
        begin = first + 100.0 * k / count
        again = [begin + 5 + 90 * ((7 * k) % repeaters + 1) / repeaters] if k < repeaters else []
        rows += bought(f"c{k:05d}", begin, *again)
    return rows


def two_kinds(stay: int, leave: int, horizon: int = 30) -> list[Row]:
    """Return customers with a history of 150 days, of whom ``stay`` buy again in the last 30."""
    random = np.random.default_rng(1)
    rows: list[Row] = []
    for k in range(stay + leave):
        days = np.sort(random.uniform(0, 150 - horizon, 1 + k % 3))
        rows += bought(
            f"c{k:05d}", *days, *([150 - horizon + 0.5 + 25 * random.random()] if k < stay else [])
        )
    return [*rows, *bought("c00000", 0.0), ("visitor", day(149), "visit", None)]


def answer(rows: list[Row], as_of: float, horizon: int, *, amounts: bool = True) -> Readiness:
    with log_of(rows, amounts=amounts) as log:
        return readiness(log.con, day(as_of), horizon)


def done(rows: list[Row], as_of: float, horizon: int, *, amounts: bool = True) -> dict[str, object]:
    """Return what a training really does."""
    with log_of(rows, amounts=amounts) as log:
        try:
            training = train(log.con, day(as_of), TrainConfig(horizon_days=horizon, max_dates=1))
        except (UsageError, NotEnoughDataError):
            return {
                "method": None,
                "evaluation": False,
                "values": False,
                "intervals": False,
                "prospects": False,
            }
    models = training.models
    return {
        "method": models.churn.method,
        "evaluation": training.evaluation is not None,
        "values": models.value.mean_spend is not None,
        "intervals": models.spend_interval is not None,
        "prospects": bool((~training.panel.now.buyers).any()),
    }


def told(answered: Readiness) -> dict[str, object]:
    abilities = {
        name: answered[name].allowed for name in ("evaluation", "values", "intervals", "prospects")
    }
    return {"method": answered.method, **abilities}


REFUNDED = [
    row
    for name, at, kind, amount in simulated_rows(260, 400, seed=3, refunds=0.0)
    if kind == "purchase"
    for row in [(name, at, kind, amount)]
    + ([(name, at, "refund", amount)] if int(name[1:]) % 4 else [])
]
"""260 customers, of whom three in four give everything back."""

LOGS: dict[str, tuple[list[Row], float, int]] = {
    "a shop of some size": (simulated_rows(300, 400, seed=2), 400, 60),
    "a small shop": (simulated_rows(60, 400, seed=2), 400, 60),
    "a tiny shop": (simulated_rows(12, 400, seed=2), 400, 60),
    "one buyer too few": (buyers(MIN_CUSTOMERS - 1, 20), 210, 60),
    "buyers enough": (buyers(MIN_CUSTOMERS, 20), 210, 60),
    "one repeat buyer too few": (buyers(60, MIN_REPEATERS - 1), 130, 60),
    "repeat buyers enough": (buyers(60, MIN_REPEATERS), 130, 60),
    "one buyer too few a horizon back": (two_kinds(40, FEWEST_CUSTOMERS - 41), 150, 30),
    "buyers enough a horizon back": (two_kinds(40, FEWEST_CUSTOMERS - 40), 150, 30),
    "one too few who stayed": (two_kinds(FEWEST_OF_EACH - 1, 220), 150, 30),
    "enough who stayed": (two_kinds(FEWEST_OF_EACH, 220), 150, 30),
    "one too few who left": (two_kinds(220, FEWEST_OF_EACH - 1), 150, 30),
    "enough who left": (two_kinds(220, FEWEST_OF_EACH), 150, 30),
    "alike until they part": (
        [row for k in range(240) for row in bought(f"c{k}", 0, 30, 60, *([100] if k < 120 else []))]
        + [("visitor", day(115), "visit", None)],
        121,
        60,
    ),
    "a history just too short for a past date": (simulated_rows(500, 119, seed=4), 119, 90),
    "a history just long enough for a past date": (simulated_rows(500, 121, seed=4), 121, 90),
    "a history just too short for an evaluation": (
        [*bought("a", 0.1), *simulated_rows(40, 179, seed=4)],
        180,
        90,
    ),
    "a history just long enough for an evaluation": (
        [*bought("a", 0.0), *simulated_rows(40, 179, seed=4)],
        180,
        90,
    ),
    "nobody had bought a horizon back": (
        [("v", day(0), "visit", None), *bought("a", 150), *bought("b", 170)],
        180,
        60,
    ),
    "most purchases were given back": (REFUNDED, 400, 60),
    "visits alone": ([(f"c{k}", day(k), "visit", None) for k in range(120)], 120, 30),
    "a long silence": (simulated_rows(60, 200, seed=2), 300, 30),
    "a history shorter than the horizon": (simulated_rows(60, 80, seed=2), 80, 90),
    "nothing before the as_of": (bought("a", 50), 50, 30),
}


@cache
def answer_of(name: str) -> Readiness:
    return answer(*LOGS[name])


METHODS = {
    "a shop of some size": "blend",
    "a small shop": "btyd",
    "a tiny shop": "rule",
    "one buyer too few": "rule",
    "buyers enough": "btyd",
    "one repeat buyer too few": "rule",
    "repeat buyers enough": "btyd",
    "one buyer too few a horizon back": "btyd",
    "buyers enough a horizon back": "blend",
    "one too few who stayed": "btyd",
    "enough who stayed": "blend",
    "one too few who left": "btyd",
    "enough who left": "blend",
    "alike until they part": "btyd",
    "a history just too short for a past date": "btyd",
    "a history just long enough for a past date": "blend",
    "most purchases were given back": "btyd",
}


LONG = ("one too few who left", "enough who left", "a small shop", "one buyer too few")
"""Of these the like run: who stayed, no amounts, repeat buyers."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in LOGS],
)
def test_a_training_does_what_was_predicted(name: str) -> None:
    predicted = told(answer_of(name))
    assert predicted == done(*LOGS[name])
    assert predicted["method"] == METHODS.get(name, predicted["method"])


def test_a_training_on_a_log_without_amounts_does_what_was_predicted() -> None:
    rows, as_of, horizon = LOGS["a small shop"]
    answered = answer(rows, as_of, horizon, amounts=False)
    assert told(answered) == done(rows, as_of, horizon, amounts=False)
    assert answered["values"].missing == ("no amounts: values cannot be told",)
    assert answered["intervals"].missing == ("no amounts: values cannot be told",)


def test_a_past_date_of_a_large_young_log_is_judged_by_the_customers_it_is_fitted_on() -> None:
    """Every second customer is fitted on; those who came back are among the others."""
    count, horizon = 2 * PAST_CUSTOMERS, 90
    rows: list[Row] = []
    for k in range(count):
        repeats = [20.0 + k % 20] if k < 80 and k % 2 else []
        rows += bought(f"c{k:05d}", 0.001 * k, *repeats, *([100.0 + k % 30] if k % 3 == 0 else []))
    for first, fitted in ((0.001, 0), (-60.0, 40)):
        late = [*rows, *bought("c00000", first)]
        answered = answer(late, 140, horizon)
        # an evaluation fits everybody at that date
        assert (answered.method, answered["evaluation"].allowed) == (
            ("btyd", False),
            ("blend", True),
        )[fitted > 0]
        assert any("0 repeat buyers to fit on" in item for item in answered["blend"].missing) == (
            fitted == 0
        )
    assert told(answer(rows, 140, horizon)) == done(rows, 140, horizon)


@pytest.mark.parametrize(
    ("name", "ability", "missing"),
    [
        ("one buyer too few", "btyd", "29 buyers, 30 are needed"),
        ("one repeat buyer too few", "btyd", "9 repeat buyers, 10 are needed"),
        ("one buyer too few a horizon back", "blend", "59 buyers on 2020-04-30, 60 are needed"),
        (
            "one too few who stayed",
            "blend",
            "9 buyers of 2020-04-30 bought in the horizon since, 10 are needed",
        ),
        (
            "one too few who left",
            "blend",
            "9 buyers of 2020-04-30 did not buy in the horizon since, 10 are needed",
        ),
        (
            "alike until they part",
            "blend",
            "all buyers of 2020-03-02 had bought last on the same day",
        ),
        ("a history just too short for a past date", "blend", "history 118 days, 120 are needed"),
        (
            "a history just too short for an evaluation",
            "evaluation",
            "history 179 days, 180 are needed",
        ),
        (
            "nobody had bought a horizon back",
            "evaluation",
            "nobody had bought before 2020-04-30, one horizon back",
        ),
        ("a history shorter than the horizon", "rule", "history 79 days, 90 are needed"),
        (
            "a long silence",
            "rule",
            "the last event stands 101 days before the as_of, 30 are allowed",
        ),
        ("visits alone", "rule", "nobody bought"),
        ("nothing before the as_of", "rule", "no event was known before 2020-02-20"),
        ("a small shop", "cancellation", "no event of type cancel"),
        (
            "buyers enough",
            "cancellation",
            "no event types: visits and cancellations cannot be seen",
        ),
        ("buyers enough", "prospects", "no event types: visits and cancellations cannot be seen"),
    ],
)
def test_what_is_missing_is_said_in_figures(name: str, ability: str, missing: str) -> None:
    answered = answer_of(name)
    assert missing in answered[ability].missing
    assert not answered[ability].allowed
    assert any(missing in line for line in answered.lines())


def test_a_log_with_everything_misses_nothing() -> None:
    rows = [*LOGS["a shop of some size"][0], ("c00001", day(300), "cancel", None)]
    answered = answer(rows, 400, 60)
    assert all(ability.allowed and not ability.missing for ability in answered.abilities)
    assert (
        answered.lines()[0]
        == "as of 2021-02-04, with a horizon of 60 days, a training gives method blend"
    )
    assert answered.suggested_horizon_days is None


def test_events_from_the_as_of_on_change_nothing() -> None:
    rows = LOGS["a shop of some size"][0]
    assert answer(rows, 250, 60) == answer([row for row in rows if row[1] < day(250)], 250, 60)


def test_what_was_recorded_late_is_not_known() -> None:
    frame = frame_of(LOGS["a small shop"][0])
    soon = readiness_of(frame.assign(recorded_at=frame["timestamp"]))
    late = readiness_of(frame.assign(recorded_at=frame["timestamp"] + timedelta(days=60)))
    earlier = answer(LOGS["a small shop"][0], 340, 60)
    assert soon.method == "btyd"
    assert late.repeat_buyers < soon.repeat_buyers
    assert (late.buyers, late.repeat_buyers) == (earlier.buyers, earlier.repeat_buyers)


def readiness_of(frame: pd.DataFrame) -> Readiness:
    with from_frame(frame) as log:
        return readiness(log.con, day(400), 60)


def test_refunds_make_no_buyers() -> None:
    rows = [
        *bought("kept", 0, 50),
        *bought("back", 10),
        ("back", day(12), "refund", 10.0),
        *bought("other", 60),
    ]
    answered = answer(rows, 100, 30)
    assert (answered.buyers, answered.repeat_buyers) == (2, 1)


@pytest.mark.parametrize(
    ("history", "horizon", "suggested"),
    [
        (120, 90, 56),
        (120, 60, None),
        pytest.param(80, 90, 35, marks=pytest.mark.long),
        (9, 30, 4),
    ],
)
def test_a_shorter_horizon_is_suggested_that_can_be_evaluated(
    history: int, horizon: int, suggested: int | None
) -> None:
    rows = [*bought("a", 0.0, history - 1.0), *simulated_rows(60, history, seed=1)]
    answered = answer(rows, history, horizon)
    assert answered.suggested_horizon_days == suggested
    if suggested is not None:
        actual = done(rows, history, suggested)
        assert (answered.suggested_method, True) == (actual["method"], actual["evaluation"])
        assert any(f"--horizon {suggested}d would give method" in line for line in answered.lines())


def test_no_horizon_is_suggested_that_the_silence_or_the_buyers_forbid() -> None:
    assert answer(bought("a", 0, 20), 100, 90).suggested_horizon_days is None
    late = [("v", day(0), "visit", None), *bought("a", 95), *bought("b", 99)]
    assert answer(late, 100, 90).suggested_horizon_days is None


@pytest.mark.parametrize(
    ("gap", "history", "words"),
    [
        (40, 400, ()),
        (60, 700, ("60 days, more than half the horizon of 90", "--horizon 126d would hold two")),
        (120, 700, ("120 days, more than the horizon of 90", "--horizon 245d would hold two")),
        (120, 380, ("120 days, more than the horizon of 90", "up to --horizon 190d")),
    ],
)
def test_a_horizon_is_held_against_the_rhythm(
    gap: int, history: int, words: tuple[str, ...]
) -> None:
    rows = [row for k in range(30) for row in bought(f"c{k}", *range(k, history - 20, gap))]
    answered = answer(rows, history, 90)
    assert answered.gap_days == gap
    assert len(answered.notes) == bool(words)
    assert all(word in answered.notes[0] for word in words)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_training_says_of_the_horizon_what_was_said_before(seed: int) -> None:
    """Lower and upper median differ here, and a refund takes purchases back."""
    rows = simulated_rows(40, 500, seed=seed, refunds=0.2)
    gap = answer(rows, 500, 20).gap_days
    assert gap is not None
    for horizon in (int(gap) - 1, int(gap) + 1):
        with log_of(rows) as log, unevaluated():
            training = train(log.con, day(500), TrainConfig(horizon_days=horizon, max_dates=1))
        notes = answer(rows, 500, horizon).notes if gap > horizon else ()
        assert training.horizon_note == (notes[0] if notes else None)


def test_a_rhythm_of_few_gaps_is_none() -> None:
    assert answer(bought("a", 0, 50, 100), 120, 30).gap_days is None


def test_a_horizon_that_no_training_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="horizon_days = 0"):
        answer(bought("a", 0), 10, 0)


def test_the_answer_is_plain_json() -> None:
    plain = answer(*LOGS["a tiny shop"]).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["abilities"][0] == {"name": "rule", "allowed": True, "missing": []}


def test_nothing_is_left_behind_in_the_connection() -> None:
    with log_of(bought("a", 0, 50)) as log:
        before = log.con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        readiness(log.con, datetime(2020, 4, 1), 30)
        assert (
            log.con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
            == before
        )


def test_a_gap_hardly_longer_than_the_horizon_is_not_told_as_the_same_number() -> None:
    (note,) = short_horizon_notes(30.4, 30, 1000.0)
    assert "is 30.4 days, more than the horizon of 30" in note
    # who orders once a month nearly always does so within 30 days
    assert "some who stay buy later" in note
    (note,) = short_horizon_notes(45.2, 30, 1000.0)
    assert "is 45 days, more than the horizon of 30: many who stay will not buy within it" in note

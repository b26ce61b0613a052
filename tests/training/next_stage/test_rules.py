"""What the rules say of customers who order again, and stages that nobody has reached yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.next_stage.fitting import UNSEEN_WEIGHT, fit_next_stage
from stagecast.training.next_stage.model import FEWEST_ROWS, NextStageModel
from stagecast.training.next_stage.rules import SILENT_SHARE, after_another_order
from tests.training.made import Row, day, log_of
from tests.training.next_stage.test_next_stage import (
    AT_RISK,
    LIMITS,
    LOST,
    LOYAL,
    NEW,
    PROSPECT,
    REACTIVATED,
    REPEAT,
    SCHEME,
    SLEEPING,
    frame,
)

AS_OF, HORIZON = 100, 30


def rules_of(rows: Sequence[Row]) -> Array:
    """Return what the rules say of a log whose thresholds are those of the tests."""
    with log_of(rows) as log:
        table = DailyTable(log.con, day(AS_OF))
        scheme = load_scheme("retail").with_pins(LIMITS).with_thresholds(LIMITS)
        life = fit_lifecycle(table, scheme, HORIZON)
        return after_another_order(life, day(AS_OF))


def orders(name: str, days: Sequence[float], amount: float = 10.0) -> list[Row]:
    return [(name, day(float(number)), "purchase", amount) for number in days]


def test_orders_go_on_at_the_usual_gap_or_end_with_one() -> None:
    # one bought every ten days, with two orders so far; the usual gap is 30 days with few gaps
    rules = rules_of([*orders("a", [85, 95]), *orders("b", [95])])
    np.testing.assert_allclose(rules.sum(axis=1)[[NEW, REPEAT]], 1.0)
    assert rules[NEW, REPEAT] == pytest.approx(1.0)
    assert rules[REPEAT].sum() == pytest.approx(1.0)
    assert rules[REPEAT, [REPEAT, LOYAL]].sum() >= 1 - SILENT_SHARE
    # nobody is on the others
    assert not rules[[AT_RISK, SLEEPING, LOST, REACTIVATED]].any()


def test_who_buys_every_other_day_is_loyal_and_asleep_only_if_silent() -> None:
    rules = rules_of(orders("a", range(40, AS_OF, 2), amount=20.0))
    assert rules[LOYAL, LOYAL] == pytest.approx(1 - SILENT_SHARE)
    assert rules[LOYAL, [AT_RISK, SLEEPING]].sum() == pytest.approx(SILENT_SHARE)


def test_events_from_the_as_of_on_are_not_used() -> None:
    rows = [*orders("a", [20, 50, 80]), *orders("b", [95])]
    later = [(name, at + timedelta(days=AS_OF), event, money) for name, at, event, money in rows]
    assert rules_of(rows).tolist() == rules_of([*rows, *later]).tolist()


def test_prospects_become_new() -> None:
    rules = rules_of([("p", day(90), "visit", None), *orders("b", [95])])
    assert rules[PROSPECT, NEW] + rules[PROSPECT, REPEAT] == pytest.approx(1.0)
    assert rules[PROSPECT, NEW] >= SILENT_SHARE


def repeat_to_loyal() -> Array:
    rules = np.zeros((8, 8))
    rules[REPEAT, [LOYAL, REPEAT]] = 0.8, 0.2
    rules[NEW, REPEAT] = 1.0
    return rules


def test_without_a_date_the_rules_speak_and_nobody_sleeps() -> None:
    model = fit_next_stage(SCHEME, [], [], 1, rules=repeat_to_loyal())
    arguments = model.given_purchase({}, np.array([REPEAT, NEW]))
    assert arguments[0, LOYAL] > 0.7
    assert arguments[1, REPEAT] > 0.9
    assert (arguments[:, [SLEEPING, LOST]] < 0.02).all()
    assert (arguments[:, PROSPECT] == 0).all()
    # a stage without customers follows all of them, as far as the scheme allows
    alike = model.after_purchase[SLEEPING]
    assert alike[[REPEAT, LOYAL]].sum() > 0.9


def test_the_chain_counts_dates_that_teach_churn_nothing() -> None:
    pairs = [(NEW, REPEAT, 1.0)] * 60 + [(NEW, AT_RISK, 0.0)] * 5
    model = fit_next_stage(SCHEME, [], [], 1, every_date=[frame(pairs)])
    assert model.trees is None
    assert model.after_purchase[NEW, REPEAT] > 0.98
    assert model.chain[NEW, AT_RISK] == pytest.approx(5 / 65, abs=0.01)


def test_members_learn_from_dates_that_teach_churn_nothing_where_they_have_enough_orders() -> None:
    pairs = [(NEW, REPEAT if k % 2 else LOYAL, 1.0) for k in range(FEWEST_ROWS)]
    assert fit_next_stage(SCHEME, [], [], 1, every_date=[frame(pairs)]).trees is not None
    assert fit_next_stage(SCHEME, [], [], 1, every_date=[frame(pairs[1:])]).trees is None


def test_a_stage_that_nobody_has_reached_gets_the_word_of_the_rules() -> None:
    pairs = [(REPEAT, REPEAT if k % 3 else AT_RISK, 1.0) for k in range(FEWEST_ROWS)]
    date = frame(pairs)
    model = fit_next_stage(SCHEME, [date], [], 1, rules=repeat_to_loyal())
    assert model.unseen == (LOYAL,)
    p = model.given_purchase(date.columns, date.stage)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert p[:, LOYAL] == pytest.approx(0.8 * UNSEEN_WEIGHT, rel=0.1)
    # the others keep their proportions
    without = fit_next_stage(SCHEME, [date], [], 1)
    assert without.unseen == ()
    before = without.given_purchase(date.columns, date.stage)
    assert (before[:, LOYAL] < 1e-6).all()
    np.testing.assert_allclose(
        p[:, REPEAT] / p[:, AT_RISK], before[:, REPEAT] / before[:, AT_RISK], rtol=1e-6
    )
    assert model.trees is not None
    again = NextStageModel.from_json(json.loads(json.dumps(model.to_json())), model.trees.text)
    assert again.given_purchase(date.columns, date.stage).tobytes() == p.tobytes()


def test_rules_that_lead_nowhere_new_change_not_a_byte() -> None:
    pairs = [(REPEAT, LOYAL if k % 3 else REPEAT, 1.0) for k in range(FEWEST_ROWS)]
    date = frame(pairs)
    plain = fit_next_stage(SCHEME, [date], [], 1)
    ruled = fit_next_stage(SCHEME, [date], [], 1, every_date=[date], rules=repeat_to_loyal())
    assert json.dumps(plain.to_json()) == json.dumps(ruled.to_json())

"""The value of a rule: by hand, without bias, and narrower if doubly robust."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.training.uplift.policy import by_depth, rule_gain, rule_value
from stagecast.training.uplift.pseudo_outcomes import Outcomes
from stagecast.training.uplift.rules import Line, worth_contacting
from stagecast.training.uplift.trial import make_trial
from tests.training.uplift.made import simulate

FOUR = make_trial([[0.0]] * 4, ["x"], [1, 0, 1, 0], [0.5, 0.5, 0.2, 0.2], [1, 1, 1, 0])


def test_four_rows_by_hand() -> None:
    # contacted: 1 / .5, row 1 is not followed; left alone: row 2 was contacted, row 3 is 0
    value = rule_value(FOUR, [1, 1, 0, 0], margin=10.0, cost=1.0).value
    assert value == pytest.approx((10 * 1 / 0.5 - 1 + (0 - 1) + 0 + 0) / 4)
    gain = rule_gain(FOUR, [1, 1, 0, 0], margin=10.0, cost=1.0).value
    assert gain == pytest.approx((20 - 1 - 20 - 1) / 4)


@pytest.mark.parametrize("robust", [False, True])
def test_the_value_has_no_bias_with_unequal_propensities(robust: bool) -> None:
    errors, scaled = [], []
    for seed in range(120):
        trial, effect = simulate(800, seed, propensity="unequal")
        rule = trial.X[:, 0] > 0.3
        # wrong expectations: the propensities alone must do
        outcomes = Outcomes(np.full(800, 0.5), 0.4 + 0.1 * trial.X[:, 1]) if robust else None
        gain = rule_gain(trial, rule, outcomes, margin=2.0, cost=0.1)
        truth = float((rule * (2 * effect - 0.1)).mean())
        errors.append(gain.value - truth)
        scaled.append((gain.value - truth) / gain.standard_error)
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(120)
    assert np.std(scaled) == pytest.approx(1.0, abs=0.25)


def test_doubly_robust_is_narrower() -> None:
    trial, effect = simulate(2000, 1, binary=False)
    alone = 100 * (0.3 + 0.05 * trial.X[:, 1])
    rule = trial.X[:, 0] > 0
    plain = rule_gain(trial, rule)
    robust = rule_gain(trial, rule, Outcomes(alone, alone + effect))
    assert robust.standard_error < 0.7 * plain.standard_error


def test_contacting_all_is_no_better_than_random() -> None:
    trial, effect = simulate(500, 2)
    (half, whole) = by_depth(trial, effect, [0.5, 1.0], margin=10.0, cost=1.0)
    assert whole.over_random.value == pytest.approx(0.0, abs=1e-12)
    everybody = rule_gain(trial, np.ones(500), margin=10.0, cost=1.0)
    assert whole.gain.value == pytest.approx(everybody.value)
    nobody = rule_value(trial, np.zeros(500), margin=10.0).value
    assert half.value.value - half.gain.value == pytest.approx(nobody)


def test_the_rule_contacts_where_the_margin_is_above_the_cost() -> None:
    effect = Line(centre=1.0, level=0.02, slope=0.01).effect(np.array([0.0, 1.0, 2.0]))
    assert effect.tolist() == pytest.approx([0.01, 0.02, 0.03])
    assert worth_contacting(effect, 10.0, 0.15).tolist() == [False, True, True]


@pytest.mark.parametrize("rule", [[1, 0], [2, 0, 0, 0], [float("nan")] * 4])
def test_what_is_no_rule_is_refused(rule: list[float]) -> None:
    with pytest.raises(UsageError, match="the rule has the shape"):
        rule_gain(FOUR, rule)


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(UsageError, match="cost"):
        worth_contacting(np.zeros(2), 1.0, -0.1)

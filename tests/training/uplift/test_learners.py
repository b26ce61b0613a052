"""The learners recover effects that are known, and claim none where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.learners import boosting
from stagecast.training.learners.metrics import rank_correlation
from stagecast.training.uplift.calibration import calibrate, slope_of
from stagecast.training.uplift.learners import fit_uplift, out_of_fold
from stagecast.training.uplift.model import FORMULAS, UPLIFT
from stagecast.training.uplift.outcomes import cross_fit
from stagecast.training.uplift.pseudo_outcomes import Outcomes, effect_values
from stagecast.training.uplift.trial import Trial, make_trial
from tests.training.uplift.made import NAMES, features, simulate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate(8000, 1, propensity="unequal")[0]


@pytest.fixture(scope="module")
def outcomes(trial: Trial) -> Outcomes:
    return cross_fit(trial)


@pytest.mark.parametrize("kind", UPLIFT)
def test_known_effects_are_recovered(kind: str, trial: Trial, outcomes: Outcomes) -> None:
    model = fit_uplift(trial, kind, outcomes)
    later, effect = simulate(4000, 2)
    learned = model.effect(later.X)
    assert rank_correlation(effect, learned) > 0.75
    # the standard error of the mean effect of 8,000 rows with unequal propensities is .012; the
    # S-learner draws it towards 0
    assert learned.mean() == pytest.approx(effect.mean(), abs=0.045 if kind == "S" else 0.04)


@pytest.mark.parametrize("kind", ["S", "T", "X", "R", "DR", "linear"])
def test_effects_on_money_are_recovered(kind: str) -> None:
    trial, _ = simulate(4000, 3, binary=False)
    later, effect = simulate(2000, 4, binary=False)
    learned = fit_uplift(trial, kind).effect(later.X)
    assert rank_correlation(effect, learned) > 0.85
    assert learned.mean() == pytest.approx(effect.mean(), abs=2.0)


def test_no_learner_claims_differences_where_the_effect_is_constant() -> None:
    """Out of fold, nothing of what they claim is confirmed beyond chance."""
    trial, _ = simulate(3000, 5, spread=0.0)
    g = effect_values(trial, cross_fit(trial))
    for kind, score in out_of_fold(trial, UPLIFT, folds=3).items():
        slope = slope_of(g, score, trial.customer)
        assert abs(slope.value) < 3.5 * slope.standard_error, kind
        assert score.std() < 0.08, kind


def test_the_linear_learner_is_nearly_flat_where_one_odds_ratio_holds_for_all() -> None:
    X = features(20_000, 8)
    random = np.random.default_rng(9)
    w = random.uniform(size=20_000) < 0.5
    y = random.uniform(size=20_000) < 1 / (1 + np.exp(3.0 - X[:, 1] - 0.5 * w))
    model = fit_uplift(make_trial(X, NAMES, w, 0.5, y), "linear")
    assert model.interaction is not None
    # the standard error of an odds ratio of 20,000 rows of which 8 % buy is .06
    assert model.interaction.intercept == pytest.approx(0.5, abs=0.2)
    assert np.abs(model.interaction.weights).max() < 0.15


def test_response_ranks_by_the_outcome_after_a_contact(trial: Trial) -> None:
    later, effect = simulate(4000, 2)
    expected = 0.2 + 0.2 / (1 + np.exp(-2 * later.X[:, 1])) + effect
    assert rank_correlation(expected, fit_uplift(trial, "response").score(later.X)) > 0.8


def test_the_model_does_not_depend_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial, _ = simulate(600, 6)
    texts = []
    for threads in (1, 3):
        monkeypatch.setattr(boosting, "training_threads", lambda count=threads: count)
        texts.append([t.text for t in fit_uplift(trial, "X").trees.values()])
    assert texts[0] == texts[1]


def test_unusual_names_are_no_obstacle() -> None:
    trial, _ = simulate(400, 7)
    odd = replace(trial, names=('a "b"', "[c]", "d,e", "{f}:"))
    assert np.array_equal(fit_uplift(odd, "T").effect(odd.X), fit_uplift(trial, "T").effect(odd.X))


def test_unknown_values_are_evaluated() -> None:
    trial, _ = simulate(400, 7)
    X = trial.X.copy()
    X[::7] = np.nan
    part = replace(trial, X=X)
    for kind in FORMULAS:
        assert np.isfinite(fit_uplift(part, kind).effect(X)).all(), kind


def test_an_arm_in_which_nobody_buys_has_a_defined_effect() -> None:
    X = features(400, 1)
    w = np.arange(400) % 2 == 0
    trial = make_trial(X, NAMES, w, 0.5, w & (np.arange(400) % 10 == 0))
    for kind in FORMULAS:
        effect = fit_uplift(trial, kind).effect(X)
        # the S-learner draws an effect towards 0, the more so in few rows
        assert 0.05 < effect.mean() < 0.3, kind


def test_no_purchases_at_all_are_refused_with_advice() -> None:
    trial = make_trial(features(400, 1), NAMES, np.arange(400) % 2, 0.5, np.zeros(400))
    with pytest.raises(NotEnoughDataError, match="the outcome is 0 for all 400 customers"):
        fit_uplift(trial, "S")


def test_ten_rows_are_refused_with_the_number_that_is_needed() -> None:
    trial = make_trial(features(10, 1), NAMES, np.arange(10) % 2, 0.5, np.arange(10) % 3 == 0)
    with pytest.raises(NotEnoughDataError, match="5 customers were contacted and 5 left alone"):
        fit_uplift(trial, "DR")


def test_constant_features_alone_give_one_effect_for_all() -> None:
    random = np.random.default_rng(3)
    w = np.arange(2000) % 2 == 0
    trial = make_trial(np.ones((2000, 1)), ["x"], w, 0.5, random.uniform(size=2000) < 0.1 + 0.2 * w)
    raw = float(trial.y[w].mean() - trial.y[~w].mean())
    for kind in UPLIFT:
        effect = fit_uplift(trial, kind).effect(trial.X)
        assert np.ptp(effect) == 0, kind
        # the S-learner may split on the contact, as it does here
        assert effect[0] == pytest.approx(raw, abs=0.08), kind


def test_a_learner_that_does_not_exist_is_named_with_the_nearest() -> None:
    trial, _ = simulate(200, 1)
    with pytest.raises(UsageError, match="Did you mean 'response'"):
        fit_uplift(trial, "respons")


def test_other_columns_than_those_of_training_are_refused(trial: Trial) -> None:
    with pytest.raises(UsageError, match="orders, recency, region, constant"):
        fit_uplift(trial, "T").effect(trial.X[:, :2])


def test_the_slope_of_true_effects_is_one() -> None:
    trial, effect = simulate(20_000, 10)
    g = effect_values(trial)
    slope = slope_of(g, effect, trial.customer)
    assert slope.value == pytest.approx(1.0, abs=4 * slope.standard_error)
    assert slope.standard_error < 0.1
    # a claim is believed, a score of another unit is shrunk only as far as it is unsure
    claimed = calibrate(g, effect, trial.customer, is_effect=True)
    other = calibrate(g, 100 * effect, trial.customer)
    assert min(1, slope.value) <= claimed.slope <= max(1, slope.value)
    assert 100 * other.slope == pytest.approx(slope.value - slope.standard_error**2 / slope.value)


def test_a_score_against_the_effect_gets_no_slope() -> None:
    trial, effect = simulate(20_000, 10)
    line = calibrate(effect_values(trial), -effect, trial.customer)
    assert line.slope == 0
    assert line.effect(np.array([-1.0, 1.0])).tolist() == [line.level] * 2

"""The choice among the caller's ranking, response and uplift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.uplift.choice import choose_ranking, fit_chosen
from stagecast.training.uplift.rules import worth_contacting
from stagecast.training.uplift.trial import make_trial
from tests.training.uplift.made import NAMES, features, simulate

FEW = ("T", "linear")


@pytest.mark.slow
def test_uplift_is_chosen_where_the_likely_buyers_are_not_those_who_change() -> None:
    trial, effect = simulate(6000, 1, base=0.5)
    choice = choose_ranking(trial, {"risk": trial.X[:, 1]}, depth=0.3, learners=FEW, folds=2)
    assert choice.group == "uplift"
    assert choice.enough
    assert choice.reason.startswith(f"'{choice.name}' is used: at depth 30%")
    assert {j.name for j in choice.judged} == {"risk", "response", *FEW}
    by_name = {j.name: j for j in choice.judged}
    assert by_name[choice.name].qini.low > by_name["risk"].qini.high
    model = fit_chosen(trial, choice)
    assert model is not None
    assert np.corrcoef(model.effect(trial.X), effect)[0, 1] > 0.8


def test_the_simpler_ranking_is_kept_where_the_other_is_not_clearly_better() -> None:
    trial, effect = simulate(3000, 2)
    choice = choose_ranking(trial, {"truth": effect}, depth=0.3, learners=FEW, folds=2)
    assert (choice.name, choice.group) == ("truth", "ranking")
    assert "not more than one standard error" in choice.reason
    assert fit_chosen(trial, choice) is None
    assert choice.line is not None
    assert choice.line.slope == pytest.approx(1.0, abs=0.4)


def test_nothing_is_better_than_random_where_the_effect_is_constant() -> None:
    trial, _ = simulate(3000, 3, spread=0.0)
    choice = choose_ranking(trial, depth=0.3, learners=FEW, folds=2)
    assert choice.name == "random"
    assert choice.reason.startswith("No ranking is better than a draw at random")


@pytest.mark.slow
def test_without_a_depth_those_are_contacted_whom_it_pays_to_contact() -> None:
    trial, _ = simulate(6000, 4)
    choice = choose_ranking(trial, margin=10.0, cost=1.5, learners=FEW, folds=2)
    assert "by the rule margin x effect > cost" in choice.reason
    model = fit_chosen(trial, choice)
    assert model is not None
    later, effect = simulate(6000, 5)
    net = 10 * effect - 1.5
    contacted = worth_contacting(model.effect(later.X), 10.0, 1.5)
    # to contact everybody loses money
    assert net.mean() < 0
    assert net[contacted].sum() > 0.5 * net[net > 0].sum()


@pytest.mark.slow
def test_a_ranking_worse_than_random_is_passed_over_for_a_better_one() -> None:
    trial, effect = simulate(3000, 6)
    choice = choose_ranking(
        trial, {"backwards": -effect, "truth": effect}, depth=0.3, learners=("linear",), folds=2
    )
    assert choice.name != "backwards"
    assert choice.group in ("ranking", "uplift")
    # the order in which the caller names them does not matter
    again = choose_ranking(
        trial, {"truth": effect, "backwards": -effect}, depth=0.3, learners=("linear",), folds=2
    )
    assert again.name == choice.name


@pytest.mark.parametrize("rows", [10, 300])
def test_too_few_contacts_fall_back_to_the_callers_ranking(rows: int) -> None:
    X = features(rows, 1)
    y = np.arange(rows) % 10 == 0
    trial = make_trial(X, NAMES, np.arange(rows) % 2, 0.5, y)
    choice = choose_ranking(trial, {"risk x value": X[:, 0]}, depth=0.3)
    assert (choice.name, choice.enough, choice.judged) == ("risk x value", False, ())
    assert choice.reason.startswith("Too few contacts to tell the rankings apart")
    assert choose_ranking(trial, depth=0.3).name == "random"


def test_a_log_of_chosen_contacts_is_refused() -> None:
    trial, _ = simulate(3000, 1, propensity="unequal")
    with pytest.raises(DataRefusedError, match="not drawn as stated"):
        choose_ranking(replace(trial, propensity=np.full(3000, 0.5)), depth=0.3)


@pytest.mark.parametrize(
    ("rankings", "depth", "message"),
    [
        ({"T": np.zeros(200)}, 0.3, "named 'T'"),
        ({"nobody": np.zeros(200)}, 0.3, "named 'nobody'"),
        ({"risk": np.zeros(3)}, 0.3, "'risk' has the shape"),
        ({"risk": np.full(200, np.nan)}, 0.3, "finite score"),
        ({}, 0.0, "depth is 0"),
        ({}, 1.0, "depth is 1"),
    ],
)
def test_wrong_use_is_refused(rankings: dict[str, np.ndarray], depth: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_ranking(simulate(200, 1)[0], rankings, depth=depth)

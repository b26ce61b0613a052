"""Whether to retrain: faults before truth, truth before drift, and age at any rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stagecast.training.monitoring.advice import Checked, advice
from stagecast.training.monitoring.calibration import compared
from stagecast.training.monitoring.estimated import estimated_quality
from stagecast.training.monitoring.faults import Fault
from stagecast.training.monitoring.movement import Dates, Label, movements, same_age_index
from stagecast.training.monitoring.season import Outcome, season_of_outcomes

P = np.random.default_rng(1).beta(1.5, 1.5, 1_000)


def checked(left=500, auc=0.85, **money):
    return Checked(
        "2020-06-01", compared(1_000, 500.0, left, **money), auc, 0.5, 0.2, estimated_quality(P)
    )


def moved(name):
    random = np.random.default_rng(2)
    dates = Dates(random.normal(size=900), random.normal(1.0, 1.0, 900))
    return movements([(Label(name, "days", "made"), dates)])


def ask(*, faults=(), check=None, age=100.0, features=(), scores=(), limit=None):
    sentences = [fault.sentence for fault in faults]
    return advice(faults, sentences, check, age, 90, features, scores, limit)


def causes(result, action):
    return {reason.cause for reason in result.reasons if reason.action == action}


def test_a_model_whose_scores_hold_is_kept():
    result = ask(check=checked())
    assert result.action == "keep"
    assert "500 were expected to order nothing, and 500 did" in result.sentence
    assert ask(age=10.0).sentence.endswith("is over in 80 days.")
    # such as that of contracts, whose scores are not held against what came
    assert "is over, but its scores are not held against what came" in ask(age=95.0).sentence


def test_age_drift_and_each_kind_of_miss_ask_for_a_retraining():
    assert causes(ask(check=checked(), age=180.0), "retrain") == {"calendar"}
    assert ask(check=checked(), age=180.0, limit=365).action == "keep"
    assert causes(ask(check=checked(600)), "retrain") == {"quality"}
    assert causes(ask(check=checked(auc=0.6)), "retrain") == {"quality"}
    poor = checked(spend_said=1_000.0, spend=500.0, spend_spread=50.0)
    assert "spent 50%" in ask(check=poor).sentence
    drift = {"features": moved("orders_90d"), "scores": moved("churn_probability")}
    assert causes(ask(check=checked(), **drift), "retrain") == {"drift"}


def test_drift_is_no_reason_before_outcomes_are_known_or_where_no_score_moved():
    drift = {"features": moved("orders_90d"), "scores": moved("churn_probability")}
    early = ask(age=40.0, **drift)
    assert early.action == "keep"
    assert any("known in 50 days" in reason.sentence for reason in early.reasons)
    alone = ask(check=checked(), features=moved("orders_90d"))
    assert alone.action == "keep"
    assert any("orders_90d has moved far" in reason.sentence for reason in alone.reasons)


def test_a_broken_log_is_repaired_before_anything_is_learned_from_it():
    fault = Fault("unit", "purchase", 3, "amounts are 100 times as large.")
    result = ask(faults=[fault], check=checked(700), age=400.0)
    assert result.action == "repair"
    assert result.sentence == "Repair the log before anything else: amounts are 100 times as large."


def in_season(left=620, before=0.62, own_left=500, *, customers=1_000):
    """A miss of 500 expected leavers, where ``before`` left in the same days a year before."""
    own = compared(1_000, 500.0, own_left)
    now = Outcome(np.arange(1_000) < left)
    then = Outcome(np.arange(customers) < before * customers)
    return replace(checked(left), year_before=before, season=season_of_outcomes(now, then, own))


def test_a_miss_that_the_season_brings_is_no_reason_to_retrain():
    result = ask(check=in_season())
    assert result.action == "keep"
    assert "missed by the season, and held in the season of the training" in result.sentence
    assert "620 did (62%; in the same days a year before, 62%)" in result.sentence
    assert in_season().holds
    # without a year before, nothing explains it
    assert ask(check=checked(620)).action == "retrain"


def test_the_season_excuses_neither_another_year_nor_a_model_that_is_always_wrong():
    # more left than in the same days a year before
    assert causes(ask(check=in_season(before=0.50)), "retrain") == {"quality"}
    # as many as a year before, but the model missed in the season of its training, too
    assert causes(ask(check=in_season(own_left=620)), "retrain") == {"quality"}
    # too few a year before tell nothing
    assert causes(ask(check=in_season(customers=10)), "retrain") == {"quality"}


def test_money_of_the_season_is_no_reason_to_retrain():
    random = np.random.default_rng(4)
    spent = random.gamma(2.0, 10.0, 1_000)
    left = np.arange(1_000) < 500
    error = float(np.sqrt(1_000) * spent.std())
    money = {"spend_said": 10_000.0, "spend": float(spent.sum()), "spend_spread": error}
    held = compared(1_000, 500.0, 500, spend_said=1e4, spend=1e4, spend_spread=300.0)

    def check(mean, own):
        then = Outcome(left, random.gamma(2.0, mean / 2, 1_000))
        season = season_of_outcomes(Outcome(left, spent), then, own)
        return replace(checked(**money), season=season)

    assert check(20.0, held).compared.money_off
    result = ask(check=check(20.0, held))
    assert result.action == "keep"
    assert "of what came from as many a year before" in result.sentence
    assert ask(check=check(10.0, held)).action == "retrain"
    missed = compared(1_000, 500.0, 500, spend_said=1e4, spend=2e4, spend_spread=300.0)
    assert ask(check=check(20.0, missed)).action == "retrain"


def test_customers_of_the_same_age_tell_growth_from_drift():
    random = np.random.default_rng(6)
    then, now = random.uniform(0, 300, 3_000), random.uniform(0, 500, 3_000)

    def reading(rate):
        values = [
            random.poisson(ages / 30 * r).astype(float) for ages, r in ((then, 1), (now, rate))
        ]
        label = Label("orders", "days", "made")
        return movements([(label, Dates(*values, ages=(then, now)))])[0].reading

    assert reading(1.0) == "older"
    assert reading(2.0) == "moved"  # more orders at every age
    values = Dates(*(random.poisson(a / 30).astype(float) for a in (then, now)))
    assert movements([(Label("orders", "days", "made"), values)])[0].reading == "moved"
    # at the training nobody was as old as most are now: nothing can be said
    old = Dates(then / 30, now / 30, ages=(then, now + 400))
    assert same_age_index(old, (then, now + 400)) is None


def test_of_contracts_the_advice_speaks_of_cancelling():
    said = advice([], [], checked(), 100.0, 90, [], [], churn="cancellation").sentence
    assert "500.0 were" not in said
    assert "500 were expected to cancel, and 500 did" in said
    off = advice([], [], checked(600), 100.0, 90, [], [], churn="cancellation").sentence
    assert "were expected to cancel (" in off

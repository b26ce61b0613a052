"""The gate on made cases, of each of which is known what is right.

How often a challenger that is no better is promoted was measured on larger numbers, see
docs/promotion.md; here few draws catch a gate that has become much looser, or never opens.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.training.promotion.gate import Decision, decide
from stagecast.training.promotion.intervals import Sample, mean_difference, overlap
from stagecast.training.promotion.rules import Rules
from tests.training.promotion.made import HORIZON, START, Model, season_of_losses, shop

USUAL = Model()
BETTER = Model(of_customer=0.1)


def failed(decision: Decision) -> set[str]:
    return {check.name for check in decision.checks if not check.passed}


def decisions(
    champion: Model, challenger: Model, *, draws: int = 12, look: int = 1, **made: int
) -> list[Decision]:
    return [
        decide(shop(champion, challenger, seed, **made), HORIZON, look=look)  # type: ignore[arg-type]
        for seed in range(draws)
    ]


def test_a_better_model_is_promoted_and_the_reasons_say_by_how_much() -> None:
    made = decisions(USUAL, BETTER, draws=6, customers=3_000)
    assert sum(decision.promote for decision in made) >= 5
    best = next(decision for decision in made if decision.promote)
    assert any("better than the champion's" in reason for reason in best.reasons)


@pytest.mark.parametrize("challenger", [USUAL, Model(of_customer=0.9)], ids=["equal", "worse"])
def test_a_model_that_is_no_better_stays_out(challenger: Model) -> None:
    for decision in decisions(USUAL, challenger):
        assert not decision.promote
        assert "better" in failed(decision)


def test_better_overall_but_worse_on_a_large_segment_stays_out_and_names_it() -> None:
    made = decisions(USUAL, Model(of_customer=0.0, on_segment=1.4), customers=1_500)
    assert all("segments" in failed(decision) for decision in made)
    sentence = next(c.sentence for c in made[0].checks if c.name == "segments")
    assert "quarter (25% of the customers)" in sentence


def test_an_overconfident_model_stays_out_though_it_ranks_better() -> None:
    challenger = Model(of_customer=0.0, of_date=0.0, factor=2.5)
    made = decisions(replace(USUAL, of_customer=0.3), challenger, customers=1_500)
    assert all("calibration" in failed(decision) for decision in made)


def test_a_model_that_was_lucky_once_stays_out() -> None:
    for seed in range(12):
        decision = decide(shop(USUAL, USUAL, seed, lucky=2), HORIZON)
        assert not decision.promote
        better = next(check for check in decision.checks if check.name == "better")
        assert better.numbers["relative"] < -Rules.margin  # the mean alone would promote it
        assert "may be chance" in better.sentence


def test_too_few_dates_or_customers_are_no_look() -> None:
    few = decide(shop(USUAL, BETTER, 0, dates=2), HORIZON)
    assert (few.promote, few.look, failed(few)) == (False, 0, {"dates"})
    assert "2 that neither saw, and 3 are needed" in few.reasons[0]
    small = decide(shop(USUAL, BETTER, 0, customers=50), HORIZON)
    assert (small.promote, small.look) == (False, 0)
    assert "50 could leave" in small.reasons[0]
    assert not decide([], HORIZON).promote


def test_spend_and_time_can_keep_a_better_model_out() -> None:
    dates = shop(USUAL, BETTER, 0, customers=3_000)
    assert decide(dates, HORIZON).promote
    spent = [
        replace(
            d,
            spend=replace(
                d.churn,
                champion=d.churn.challenger * 0 + 1.0,
                challenger=d.churn.challenger * 0 + 1.05,
            ),
        )
        for d in dates
    ]
    assert failed(decide(spent, HORIZON)) == {"spend"}
    assert failed(decide([replace(d, seconds=0.02) for d in dates], HORIZON)) == {"time"}


def test_looking_often_asks_for_more_and_never_promotes_by_luck() -> None:
    """Twelve looks at one champion, with dates that slide: at most one in twenty may go wrong."""
    dates = shop(USUAL, BETTER, 0, customers=800)
    first, tenth = decide(dates, HORIZON, look=1), decide(dates, HORIZON, look=10)
    assert tenth.level < first.level  # type: ignore[operator]
    rules, wrong, tries = Rules(), 0, 60
    for seed in range(tries):
        rows = season_of_losses(np.random.default_rng(seed), 17, 80)
        wrong += any(
            mean_difference([Sample(*row) for row in rows[k : k + 6]], HORIZON).bound(
                1 - rules.level(k + 1)
            )
            < 0
            for k in range(12)
        )
    assert wrong <= 7  # P(more | 5 %) is .01


def test_the_interval_is_that_of_a_t_test_where_dates_are_apart_and_customers_differ() -> None:
    """Disjoint horizons, one customer at each: the closed form of Student (1908)."""
    from scipy.stats import ttest_1samp

    values = np.array([-0.4, 0.1, -0.3, -0.2])
    samples = [
        Sample(START + timedelta(days=HORIZON * k), np.array([k]), np.array([value]))
        for k, value in enumerate(values)
    ]
    estimate = mean_difference(samples, HORIZON)
    interval = ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert estimate.degrees == pytest.approx(3)
    assert (estimate.bound(0.05), estimate.bound(0.95)) == pytest.approx(interval)


def test_the_correlation_of_overlapping_horizons_is_that_of_their_common_days() -> None:
    dates = [START + timedelta(days=day) for day in (0, 30, 90, 120)]
    days = np.random.default_rng(0).normal(size=(20_000, 210))
    sums = np.array([days[:, (d - START).days : (d - START).days + HORIZON].sum(1) for d in dates])
    assert np.abs(overlap(dates, HORIZON) - np.corrcoef(sums)).max() < 0.03


def test_one_date_proves_nothing_and_a_bad_rule_is_refused() -> None:
    difference = mean_difference(
        [Sample(datetime(2024, 1, 1), np.arange(9), np.full(9, -1.0))], HORIZON
    )
    assert difference.mean == -1.0
    assert difference.bound(0.975) == np.inf
    with pytest.raises(UsageError, match="min_dates = 1 must be at least 2"):
        Rules(min_dates=1)

"""Chance: intervals against formulas, a known effect that is found, and rare false alarms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from stagecast.features.describe.effectiveness import BeforeAfter, Measure, before_after
from stagecast.features.describe.effectiveness.measures import SALES, SALES_PER_CUSTOMER
from stagecast.features.describe.effectiveness.resampling import (
    Quantity,
    Spread,
    beyond_chance,
    resample,
    spread,
)
from stagecast.features.describe.effectiveness.result import BeyondSeason
from stagecast.features.describe.effectiveness.stage_times import restricted_mean
from stagecast.features.record import PurchaseDays
from tests.features.describe.effectiveness.made import DAY, simulated


def compared(
    seed: int, customers: int, rates: np.ndarray, date: int, spend: float = 9.0
) -> BeforeAfter:
    log = simulated(np.random.default_rng(seed), customers, rates, np.full(len(rates), spend))
    days, journeys, first_events = log
    return before_after(journeys, days, customers, first_events, None, date * DAY, len(rates) * DAY)


def measure_of(result: BeforeAfter, key: str) -> Measure:
    return next(measure for measure in result.measures if measure.kind.id == key)


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_promised() -> None:
    # nothing changes at day 140; windows of 84 days, and a look-back of 56
    runs = [compared(seed, 150, np.full(224, 0.03), 140) for seed in range(200)]
    excludes_zero = [measure.excludes_zero for run in runs for measure in run.measures]
    assert {run.comparisons for run in runs} == {6}
    assert 0.03 < np.mean(excludes_zero) < 0.075
    any_alarm = np.mean([any(measure.beyond_chance for measure in run.measures) for run in runs])
    assert any_alarm < 0.085
    # without a correction for their number there would be far more
    assert np.mean([any(measure.excludes_zero for measure in run.measures) for run in runs]) > 0.1


def test_growth_by_newcomers_is_no_effect_per_customer() -> None:
    # all customers come within the two windows and buy at the same rate: sales triple, those per
    # customer do not change
    alarms: dict[str, list[bool]] = {
        "sales": [],
        "sales_per_customer": [],
        "orders_per_customer": [],
    }
    for seed in range(40):
        rng = np.random.default_rng(seed)
        days, journeys, first_events = simulated(rng, 1000, np.full(168, 0.03), np.full(168, 9.0))
        first_day = rng.integers(0, 168, 1000)
        is_customer = days.day >= first_day[days.customer]
        growing_days = PurchaseDays(
            days.customer[is_customer],
            days.day[is_customer],
            days.spend[is_customer],
            days.first_purchase[is_customer],
        )
        result = before_after(journeys, growing_days, 1000, first_events, None, 84 * DAY, 168 * DAY)
        for key, values in alarms.items():
            values.append(measure_of(result, key).excludes_zero)
    assert all(alarms["sales"])
    assert np.mean(alarms["sales_per_customer"]) <= 0.15
    assert np.mean(alarms["orders_per_customer"]) <= 0.15


def test_a_known_uplift_is_found_and_lies_in_its_interval() -> None:
    rates = np.r_[np.full(140, 0.03), np.full(84, 0.045)]
    runs = [compared(seed, 400, rates, 140) for seed in range(20)]
    assert all(measure_of(run, "orders_per_customer").beyond_chance for run in runs)
    assert all(measure_of(run, "sales").beyond_chance for run in runs)
    # half as much again a day: 400 customers, mean chance 0.03 and 0.045, 9 an order
    truth = 400 * 9 * 0.015
    covers = [
        interval.low <= truth <= interval.high
        for run in runs
        if (interval := measure_of(run, "sales").spread)
    ]
    assert len(covers) == 20
    assert sum(covers) >= 17
    # the time on stages did not change
    assert not any(
        m.beyond_chance for run in runs for m in run.measures if m.kind.id.startswith("days_on")
    )


def test_interval_of_sales_per_customer_against_the_formula() -> None:
    rng = np.random.default_rng(3)
    customers = 4000
    before, after = rng.gamma(0.5, 20.0, customers), rng.gamma(0.5, 24.0, customers)
    known_before, known_after = (rng.random(customers) < share for share in (0.7, 0.9))
    before, after = before * known_before, after * known_after
    drawn = resample(
        [Quantity(before, known_before.astype(float)), Quantity(after, known_after.astype(float))],
        draws=4000,
    )
    # variance of the difference of two ratios that share their customers, by the delta method
    influence = (after - after.sum() / known_after.sum() * known_after) / known_after.sum()
    influence -= (before - before.sum() / known_before.sum() * known_before) / known_before.sum()
    error = np.sqrt((influence**2).sum())
    interval = spread(drawn[1] - drawn[0])
    assert interval is not None
    difference = after.sum() / known_after.sum() - before.sum() / known_before.sum()
    assert interval.low == pytest.approx(difference - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(difference + 1.96 * error, abs=0.1 * error)


def test_weights_have_mean_and_variance_of_one() -> None:
    indicator = np.zeros(3000)
    indicator[0] = 1.0
    weight, total = resample([Quantity(indicator), Quantity(np.ones(3000))], draws=20_000)
    assert weight.mean() == pytest.approx(1.0, abs=0.03)
    assert weight.var() == pytest.approx(1.0, abs=0.05)
    assert set(np.unique(weight)) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    # the number of customers is random, too: Poisson with mean 3,000
    assert total.var() == pytest.approx(3000, rel=0.05)
    assert np.corrcoef(weight, total)[0, 1] == pytest.approx(1 / np.sqrt(3000), abs=0.03)


def test_blocks_do_not_change_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).gamma(1.0, 5.0, 500)
    monkeypatch.setattr("stagecast.features.describe.effectiveness.resampling.BLOCK", 64)
    drawn = resample([Quantity(values)], draws=4000)[0]
    assert drawn.mean() == pytest.approx(values.sum(), rel=0.01)
    assert drawn.std() == pytest.approx(np.sqrt((values**2).sum()), rel=0.05)


def censored(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return durations in half days, so that some are equal, and whether they ended."""
    rng = np.random.default_rng(seed)
    stays, limits = rng.exponential(20.0, rows), rng.uniform(5.0, 80.0, rows)
    return np.ceil(np.minimum(stays, limits) * 2) / 2, stays <= limits


@pytest.mark.parametrize("seed", range(5))
def test_mean_stay_is_that_of_lifelines(seed: int) -> None:
    days, ended = censored(seed, 60)
    fitted = KaplanMeierFitter().fit(days, ended)
    assert restricted_mean(days, ended, 35.0)[0] == pytest.approx(
        restricted_mean_survival_time(fitted, 35.0)
    )


@pytest.mark.parametrize("seed", range(5))
def test_influence_is_the_change_by_one_more_spell(seed: int) -> None:
    days, ended = censored(seed, 60)
    mean, influence = restricted_mean(days, ended, 35.0)
    # each spell a thousand times, and one of them 1,010 times: a weight of 1.01
    for row in range(0, 60, 7):
        spells = np.r_[np.repeat(np.arange(60), 1000), np.repeat(row, 10)]
        change = restricted_mean(days[spells], ended[spells], 35.0)[0] - mean
        assert change / 0.01 == pytest.approx(influence[row], abs=0.01)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_squares_of_influence_are_the_variance_of_greenwood() -> None:
    days, ended = censored(7, 80)
    variance = 0.0
    fitted = KaplanMeierFitter().fit(days, ended)
    survival = fitted.survival_function_["KM_estimate"]
    for time in np.unique(days[ended & (days <= 35.0)]):
        steps = np.r_[time, [t for t in survival.index if time < t < 35.0], 35.0]
        area = sum(float(survival.asof(a)) * (b - a) for a, b in pairwise(steps))
        end_count, at_risk = int(((days == time) & ended).sum()), int((days >= time).sum())
        variance += area**2 * end_count / (at_risk * (at_risk - end_count))
    assert (restricted_mean(days, ended, 35.0)[1] ** 2).sum() == pytest.approx(variance)


def test_draws_of_a_mean_stay_by_influence_agree_with_recomputing_it() -> None:
    days, ended = censored(8, 300)
    mean, influence = restricted_mean(days, ended, 35.0)
    customer = np.arange(300) // 3
    per_customer = np.bincount(customer, weights=influence)
    linearised = resample([Quantity(per_customer, base=mean)], draws=2000)[0]
    rng = np.random.default_rng(9)
    recomputed = []
    for _ in range(1000):
        spells = np.concatenate([np.arange(3 * c, 3 * c + 3) for c in rng.integers(0, 100, 100)])
        recomputed.append(restricted_mean(days[spells], ended[spells], 35.0)[0])
    assert linearised.std() == pytest.approx(np.std(recomputed), rel=0.08)
    assert np.quantile(linearised, [0.025, 0.975]) == pytest.approx(
        np.quantile(recomputed, [0.025, 0.975]), abs=0.4
    )


@pytest.mark.parametrize(
    ("days", "ended", "mean"),
    [
        ([], [], None),
        ([10.0], [False], None),
        ([10.0], [True], 10.0),
        ([40.0], [False], 35.0),
        ([35.0, 5.0], [True, True], 20.0),
        ([3.0, 10.0], [True, False], None),
    ],
)
def test_mean_stay_of_few_spells(days: list[float], ended: list[bool], mean: float | None) -> None:
    estimate, influence = restricted_mean(np.array(days), np.array(ended, dtype=bool), 35.0)
    assert len(influence) == len(days)
    assert np.isnan(estimate) if mean is None else estimate == mean


def test_a_season_is_not_taken_for_an_effect() -> None:
    # every year the second half is twice as busy; and each year is busier than the last
    year = np.r_[np.full(182, 0.02), np.full(182, 0.04)]
    runs = [compared(seed, 300, np.r_[year, 1.3 * year], 364 + 182) for seed in range(20)]
    orders = [measure_of(run, "orders_per_customer") for run in runs]
    assert all(measure.beyond_chance for measure in orders)
    seasons = [measure.beyond_season for measure in orders if measure.beyond_season]
    assert len(seasons) == 20
    assert sum(season.spread.low <= 0 <= season.spread.high for season in seasons) >= 17
    assert not any(season.beyond_chance for season in seasons[:10])
    first = orders[0]
    assert first.before is not None
    assert first.after is not None
    assert seasons[0].difference == pytest.approx(
        first.after - first.before * seasons[0].after / seasons[0].before
    )


def test_an_effect_on_top_of_a_season_is_found() -> None:
    year = np.r_[np.full(182, 0.02), np.full(182, 0.04)]
    rates = np.r_[year, year * np.r_[np.ones(182), np.full(182, 1.5)]]
    result = compared(1, 500, rates, 364 + 182)
    season = measure_of(result, "orders_per_customer").beyond_season
    assert season is not None
    assert season.beyond_chance
    assert season.difference > 0
    assert any("same weeks of one earlier year" in caveat for caveat in result.caveats)


def test_an_unknown_year_before_is_a_caveat() -> None:
    result = compared(1, 60, np.full(224, 0.03), 112)
    assert all(measure.beyond_season is None for measure in result.measures)
    caveats = " ".join(result.caveats)
    assert "a season cannot be told from an effect" in caveats
    assert "6 measures were compared" in caveats
    assert "The log begins with the earlier window" in caveats
    later_caveats = " ".join(compared(1, 60, np.full(224, 0.03), 140).caveats)
    assert "The log begins only 56 days before the earlier window" in later_caveats
    assert "The log begins" not in " ".join(compared(1, 60, np.full(252, 0.03), 168).caveats)


def test_spread_is_symmetric_and_open_where_draws_fail() -> None:
    drawn = np.r_[np.full(30, -1.0), np.full(970, 1.0)]
    up, down = spread(drawn), spread(-drawn)
    assert up is not None
    assert down is not None
    assert up.p_value == down.p_value == 2 * 31 / 1001
    assert (up.low, down.high) == (-1.0, 1.0)
    assert spread(np.zeros(1000)) == Spread(0.0, 0.0, 1.0)
    assert spread(np.r_[np.full(60, np.nan), np.ones(940)]) is None


def test_holm_stops_at_the_first_that_fails() -> None:
    # 0.001 <= 0.05/4, 0.02 > 0.05/3: the larger ones fail too, although they are below 0.05
    assert beyond_chance([0.03, 0.001, 0.02, 0.04]) == [False, True, False, False]
    # 0.05/3, 0.05/2, 0.05
    assert beyond_chance([0.045, 0.01, 0.024]) == [True, True, True]
    assert beyond_chance([None, 0.05]) == [False, True]
    assert beyond_chance([]) == []


def measure(
    before: float,
    after: float,
    low: float,
    high: float,
    verdict: bool,
    season: BeyondSeason | None = None,
) -> Measure:
    return Measure(SALES_PER_CUSTOMER, before, after, Spread(low, high, 0.01), verdict, 12, season)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            measure(12.1, 13.4, -0.2, 2.8, False),
            "Sales per customer rose from 12.1 to 13.4 in 30 days (+11%); the difference "
            "of +1.30 lies between −0.20"
            " and +2.80, so it may be chance.",
        ),
        (
            measure(13.4, 12.1, -2.8, -0.2, True),
            "Sales per customer fell from 13.4 to 12.1 in 30 days (−10%); the difference "
            "of −1.30 lies between −2.80"
            " and −0.20, so it is more than chance.",
        ),
        (
            measure(12.1, 13.4, 0.2, 2.8, False),
            "Sales per customer rose from 12.1 to 13.4 in 30 days (+11%); the difference "
            "of +1.30 lies between +0.20"
            " and +2.80: more than chance if it were the only question, but among 12 "
            "comparisons one as large may be"
            " luck.",
        ),
        (
            measure(
                12.1,
                12.1,
                -1.0,
                1.0,
                False,
                BeyondSeason(10.0, 11.0, -1.21, Spread(-2.0, -0.5, 0.01), True),
            ),
            "Sales per customer stayed at 12.1 in 30 days; the difference of +0.00 lies "
            "between −1.00 and +1.00, so it"
            " may be chance. The year before, in the same weeks, it rose from 10.0 to "
            "11.0 in 30 days (+10%); beyond"
            " that swing the difference is −1.21, between −2.00 and −0.50 (more than chance).",
        ),
        (
            measure(140.4, 137.1, -6.2, -0.3, True),
            "Sales per customer fell from 140 to 137 in 30 days (−2%); the difference of "
            "−3.3 lies between −6.2 and"
            " −0.3, so it is more than chance.",
        ),
        (
            Measure(SALES, 12345.6, 45678.9, None, False, 0, None),
            "Sales in all rose from 12,346 to 45,679 a day (+270%); too few customers to "
            "tell whether that is more"
            " than chance.",
        ),
    ],
)
def test_every_verdict_has_its_sentence(result: Measure, sentence: str) -> None:
    assert result.sentence == sentence

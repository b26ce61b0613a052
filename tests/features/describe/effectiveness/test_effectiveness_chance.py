"""What is called more than chance: intervals against formulas, a known effect found, false
alarms as seldom as said.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from stagecast.features.describe.effectiveness import BeforeAfter, Measure, before_after
from stagecast.features.describe.effectiveness.measures import SALES, SALES_EACH
from stagecast.features.describe.effectiveness.resampling import (
    Quantity,
    Spread,
    beyond_chance,
    resampled,
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


def found(result: BeforeAfter, key: str) -> Measure:
    return next(measure for measure in result.measures if measure.kind.id == key)


def test_false_alarms_are_as_seldom_as_said() -> None:
    # nothing changes at day 140; windows of 84 days, and a look-back of 56
    runs = [compared(seed, 150, np.full(224, 0.03), 140) for seed in range(200)]
    single = [measure.excludes_zero for run in runs for measure in run.measures]
    assert {run.comparisons for run in runs} == {6}
    assert 0.03 < np.mean(single) < 0.075
    any_at_all = np.mean([any(measure.beyond_chance for measure in run.measures) for run in runs])
    assert any_at_all < 0.085
    # without allowing for their number it would be far more
    assert np.mean([any(measure.excludes_zero for measure in run.measures) for run in runs]) > 0.1


def test_growth_by_newcomers_is_no_effect_per_customer() -> None:
    # everybody comes within the two windows and then buys at the same rate: sales triple, each does
    # as before
    alarms: dict[str, list[bool]] = {
        "sales": [],
        "sales_per_customer": [],
        "orders_per_customer": [],
    }
    for seed in range(40):
        rng = np.random.default_rng(seed)
        days, journeys, first_events = simulated(rng, 1000, np.full(168, 0.03), np.full(168, 9.0))
        come = rng.integers(0, 168, 1000)
        kept = days.day >= come[days.customer]
        grown = PurchaseDays(
            days.customer[kept], days.day[kept], days.spend[kept], days.first_purchase[kept]
        )
        result = before_after(journeys, grown, 1000, first_events, None, 84 * DAY, 168 * DAY)
        for key, seen in alarms.items():
            seen.append(found(result, key).excludes_zero)
    assert all(alarms["sales"])
    assert np.mean(alarms["sales_per_customer"]) <= 0.15
    assert np.mean(alarms["orders_per_customer"]) <= 0.15


def test_a_known_uplift_is_found_and_lies_in_its_interval() -> None:
    rates = np.r_[np.full(140, 0.03), np.full(84, 0.045)]
    runs = [compared(seed, 400, rates, 140) for seed in range(20)]
    assert all(found(run, "orders_per_customer").beyond_chance for run in runs)
    assert all(found(run, "sales").beyond_chance for run in runs)
    # half as much again a day: 400 customers, mean chance 0.03 and 0.045, 9 an order
    truth = 400 * 9 * 0.015
    inside = [one.low <= truth <= one.high for run in runs if (one := found(run, "sales").spread)]
    assert len(inside) == 20
    assert sum(inside) >= 17
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
    drawn = resampled(
        [Quantity(before, known_before.astype(float)), Quantity(after, known_after.astype(float))],
        draws=4000,
    )
    # variance of the difference of two ratios that share their customers, by the delta method
    part = (after - after.sum() / known_after.sum() * known_after) / known_after.sum()
    part -= (before - before.sum() / known_before.sum() * known_before) / known_before.sum()
    error = np.sqrt((part**2).sum())
    got = spread(drawn[1] - drawn[0])
    assert got is not None
    middle = after.sum() / known_after.sum() - before.sum() / known_before.sum()
    assert got.low == pytest.approx(middle - 1.96 * error, abs=0.1 * error)
    assert got.high == pytest.approx(middle + 1.96 * error, abs=0.1 * error)


def test_weights_have_mean_and_variance_of_one_and_move_a_customer_as_one() -> None:
    one = np.zeros(3000)
    one[0] = 1.0
    same, total = resampled([Quantity(one), Quantity(np.ones(3000))], draws=20_000)
    assert same.mean() == pytest.approx(1.0, abs=0.03)
    assert same.var() == pytest.approx(1.0, abs=0.05)
    assert set(np.unique(same)) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    # so many customers as a log holds are left to chance: Poisson of 3,000
    assert total.var() == pytest.approx(3000, rel=0.05)
    assert np.corrcoef(same, total)[0, 1] == pytest.approx(1 / np.sqrt(3000), abs=0.03)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).gamma(1.0, 5.0, 500)
    monkeypatch.setattr("stagecast.features.describe.effectiveness.resampling.BLOCK", 64)
    drawn = resampled([Quantity(values)], draws=4000)[0]
    assert drawn.mean() == pytest.approx(values.sum(), rel=0.01)
    assert drawn.std() == pytest.approx(np.sqrt((values**2).sum()), rel=0.05)


def censored(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return durations in half days, so that some are equal, and whether their end was seen."""
    rng = np.random.default_rng(seed)
    stays, seen = rng.exponential(20.0, rows), rng.uniform(5.0, 80.0, rows)
    return np.ceil(np.minimum(stays, seen) * 2) / 2, stays <= seen


@pytest.mark.parametrize("seed", range(5))
def test_mean_stay_is_that_of_lifelines(seed: int) -> None:
    days, ended = censored(seed, 60)
    fitted = KaplanMeierFitter().fit(days, ended)
    assert restricted_mean(days, ended, 35.0)[0] == pytest.approx(
        restricted_mean_survival_time(fitted, 35.0)
    )


@pytest.mark.parametrize("seed", range(5))
def test_influence_is_what_one_spell_more_does(seed: int) -> None:
    days, ended = censored(seed, 60)
    mean, influence = restricted_mean(days, ended, 35.0)
    # every spell a thousand times, and one of them ten times more: a weight of 1.01
    for row in range(0, 60, 7):
        more = np.r_[np.repeat(np.arange(60), 1000), np.repeat(row, 10)]
        moved = restricted_mean(days[more], ended[more], 35.0)[0] - mean
        assert moved / 0.01 == pytest.approx(influence[row], abs=0.01)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_squares_of_influence_are_the_variance_of_greenwood() -> None:
    days, ended = censored(7, 80)
    variance = 0.0
    fitted = KaplanMeierFitter().fit(days, ended)
    alive = fitted.survival_function_["KM_estimate"]
    for time in np.unique(days[ended & (days <= 35.0)]):
        steps = np.r_[time, [t for t in alive.index if time < t < 35.0], 35.0]
        area = sum(float(alive.asof(a)) * (b - a) for a, b in pairwise(steps))
        ends, at_risk = int(((days == time) & ended).sum()), int((days >= time).sum())
        variance += area**2 * ends / (at_risk * (at_risk - ends))
    assert (restricted_mean(days, ended, 35.0)[1] ** 2).sum() == pytest.approx(variance)


def test_the_cheap_draws_of_a_mean_stay_agree_with_taking_it_anew_each_time() -> None:
    days, ended = censored(8, 300)
    mean, influence = restricted_mean(days, ended, 35.0)
    whose = np.arange(300) // 3
    per_customer = np.bincount(whose, weights=influence)
    cheap = resampled([Quantity(per_customer, base=mean)], draws=2000)[0]
    rng = np.random.default_rng(9)
    anew = []
    for _ in range(1000):
        chosen = np.concatenate([np.arange(3 * c, 3 * c + 3) for c in rng.integers(0, 100, 100)])
        anew.append(restricted_mean(days[chosen], ended[chosen], 35.0)[0])
    assert cheap.std() == pytest.approx(np.std(anew), rel=0.08)
    assert np.quantile(cheap, [0.025, 0.975]) == pytest.approx(
        np.quantile(anew, [0.025, 0.975]), abs=0.4
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
def test_mean_stay_of_hardly_any_spells(
    days: list[float], ended: list[bool], mean: float | None
) -> None:
    got, influence = restricted_mean(np.array(days), np.array(ended, dtype=bool), 35.0)
    assert len(influence) == len(days)
    assert np.isnan(got) if mean is None else got == mean


def test_a_season_is_not_taken_for_an_effect() -> None:
    # every year the second half is twice as busy; and each year is busier than the last
    year = np.r_[np.full(182, 0.02), np.full(182, 0.04)]
    runs = [compared(seed, 300, np.r_[year, 1.3 * year], 364 + 182) for seed in range(20)]
    orders = [found(run, "orders_per_customer") for run in runs]
    assert all(one.beyond_chance for one in orders)
    seasons = [one.beyond_season for one in orders if one.beyond_season]
    assert len(seasons) == 20
    assert sum(one.spread.low <= 0 <= one.spread.high for one in seasons) >= 17
    assert not any(one.beyond_chance for one in seasons[:10])
    one = orders[0]
    assert one.before is not None
    assert one.after is not None
    assert seasons[0].difference == pytest.approx(
        one.after - one.before * seasons[0].after / seasons[0].before
    )


def test_an_effect_on_top_of_a_season_is_found() -> None:
    year = np.r_[np.full(182, 0.02), np.full(182, 0.04)]
    rates = np.r_[year, year * np.r_[np.ones(182), np.full(182, 1.5)]]
    result = compared(1, 500, rates, 364 + 182)
    season = found(result, "orders_per_customer").beyond_season
    assert season is not None
    assert season.beyond_chance
    assert season.difference > 0
    assert any("same weeks of one earlier year" in caveat for caveat in result.caveats)


def test_where_the_year_before_is_unknown_the_reader_is_told() -> None:
    result = compared(1, 60, np.full(224, 0.03), 112)
    assert all(measure.beyond_season is None for measure in result.measures)
    told = " ".join(result.caveats)
    assert "a season cannot be told from an effect" in told
    assert "6 measures were compared" in told
    assert "The log begins with the earlier window" in told
    later = " ".join(compared(1, 60, np.full(224, 0.03), 140).caveats)
    assert "The log begins only 56 days before the earlier window" in later
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
    # 0.001 <= 0.05/4, 0.02 > 0.05/3: those after it fail too, however small they are beside 0.05
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
    return Measure(SALES_EACH, before, after, Spread(low, high, 0.01), verdict, 12, season)


@pytest.mark.parametrize(
    ("said", "sentence"),
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
def test_every_verdict_has_its_sentence(said: Measure, sentence: str) -> None:
    assert said.sentence == sentence

"""How well the years of a log agree about its season."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.learners.agreement import UNKNOWN
from stagecast.training.learners.blend import CARRIED, carried_level, carried_share
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.fit_season import agreement_of_years, season_of

AS_OF, YEARS, HORIZON = 19_000.0, 3, 90
PARETO = Model("pareto_nbd", (1.2, 72.0, 2.0, 1_000.0), 0.0, 1_000)


def shop(peaks: tuple[float, ...], seed: int, customers: int = 800) -> PurchaseDays:
    """Return the purchase days of a shop that sells ``peaks`` times as much for six weeks.

    One peak per year, the newest first; each lies 200 to 242 days before the end of its year.
    """
    random = np.random.default_rng(seed)
    begin = AS_OF - random.uniform(1.0, YEARS * 365.0, customers)
    rate = random.gamma(1.2, 1 / 72, customers) * max(peaks)
    until = np.minimum(begin + random.exponential(500.0, customers), AS_OF)
    at = begin[:, None] + np.cumsum(random.exponential(1 / rate[:, None], (customers, 400)), axis=1)
    before = AS_OF - at
    in_peak = (before % 365.0 >= 200.0) & (before % 365.0 < 242.0)
    year = np.clip(before // 365.0, 0, YEARS - 1).astype(int)
    pace = np.where(in_peak, np.array(peaks)[year], 0.7) / max(peaks)
    known = (at < until[:, None]) & (random.random(at.shape) < pace)
    owner = np.r_[np.arange(customers), np.nonzero(known)[0]]
    both = np.unique(np.column_stack([owner, np.floor(np.r_[begin, at[known]])]), axis=0)
    owner, day = both.astype(np.int64).T
    return PurchaseDays(owner, day, np.ones(len(day)), day * 86_400_000_000)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_season_that_comes_every_year_is_told_from_one_that_came_once(seed: int) -> None:
    every, once, never = (
        agreement_of_years(shop(peaks, seed), AS_OF, YEARS * 365.0, PARETO, HORIZON)
        for peaks in ((3.0, 3.0, 3.0), (0.7, 3.0, 0.7), (0.7, 0.7, 0.7))
    )
    assert every.variance < 0.08
    assert min(once.variance, never.variance) > 0.4 or UNKNOWN in (once, never)
    assert every.freedom == pytest.approx((YEARS - 1) * (365 / HORIZON - 1))
    # a shift of such a season is carried over, that of the others as if nothing was known
    assert carried_level([-0.7, -0.75], every) < -0.62
    assert carried_level([-0.7, -0.75]) > -0.55
    for years in (once, never):
        assert carried_share(CARRIED, [0.7, 0.75], years) == pytest.approx(
            carried_share(CARRIED, [0.7, 0.75]), abs=0.08
        )


def test_young_logs_and_horizons_of_a_year_tell_nothing_of_years() -> None:
    days = shop((3.0, 3.0, 3.0), 4)
    assert agreement_of_years(days, AS_OF, 700.0, PARETO, HORIZON) == UNKNOWN
    assert agreement_of_years(days, AS_OF, YEARS * 365.0, PARETO, 365) == UNKNOWN


def test_the_pace_of_a_season_is_the_true_one() -> None:
    pace = np.array(season_of(shop((3.0,) * 3, 5, 2_000), AS_OF, YEARS * 365.0, PARETO).pace)[::-1]
    # parts of 14 days, counted back from the as_of
    assert pace[[15, 16]].mean() == pytest.approx(3.0 / (0.7 + 2.3 * 42 / 365), rel=0.15)
    quiet = np.r_[0:13, 19:26]
    assert pace[quiet].mean() == pytest.approx(0.7 / (0.7 + 2.3 * 42 / 365), rel=0.12)


def test_the_pace_of_a_short_season_is_not_flattened() -> None:
    # half of the chance of half of the years, and less of it in a part of many orders
    true = 3.0 / (0.7 + 2.3 * 42 / 365)
    peaks = [
        np.array(season_of(shop((3.0,) * 3, seed), AS_OF, YEARS * 365.0, PARETO).pace)[::-1][15:17]
        for seed in range(1, 9)
    ]
    assert float(np.mean(peaks)) / true > 0.92

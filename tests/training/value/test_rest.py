"""Orders in the rest of the value horizon have the level of their season."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import carried_share
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.panel import Frame
from stagecast.training.value.model import rest_by_base
from stagecast.training.value.rest import CARRIED, fit_rest
from stagecast.training.value.spans import Purchases
from tests.training.made import a_frame

BASE = CustomerBase((Model("pareto_nbd", (1.0, 40.0, 1.0, 400.0), 0.0, 1),), None)
CONFIG = TrainConfig(horizon_days=90, value_horizon_days=180)
AS_OF_DAY = 15_000
ROWS = 400


def seasonal(levels: dict[int, float], seed: int = 1) -> tuple[list[Frame], Purchases]:
    """Return dates of a young log, and what came in the rest of their value horizon.

    Customers were all there from the start, so that how long they are known tells the date. Those
    who bought more often so far come twice as often as the customer base says, and half.

    Parameters
    ----------
    levels
        Days before the as_of -> what came over what the customer base expected, in all.
    seed
        Of the draws.
    """
    random = np.random.default_rng(seed)
    frames, owners, days = [], [], []
    for back, level in sorted(levels.items()):
        known = 550.0 - back
        frequency = random.poisson(known / 60.0, ROWS).astype(float)
        t_x = np.where(frequency > 0, random.uniform(0.6, 1.0, ROWS) * known, 0.0)
        recent = random.integers(0, 2, ROWS).astype(float)
        columns = {
            "frequency": frequency,
            "t_x_days": t_x,
            "T_days": known + random.uniform(0.0, 1.0, ROWS),
            "recent": recent,
        }
        frame = replace(a_frame(columns, orders=np.ones(ROWS).tolist()), back=back)
        expected = rest_by_base(BASE, frame.columns, 90, 180, CONFIG.annual_discount)
        rate = expected * np.where(recent > 0, 2.0, 0.5)
        rate *= level * expected.sum() / rate.sum()
        came = random.poisson(rate)
        customer = np.arange(ROWS) + ROWS * len(frames)
        frames.append(replace(frame, customer=customer))
        owners.append(np.repeat(customer, came))
        days.append(AS_OF_DAY - back + random.integers(91, 179, int(came.sum())))
    owner, day = np.concatenate(owners), np.concatenate(days).astype(np.int64)
    bought = PurchaseDays(owner, day, np.ones(len(day)), day * 86_400_000_000)
    return frames, Purchases(bought, float(AS_OF_DAY))


def mean_of(factor: Array, frame: Frame) -> float:
    """Return the factor of the total of a date."""
    expected = rest_by_base(BASE, frame.columns, 90, 180, CONFIG.annual_discount)
    return float((factor * expected).sum() / expected.sum())


def fitted_at(frames: Sequence[Frame], purchases: Purchases, seasons: Sequence[Frame]) -> float:
    """Return the factor of the total of customers like those of now, who are known for longest."""
    bases = {frame.back: BASE for frame in frames}
    factor = fit_rest(frames, bases, purchases, CONFIG, seasons).factor
    assert factor.trees is not None
    assert factor.power > 0.5
    now = replace(
        frames[0],
        columns={**frames[0].columns, "T_days": np.full(ROWS, 550.0)},
    )
    return mean_of(factor.of(now.columns), now)


def test_the_rest_has_the_level_of_the_same_span_a_year_ago() -> None:
    # half of the usual in the months after the newest dates, and a third more a year ago
    frames, purchases = seasonal({180: 0.5, 210: 0.5, 240: 0.5, 270: 0.6, 365: 1.35})
    season = [frame for frame in frames if frame.back == 365]
    came = float(np.exp(carried_share(CARRIED, [np.log(1.35)]) * np.log(1.35)))
    assert fitted_at(frames, purchases, season) == pytest.approx(came, rel=0.12)


def test_a_year_of_a_young_customer_base_counts_for_less() -> None:
    # known for 185 and for 50 days; the mean of the two is below 1
    levels = {365: 1.35, 500: 0.6}
    frames, purchases = seasonal({180: 0.5, 210: 0.5, **levels})
    season = [frame for frame in frames if frame.back in levels]
    logs = np.log(list(levels.values()))
    mean = float(np.average(logs, weights=[185.5, 50.5]))
    carried = float(np.exp(carried_share(CARRIED, logs.tolist()) * mean))
    assert carried > 1.0 > np.exp(logs.mean())
    assert fitted_at(frames, purchases, season) == pytest.approx(carried, rel=0.12)


def known_for(days: float, factor: Factor, frame: Frame) -> float:
    """Return the factor of the total of customers who have been known for so many days."""
    customers = replace(frame, columns={**frame.columns, "T_days": np.full(ROWS, days)})
    return mean_of(factor.of(customers.columns), customers)


def test_trees_tell_where_the_level_is_going_only_where_no_season_does() -> None:
    frames, purchases = seasonal({180: 0.5, 210: 0.5, 365: 1.5, 400: 1.5})
    bases = {frame.back: BASE for frame in frames}
    season = [frame for frame in frames if frame.back == 365]
    alone, beside = (
        fit_rest(frames, bases, purchases, CONFIG, known).factor for known in ([], season)
    )
    assert known_for(550.0, alone, frames[-1]) < 0.75 * known_for(170.0, alone, frames[-1])
    assert known_for(550.0, beside, frames[-1]) == pytest.approx(
        known_for(170.0, beside, frames[-1]), rel=0.2
    )


def test_a_log_without_a_season_keeps_the_level_of_all_dates() -> None:
    believed = 0
    for seed in range(8):
        # what each date brings differs by chance alone
        frames, purchases = seasonal(dict.fromkeys((180, 210, 240, 365), 1.1), seed)
        bases = {frame.back: BASE for frame in frames}
        season = [frame for frame in frames if frame.back == 365]
        alone, beside = (fit_rest(frames, bases, purchases, CONFIG, s) for s in ([], season))
        believed += beside.factor.level != alone.factor.level
    assert believed <= 1


def test_a_year_that_nothing_can_be_compared_with_is_no_season() -> None:
    frames, purchases = seasonal({365: 1.6, 420: 0.8})  # less than a horizon apart
    bases = {frame.back: BASE for frame in frames}
    seasons = [frame for frame in frames if frame.back == 365]
    alone, beside = (fit_rest(frames, bases, purchases, CONFIG, s) for s in ([], seasons))
    assert beside.season == 1.0
    assert beside.factor.level == alone.factor.level


def test_only_a_season_that_lifts_lets_the_rest_exceed_the_own_rate() -> None:
    for of_year, of_others in ((1.5, 0.7), (0.5, 1.0)):
        frames, purchases = seasonal({180: of_others, 210: of_others, 365: of_year})
        season = [frame for frame in frames if frame.back == 365]
        rest = fit_rest(frames, {f.back: BASE for f in frames}, purchases, CONFIG, season)
        assert (rest.season > 1.1) is (of_year > 1.0)
        assert rest.season >= 1.0


def test_trees_still_tell_who_comes_more_often() -> None:
    frames, purchases = seasonal({180: 0.5, 210: 0.5, 240: 0.5, 365: 1.35})
    factor = fit_rest(frames, {frame.back: BASE for frame in frames}, purchases, CONFIG).factor
    recent = frames[0].columns["recent"] > 0
    of_each = factor.of(frames[0].columns)
    assert of_each[recent].mean() > 2.0 * of_each[~recent].mean()

"""How customers leave: regular gaps, a season, and models that a log cannot tell apart."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.seasonal_pareto import SeasonalPareto
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.fit_leaving import fit_leaving
from stagecast.training.learners.fit_season import season_of
from stagecast.training.learners.leaving import Leaving
from stagecast.training.learners.season_of_purchases import BINS, Season

AS_OF = 19_000.0
HISTORY_DAYS = 1_095.0
PARETO = Model("pareto_nbd", (1.0, 40.0, 2.0, 800.0), 0.0, 1_000)
MBG = Model("mbg_nbd", (1.0, 40.0, 0.8, 4.0), 0.0, 1_000)


def drawn(
    shape: float, peak: float, customers: int, seed: int
) -> tuple[PurchaseDays, Array, Array]:
    """Return purchase days of customers who leave at any time, their rates, and until when they
    are customers; before Christmas they buy ``peak`` times as often.
    """
    random = np.random.default_rng(seed)
    begin = AS_OF - random.uniform(1.0, HISTORY_DAYS, customers)
    rate, hazard = random.gamma(2.0, 1 / 60, customers), random.gamma(2.0, 1 / 800, customers)
    until = begin + random.exponential(1 / hazard)
    gaps = random.gamma(shape, 1 / shape, (customers, 400)) / rate[:, None]
    at = np.column_stack([begin, begin[:, None] + np.cumsum(gaps, axis=1)])
    known = at < np.minimum(until, AS_OF)[:, None]
    is_thinned = (AS_OF - at) % 365.0 > 60.0
    known &= ~is_thinned | (random.random(at.shape) < 1 / peak)
    known[:, 0] = True
    owner = np.repeat(np.arange(customers), at.shape[1]).reshape(at.shape)[known]
    both = np.unique(np.column_stack([owner, np.floor(at[known]).astype(np.int64)]), axis=0)
    owner, day = both[:, 0], both[:, 1]
    return PurchaseDays(owner, day, np.ones(len(day)), day * 86_400_000_000), rate, until


def features_of(days: PurchaseDays) -> dict[str, Array]:
    first = np.flatnonzero(np.r_[True, days.customer[1:] != days.customer[:-1]])
    first_day = days.day[first].astype(float)
    count = np.diff(np.r_[first, len(days.day)]).astype(float)
    last_day = days.day[np.r_[first[1:], len(days.day)] - 1].astype(float)
    return {
        "frequency": count - 1.0,
        "t_x_days": last_day - first_day,
        "T_days": AS_OF - first_day,
        "first_day": first_day,
        "monetary": np.full(len(first), 10.0),
    }


def test_regular_customers_who_leave_at_any_time_have_the_true_totals() -> None:
    days, rate, until = drawn(6.0, 1.0, 1_000, 3)
    features = features_of(days)
    gaps = LogGaps.of(days.customer, days.day, 1_000)
    base = fit_customer_base(features, gaps=gaps)
    leaving = fit_leaving(base, features, gaps)
    assert leaving is not None
    assert [(m.name, m.regularity > 1) for m in leaving.models] == [("pareto_nbd", True)]
    outlook = leaving.outlook(90, 365, features, 0.0)
    stays = until > AS_OF
    lost = outlook.alive * (outlook.kept_orders - outlook.orders_if_alive)
    gone = (1.0 - outlook.alive) * outlook.regained_orders
    true_lost = np.where(stays, rate * (365.0 - np.clip(until - AS_OF, 0, 365)), 0.0).sum()
    true_gone = np.where(stays, 0.0, rate * 365.0).sum()
    assert lost.sum() == pytest.approx(true_lost, rel=0.12)
    assert gone.sum() == pytest.approx(true_gone, rel=0.10)
    # the customer base leaves at purchases alone, and is further off
    by_base = (1.0 - base.columns(features, 90)["btyd_alive"]) * base.regained_orders(
        365, features, 0.0
    )
    assert abs(by_base.sum() - true_gone) > abs(gone.sum() - true_gone)


def test_a_season_is_told_from_chance_and_time_runs_by_it() -> None:
    days, _, _ = drawn(1.0, 4.0, 1_500, 5)
    season = season_of(days, AS_OF, HISTORY_DAYS, PARETO)
    pace = np.array(season.pace)
    # the last 60 days of the year that ends at the as_of are about four parts of 26
    assert pace[-4:].min() > 2.0 * pace[:20].max()
    assert np.mean(pace) == pytest.approx(1.0)
    a_year = season.time_at(np.array([AS_OF - 365.0, AS_OF, AS_OF + 730.0]))
    assert np.diff(a_year).tolist() == pytest.approx([365.0, 730.0])
    assert season_of(drawn(1.0, 1.0, 1_500, 5)[0], AS_OF, HISTORY_DAYS, PARETO).is_even
    assert season_of(days, AS_OF, 500.0, PARETO).is_even  # one year tells no season


def test_where_models_cannot_be_told_apart_what_is_gone_is_near_the_smaller_total() -> None:
    few = {
        "frequency": np.array([0.0, 0.0, 1.0]),
        "t_x_days": np.array([0.0, 0.0, 30.0]),
        "T_days": np.array([300.0, 400.0, 500.0]),
        "first_day": AS_OF - np.array([300.0, 400.0, 500.0]),
    }
    base = CustomerBase((MBG, PARETO), None)
    leaving = fit_leaving(base, few, None)
    assert leaving is not None
    assert not leaving.models
    alive = base.p_alive_by_model(few)
    gone = [
        ((1.0 - p) * o).sum()
        for p, o in zip(alive, base.regained_by_model(365, few, 0.0), strict=True)
    ]
    ours = (1.0 - np.average(alive, axis=0)) * leaving.regained_orders(base, 365, few, 0.0, alive)
    assert min(gone) < ours.sum() < np.mean(gone)


def _with_season(season: dict[str, Any], alpha: float = 40.0) -> dict[str, Any]:
    seasonal = {"params": [1.0, alpha, 2.0, 800.0], "season": season}
    return {"gone_weights": [1.0], "models": [], "weights": [], "seasonal": seasonal}


def test_a_low_season_is_not_taken_for_leaving() -> None:
    days, rate, until = drawn(1.0, 4.0, 2_000, 7)
    features = features_of(days)
    base = fit_customer_base(features)
    leaving = fit_leaving(base, features, None, season_of(days, AS_OF, HISTORY_DAYS, PARETO))
    assert leaving is not None
    assert leaving.seasonal is not None
    outlook = leaving.outlook(90, 365, features, 0.0)
    stays = until > AS_OF
    # two months of four times the pace are the last of each year
    orders = rate * (305.0 / 4.0 + 60.0)
    gone = ((1.0 - outlook.alive) * outlook.regained_orders).sum()
    at_risk = (outlook.alive * (outlook.kept_orders - outlook.orders_if_alive)).sum()
    ahead = np.clip(until - AS_OF, 0.0, 365.0)
    missed = (305.0 - np.minimum(ahead, 305.0)) / 4.0 + 365.0 - np.maximum(ahead, 305.0)
    assert outlook.alive.sum() == pytest.approx(stays.sum(), rel=0.05)
    assert gone == pytest.approx(np.where(stays, 0.0, orders).sum(), rel=0.08)
    assert at_risk == pytest.approx(np.where(stays, rate * missed, 0.0).sum(), rel=0.15)


def test_leaving_survives_json_and_what_does_not_fit_is_refused() -> None:
    season = Season((0.5, *(1.0,) * (BINS - 2), 1.5), AS_OF)
    for leaving in (
        Leaving((0.3, 0.7)),
        Leaving((1.0,), (Model("pareto_nbd", PARETO.params, 0.0, 9, 3),), (1.0,)),
        Leaving((0.3, 0.7), seasonal=SeasonalPareto((1.0, 40.0, 2.0, 800.0), season)),
    ):
        assert Leaving.from_json(json.loads(json.dumps(leaving.to_json()))) == leaving
    data = Leaving((1.0,), (PARETO,), (1.0,)).to_json()
    with pytest.raises(ValueError, match="differ in number"):
        Leaving.from_json({**data, "weights": []})
    with pytest.raises(ValueError, match="26 paces above 0"):
        Leaving.from_json(_with_season({"pace": [1.0, 0.0], "day": 1.0}))
    with pytest.raises(ValueError, match="are above 0"):
        Leaving.from_json(_with_season(season.to_json(), alpha=0.0))
    # a bundle of an earlier version, whose models of a season were those of the base
    earlier = {"gone_weights": [0.3, 0.7], "models": [PARETO.to_json()], "weights": [1.0]}
    assert Leaving.from_json({**earlier, "season": season.to_json()}) == Leaving((0.3, 0.7))

"""Few customers: who is asked, what replaces a pool, and the level of the last horizon."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.inactivity.few_customers import (
    FEWEST_CUSTOMERS,
    FEWEST_OF_EACH,
    few_dates,
    fit_few,
    has_few_rows,
)
from stagecast.training.inactivity.fitting import teach_now
from stagecast.training.inactivity.members import GapRule
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.inactivity.simple import better_alone
from stagecast.training.learners.agreement import UNKNOWN
from stagecast.training.learners.blend import LEVEL_SPREAD, level_shift, shrunk_level
from stagecast.training.learners.metrics import log_loss
from stagecast.training.panel import Frame, Panel
from tests.training.made import a_frame

HORIZON = 30
RULE = GapRule((10.0,), (0.5,), (2.0,))


def panel_of(*dates: Frame) -> Panel:
    """Return what the fitting reads of a panel: its past dates, and how long the log is."""
    return cast(Panel, SimpleNamespace(dates=dates, history_days=1_200.0, years=UNKNOWN))


def past_date(
    customers: int, seed: int, *, truth: str, back: int = HORIZON, base: float = 0.0
) -> Frame:
    """Return a date of customers who leave by their recency, by the customer base, or by lot."""
    random = np.random.default_rng(seed)
    recency = random.uniform(0, 60, customers)
    odds = random.normal(0, 1.5, customers)
    margin = {"recency": (recency - 30) / 4, "base": odds, "lot": np.full(customers, -1.0)}[truth]
    gone = random.random(customers) < expit(margin)
    columns = {
        "recency_days": recency,
        "frequency": random.integers(0, 9, customers).astype(np.float64),
        "T_days": random.uniform(60, 300, customers),
        "spend_mean": random.uniform(5, 50, customers),
        "btyd_none": odds + base,
    }
    return a_frame(columns, orders=np.where(gone, 0.0, 1.0).tolist(), back=back)  # type: ignore[arg-type]


def outcomes(customers: int, gone: int) -> Frame:
    columns = {"recency_days": np.arange(customers) + 1.0, "btyd_none": np.zeros(customers)}
    return a_frame(columns, orders=[0.0] * gone + [1.0] * (customers - gone), back=HORIZON)  # type: ignore[arg-type]


def test_a_date_teaches_a_regression_from_60_buyers_and_10_of_each_outcome() -> None:
    assert has_few_rows(outcomes(FEWEST_CUSTOMERS, FEWEST_OF_EACH))
    assert has_few_rows(outcomes(1_051, 12))
    assert not has_few_rows(outcomes(FEWEST_CUSTOMERS - 1, 30))
    assert not has_few_rows(outcomes(FEWEST_CUSTOMERS, FEWEST_OF_EACH - 1))
    assert not has_few_rows(outcomes(1_051, 1_042))


def test_the_horizon_of_the_newest_date_must_have_just_ended() -> None:
    newest, older = (past_date(80, k, truth="recency", back=HORIZON * k) for k in (1, 2))
    assert few_dates(panel_of(newest, older), HORIZON) == [newest, older]
    assert few_dates(panel_of(older), HORIZON) == []


def test_where_recency_decides_a_simple_method_replaces_a_useless_customer_base() -> None:
    dates = [past_date(170, k, truth="recency", back=HORIZON + 10 * k) for k in range(4)]
    model = fit_few(panel_of(*dates), RULE, HORIZON, 1)[0]
    assert (model.method, model.few_customers, model.low_data) == ("blend", True, True)
    assert model.alone in ("recency", "rfm")
    fresh = past_date(2_000, 99, truth="recency")
    p = model.probability(fresh.columns)
    assert log_loss(fresh.inactive, p) < 0.75 * log_loss(
        fresh.inactive, expit(fresh.columns["btyd_none"])
    )


def test_where_the_customer_base_is_the_truth_it_stays() -> None:
    dates = [past_date(120, k, truth="base", back=HORIZON + 10 * k) for k in range(3)]
    model = fit_few(panel_of(*dates), RULE, HORIZON, 1)[0]
    assert model.weights["btyd"] > 0.8
    assert sum(model.weights.values()) == pytest.approx(1.0)


def test_where_nothing_tells_customers_apart_all_have_the_share() -> None:
    dates = [past_date(190, k, truth="lot", back=HORIZON + 10 * k) for k in range(3)]
    model = fit_few(panel_of(*dates), RULE, HORIZON, 1)[0]
    assert model.alone == "share"
    p = model.probability(dates[0].columns)
    assert float(np.ptp(p)) == 0.0
    assert p[0] == pytest.approx(expit(-1.0), abs=0.07)
    assert list(model.pool.effects(dates[0].columns)) == []


def test_the_customer_base_alone_comes_to_the_level_of_the_last_horizon() -> None:
    newest = past_date(45, 1, truth="base", base=2.0)
    model = fit_few(panel_of(newest), RULE, HORIZON, 1)[0]
    assert (model.method, dict(model.weights)) == ("btyd", {"btyd": 1.0})
    shift = level_shift(newest.columns["btyd_none"], newest.inactive)
    assert shift < -1
    assert model.level == shrunk_level(shift, newest.inactive)
    assert shift < model.level < 0.5 * shift
    # without a past date nothing is known of the level
    assert fit_few(panel_of(), RULE, HORIZON, 1)[0].level == 0.0


def test_a_level_is_shrunk_as_the_mean_of_a_normal_posterior() -> None:
    share = 0.25
    outcome = np.arange(400) < 400 * share
    error = 1.0 / (400 * share * (1 - share))
    expected = LEVEL_SPREAD**2 / (LEVEL_SPREAD**2 + error)
    assert shrunk_level(1.0, outcome) == pytest.approx(expected, rel=0.01)
    assert shrunk_level(-1.0, outcome[:4]) > -0.5
    assert shrunk_level(0.0, outcome) == 0.0


def margins_of(customers: int, seed: int) -> tuple[Array, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(0, 2, customers)
    return truth, random.random(customers) < expit(truth)


def test_a_method_replaces_the_pool_only_beyond_chance() -> None:
    truth, gone = margins_of(150, 1)
    noise = np.random.default_rng(2).normal(0, 2, 150)
    assert better_alone(noise, {"rfm": truth, "share": np.zeros(150)}, gone, 1) == "rfm"
    assert better_alone(truth, {"rfm": noise, "share": np.zeros(150)}, gone, 1) is None
    assert better_alone(truth, {"rfm": 1.01 * truth}, gone, 1) is None
    # all are compared at the level of the date
    assert better_alone(truth + 5, {"rfm": noise}, gone, 1) is None
    assert better_alone(noise, {"rfm": truth}, np.ones(150, dtype=np.bool_), 1) is None


@pytest.mark.parametrize("truth", ["recency", "base", "lot"])
def test_json_and_back_gives_the_same_bytes(truth: str) -> None:
    dates = [past_date(120, k, truth=truth, back=HORIZON + 10 * k) for k in range(3)]
    model = fit_few(panel_of(*dates), RULE, HORIZON, 1)[0]
    again = ChurnModel.from_json(json.loads(json.dumps(model.to_json())), None)
    columns = dates[0].columns
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()
    assert (again.few_customers, again.alone) == (True, model.alone)


def test_the_json_of_a_model_of_many_customers_has_no_key_of_few() -> None:
    model = ChurnModel("rule", HORIZON, {}, 0.0, RULE, {})
    assert not {"few_customers", "share", "recency"} & set(model.to_json())


def level_after(newest: float, *seasons: float, customers: int = 400) -> float:
    """Return the level of a log whose customer base is so far off, now and in past seasons."""
    dates = [past_date(customers, 1, truth="base", base=newest)]
    dates += [
        past_date(customers, 1 + k, truth="base", base=off, back=365 * k)
        for k, off in enumerate(seasons, start=1)
    ]
    return fit_few(panel_of(*dates), RULE, HORIZON, 1)[0].level


def test_a_season_that_differs_from_the_last_horizon_beyond_chance_sets_the_level() -> None:
    # the customer base expects too few purchases in the season, and too many after it
    assert level_after(-0.8) == pytest.approx(0.8, abs=0.25)
    assert -0.9 < level_after(-0.8, 0.8, 0.8) < -0.35
    assert -0.9 < level_after(-0.8, 0.8, 0.8, 0.8) < level_after(-0.8, 0.8) < 0.0


def test_a_season_within_chance_of_the_last_horizon_leaves_its_level() -> None:
    alone = level_after(0.3)
    assert level_after(0.3, 0.35) == pytest.approx(alone, abs=0.05)
    assert level_after(0.3, -0.2, customers=70) == pytest.approx(
        level_after(0.3, customers=70), abs=0.3
    )


def test_where_the_shop_was_closed_the_dates_before_teach_if_the_season_is_known() -> None:
    def date(back: int, rows: int, left: int) -> Frame:
        columns = {"recency_days": np.arange(float(rows)), "T_days": np.full(rows, 400.0)}
        orders = np.r_[np.zeros(left), np.ones(rows - left)]
        return a_frame(columns, orders=orders.tolist(), back=back)  # type: ignore[arg-type]

    closed, before, season = date(HORIZON, 300, 300), date(60, 300, 150), date(365, 300, 200)
    assert teach_now(panel_of(closed, before, season), [before, season], HORIZON)
    # without a season in past years nothing tells the level
    assert not teach_now(panel_of(closed, before), [before], HORIZON)
    # too few customers are no closed shop
    assert not teach_now(
        panel_of(date(HORIZON, 150, 150), before, season), [before, season], HORIZON
    )
    assert teach_now(panel_of(before), [replace(before, back=HORIZON)], HORIZON)
    assert not teach_now(panel_of(closed), [], HORIZON)

"""The hazard member: what it learns and from when, its level, and what a bundle holds of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import DAY_MICROSECONDS, day_number
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.record import PurchaseDays
from stagecast.training.bundle import load_bundle
from stagecast.training.columns import buyer_columns
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.hazard.fitting import fit_hazard
from stagecast.training.inactivity.hazard.histories import COLUMNS, Histories
from stagecast.training.inactivity.hazard.joining import with_hazard
from stagecast.training.inactivity.hazard.odds import NAME, HazardOdds
from stagecast.training.inactivity.hazard.periods import Periods, periods_of
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners import boosting, metrics
from stagecast.training.member_settings import Hazard, MemberSettings
from tests.shared import once
from tests.training.bundle.formats import FOLDER
from tests.training.made import Trained, day, log_of, trained

AS_OF, HORIZON = 400, 14
CATALOG = standard(28).with_parameters(shop_gap_days=30.0)


def days_of(customer: Integers, number: Integers) -> PurchaseDays:
    return PurchaseDays(customer, number, np.zeros(len(number)), number * DAY_MICROSECONDS)


def two_rhythms(customers: int, days: int, seed: int) -> pd.DataFrame:
    """Return orders that follow the last one after 5 to 9 days or after 60 to 66, never between.

    One in twenty orders is a customer's last. The chance of an order depends on the silence, up and
    down, which neither a linear member nor a customer-base model can say.
    """
    random = np.random.default_rng(seed)
    rows = []
    for k in range(customers):
        at = float(random.uniform(0, 0.6 * days))
        while at < days:
            rows.append((f"c{k:04d}", day(at), "purchase", 10.0))
            if random.random() < 0.05:
                break
            at += random.uniform(5, 9) if random.random() < 0.5 else random.uniform(60, 66)
    return pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "amount"]).assign(
        timestamp=lambda frame: pd.to_datetime(frame["timestamp"], utc=True).dt.tz_localize(None)
    )


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return two_rhythms(600, AS_OF + HORIZON, seed=5)


@pytest.fixture(scope="module")
def refills(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    def make(folder: Path) -> Trained:
        past = rows[rows["timestamp"] < day(AS_OF).replace(tzinfo=None)]
        config = TrainConfig(horizon_days=HORIZON, max_dates=2)
        return trained(past, folder / "model", day(AS_OF), config, evaluated=False)

    return once(tmp_path_factory, "refills", make)


def buyers_of(made: Trained) -> dict[str, Array]:
    panel, models = made.training.panel, made.training.models
    buyers = np.flatnonzero(panel.now.buyers)
    horizon = models.config.horizon_days
    return buyer_columns(panel.now.features, buyers, panel.base, horizon)


def without(model: ChurnModel) -> ChurnModel:
    """Return the pool as it was before the hazard joined it."""
    rest = 1.0 - model.weights[NAME]
    weights = {name: w / rest for name, w in model.weights.items() if name != NAME}
    return replace(model, weights=weights, members={n: model.members[n] for n in weights})


@pytest.mark.slow
def test_a_chance_that_depends_on_the_silence_is_learned(
    refills: Trained, rows: pd.DataFrame
) -> None:
    model, columns = refills.training.models.churn, buyers_of(refills)
    assert model.weights[NAME] == Hazard().weight
    assert model.hazard is not None
    odds, silence = model.hazard.margin(columns), columns["recency_days"]
    # nothing comes from 10 to 45 days of silence on within 14 days; at 54 to 58 half and more do
    idle, due = (silence >= 11) & (silence <= 44), (silence >= 53) & (silence <= 58)
    assert min(idle.sum(), due.sum()) > 20
    assert np.median(odds[idle]) > np.median(odds[due]) + 2.0
    # out of time the pool is better with it than without
    now, is_later = refills.training.panel.now, rows["timestamp"] >= day(AS_OF).replace(tzinfo=None)
    names = np.unique(rows["customer_id"][~is_later])[now.customer[now.buyers]]
    none = ~np.isin(names, rows["customer_id"][is_later].unique())
    ours, before = (
        metrics.losses(none, m.probability(columns)).mean() for m in (model, without(model))
    )
    assert ours < before * 0.98


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shop", "refills"])
def test_the_mean_probability_stays_that_of_the_pool(
    name: str, request: pytest.FixtureRequest
) -> None:
    made: Trained = request.getfixturevalue(name)
    model, columns = made.training.models.churn, buyers_of(made)
    assert sum(model.weights.values()) == pytest.approx(1.0, abs=1e-12)
    with_it, before = model.probability(columns), without(model).probability(columns)
    assert with_it.mean() == pytest.approx(before.mean(), abs=1e-9)
    assert np.abs(with_it - before).max() > 0.01
    # what season and calendar make of the level is not moved by the hazard
    assert model.season_log_odds == without(model).season_log_odds


@pytest.mark.slow
def test_its_columns_are_those_that_scores_are_computed_from(shop: Trained) -> None:
    panel = shop.training.panel
    as_of_day = day_number(panel.as_of)
    histories = Histories.of(panel.life.record.days, panel.catalog)
    (now,) = histories.at([as_of_day])
    columns = histories.columns(now, as_of_day)
    for name in COLUMNS:
        expected = panel.now.features[name][panel.now.buyers]
        np.testing.assert_array_equal(columns[name], expected, err_msg=name)


def test_periods_by_hand() -> None:
    # two customers, known until day 30; periods of 7 days start on days 23, 16, 9 and 2
    days = days_of(np.array([0, 0, 0, 1, 1]), np.array([1, 10, 29, 12, 20]))
    periods = Periods.of(Histories.of(days, CATALOG), 30, 7)
    first = np.flatnonzero(periods.aggregates["first_day"] == 1)
    assert periods.start[first].tolist() == [23, 16, 9, 2]
    assert periods.ordered[first].tolist() == [True, False, True, False]
    assert periods.aggregates["orders"][first].tolist() == [2, 2, 1, 1]
    second = np.flatnonzero(periods.aggregates["first_day"] == 12)
    assert periods.start[second].tolist() == [23, 16]
    assert periods.ordered[second].tolist() == [False, True]
    assert periods_of(28) == (4, 7)


def test_more_silence_moves_recency_age_and_their_ratios_alone() -> None:
    days = days_of(np.zeros(4, dtype=np.int64), np.array([0, 10, 30, 35]))
    histories = Histories.of(days, CATALOG)
    (now,) = histories.at([40.0])
    at_once, later = histories.columns(now, 40.0), histories.columns(now, 47.0)
    assert (at_once["recency_days"][0], later["recency_days"][0]) == (5.0, 12.0)
    assert (at_once["T_days"][0], later["T_days"][0]) == (40.0, 47.0)
    assert later["overdue_longest"][0] == 12.0 / 20.0
    for name in ("orders", "gap_mean", "gap_last", "gap_longest", "gap_spread", "rhythm_days"):
        assert at_once[name][0] == later[name][0], name


@pytest.mark.slow
def test_a_hazard_that_is_the_same_for_all_is_recovered() -> None:
    per_day, customers, span = 0.03, 600, 181
    random = np.random.default_rng(1)
    bought = random.uniform(size=(customers, span)) < per_day
    # not all on one day: the age of customers would be the date, and its last week would count most
    bought[np.arange(customers), random.integers(0, 120, customers)] = True
    days = days_of(*(np.asarray(part, dtype=np.int64) for part in np.nonzero(bought)))
    trees = fit_hazard(days, CATALOG, float(span), 28, 1)
    assert trees is not None
    histories = Histories.of(days, CATALOG)
    (now,) = histories.at([float(span)])
    p = expit(trees.raw(histories.columns(now, float(span))))
    # (1 - 0.03)^28; about 15,600 weeks of which a fifth had an order determine it to a few per cent
    assert abs(p.mean() / (1 - per_day) ** 28 - 1) < 0.06
    assert 0.1 < p.min() < p.max() < 0.9


@pytest.mark.slow
def test_later_events_do_not_move_it(rows: pd.DataFrame) -> None:
    as_of = day(300)
    past = rows[rows["timestamp"] < as_of.replace(tzinfo=None)]
    assert len(past) < len(rows)
    texts = []
    for events in (rows, past):
        with log_of(events) as log:
            days = DailyTable(log.con, as_of).purchase_days()
        trees = fit_hazard(days, CATALOG, day_number(as_of), HORIZON, 1)
        assert trees is not None
        texts.append(trees.text)
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    days = _many_days()
    texts = []
    for threads in (1, 2):
        monkeypatch.setattr(boosting, "training_threads", lambda threads=threads: threads)
        trees = fit_hazard(days, CATALOG, 200.0, 28, 1)
        assert trees is not None
        texts.append(trees.text)
    assert texts[0] == texts[1]


def _many_days() -> PurchaseDays:
    random = np.random.default_rng(3)
    bought = random.uniform(size=(60, 200)) < random.gamma(1.0, 0.04, 60)[:, None]
    bought[:, 0] = True
    return days_of(*(np.asarray(part, dtype=np.int64) for part in np.nonzero(bought)))


@pytest.mark.parametrize("number", [np.array([], dtype=np.int64), np.array([7])])
def test_too_few_periods_teach_no_hazard(number: Integers) -> None:
    days = days_of(np.zeros(len(number), dtype=np.int64), number)
    assert fit_hazard(days, CATALOG, 60.0, 28, 1) is None


@pytest.mark.slow
def test_it_joins_only_a_pool_of_all_members(shop: Trained) -> None:
    panel, columns = shop.training.panel, buyers_of(shop)
    pool = without(shop.training.models.churn)
    days, as_of = panel.life.record.days, panel.as_of

    def joined(model: ChurnModel, settings: Hazard | None, at: datetime = as_of) -> ChurnModel:
        return with_hazard(model, days, panel.catalog, at, columns, 1, settings)

    assert joined(pool, None) is pool
    for other in (
        replace(pool, few_customers=True),
        replace(pool, alone="btyd"),
        replace(pool, method="btyd"),
    ):
        assert joined(other, Hazard()) is other
    a_third = joined(pool, Hazard(weight=1 / 3))
    assert a_third.weights[NAME] == 1 / 3
    assert a_third.weights["btyd"] == pytest.approx(pool.weights["btyd"] * 2 / 3)
    assert not MemberSettings(hazard=None).uses(NAME)


@pytest.mark.slow
def test_its_effects_add_up_to_its_log_odds(shop: Trained) -> None:
    member, columns = shop.training.models.churn.hazard, buyers_of(shop)
    assert isinstance(member, HazardOdds)
    base = member.trees.contributions(columns)[:, -1]
    effects = sum(effect for _, effect in member.effects(columns))
    np.testing.assert_allclose(effects + base + member.shift, member.margin(columns), atol=1e-9)


@pytest.mark.slow
def test_a_bundle_holds_it_and_one_of_before_needs_none(shop: Trained) -> None:
    columns = buyers_of(shop)
    again, model = shop.reloaded().models.churn, shop.training.models.churn
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()
    assert (shop.folder / "churn_hazard.lightgbm.txt").is_file()
    before = load_bundle(FOLDER / "format-8")
    assert before.models.churn.hazard is None
    assert NAME not in before.models.churn.weights

"""Orders and money: scales, levels, and intervals that cover what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.fitting import fit_models
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import predict
from stagecast.training.panel import Frame
from stagecast.training.value.fitting import fit_value
from stagecast.training.value.intervals import ROWS_PER_BIN, Intervals, conformal
from stagecast.training.value.model import SPREAD, ValueModel
from tests.training.made import Trained, a_frame

NO_BASE = CustomerBase((), None)


def date(orders: list[float], spend: list[float], spend_mean: float = 10.0) -> Frame:
    """Return a date on which the customer base expects 0.8 orders, and one with a chance of 40
    %: two, if any.
    """
    rows = len(orders)
    columns = {
        "orders": np.ones(rows),
        "spend_mean": np.full(rows, spend_mean),
        "T_days": np.arange(rows),
    }
    columns |= {"btyd_none": np.full(rows, np.log(0.6 / 0.4)), "btyd_orders": np.full(rows, 0.8)}
    return a_frame(columns, orders=orders, spend=spend)  # type: ignore[arg-type]


def covered(intervals: Intervals, prediction: Array, outcome: Array) -> float:
    low, high = intervals.around(prediction)
    return float(((outcome >= low) & (outcome <= high)).mean())


def heavy(rows: int, random: np.random.Generator) -> tuple[Array, Array]:
    prediction = random.lognormal(3, 1.2, rows)
    return prediction, prediction * random.lognormal(-0.3, 1.0 + 0.2 * (prediction > 20), rows)


def inflated(rows: int, random: np.random.Generator) -> tuple[Array, Array]:
    prediction, outcome = heavy(rows, random)
    return prediction, np.where(random.random(rows) < 0.6, 0.0, outcome)


def rarely_nothing(rows: int, random: np.random.Generator) -> tuple[Array, Array]:
    prediction, outcome = heavy(rows, random)
    return prediction, np.where(random.random(rows) < 0.02, 0.0, outcome)


@pytest.mark.parametrize("draw", [heavy, inflated, rarely_nothing])
@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_cover_nine_in_ten(draw: object, seed: int) -> None:
    assert callable(draw)
    random = np.random.default_rng(seed)
    intervals = conformal(*draw(3_000, random))
    prediction, outcome = draw(20_000, random)
    assert covered(intervals, prediction, outcome) == pytest.approx(0.90, abs=0.03)
    # and not only on average: the largest predictions, too
    large = prediction > np.quantile(prediction, 0.9)
    assert covered(intervals, prediction[large], outcome[large]) == pytest.approx(0.90, abs=0.06)


def test_quantiles_by_hand() -> None:
    ratio = np.arange(1.0, 40.0)  # 39 of them: of the next one, each of 40 places is as likely
    two_sided = conformal(np.ones(39), ratio)
    assert (two_sided.edges, two_sided.low, two_sided.high) == ((), (2.0,), (38.0,))
    outcome = np.r_[np.zeros(19), np.arange(1.0, 21.0)]
    one_sided = conformal(np.ones(39), outcome)
    assert (one_sided.low, one_sided.high) == ((0.0,), (17.0,))  # the 36th of 39


def test_a_bin_has_rows_enough() -> None:
    random = np.random.default_rng(3)
    prediction, outcome = heavy(5 * ROWS_PER_BIN + 3, random)
    assert len(conformal(prediction, outcome).edges) == 4
    assert len(conformal(*heavy(ROWS_PER_BIN, random)).edges) == 0
    assert len(conformal(*heavy(100 * ROWS_PER_BIN, random)).edges) == 9


def test_intervals_enclose_the_prediction_and_are_never_negative() -> None:
    intervals = Intervals((10.0,), (2.0, 0.1), (3.0, 0.5))
    low, high = intervals.around(np.array([0.0, 10.0, 10.1, 1e9]))
    np.testing.assert_allclose(low, [0.0, 10.0, 1.01, 1e8])
    np.testing.assert_allclose(high, [0.0, 30.0, 10.1, 1e9])


def test_refunds_beyond_the_spend_count_as_nothing() -> None:
    intervals = conformal(np.full(100, 5.0), np.r_[np.full(50, -20.0), np.full(50, 10.0)])
    assert intervals.low == (0.0,)
    assert intervals.high == (2.0,)


@pytest.mark.parametrize("prediction", [[], [np.nan, np.nan], [0.0, 0.0]])
def test_without_a_prediction_the_interval_is_wide(prediction: list[float]) -> None:
    intervals = conformal(np.array(prediction), np.zeros(len(prediction)))
    assert (intervals.low, intervals.high) == ((0.0,), (10.0,))


def test_equal_predictions_share_one_bin() -> None:
    intervals = conformal(np.full(1_000, 500.0), np.arange(1_000.0))
    low, high = intervals.around(np.array([500.0]))
    assert covered(intervals, np.full(1_000, 500.0), np.arange(1_000.0)) == pytest.approx(
        0.9, abs=0.01
    )
    assert low[0] < 500.0 < high[0]


def test_intervals_survive_json() -> None:
    intervals = conformal(*heavy(1_000, np.random.default_rng(4)))
    assert Intervals.from_json(json.loads(json.dumps(intervals.to_json()))) == intervals


def test_orders_are_brought_to_what_came() -> None:
    # two orders expected of those who order at all; they made three
    frame = date([0.0, 3.0, 3.0, 0.0], [0.0, 45.0, 45.0, 0.0])
    model = fit_value([frame], {90: NO_BASE}, True, 1)
    assert model.orders_scale == pytest.approx(2.0)
    assert model.orders_if_any(frame.columns).tolist() == pytest.approx([3.0] * 4)


def test_the_level_of_the_newest_date_is_carried_half_way_by_as_many_as_tell_of_it() -> None:
    # 10 on each of two days expected of each, 40 came; 100 spenders are a quarter of what is sure
    # with 300 others
    frame = date([3.0] * 100, [40.0] * 100)
    model = fit_value([frame], {90: NO_BASE}, True, 1)
    assert model.trees is None
    assert model.spend_scale == pytest.approx(2.0 ** (0.5 * 100 / 400))
    spend = model.spend_if_any(frame.columns, None)
    assert spend is not None
    assert spend.tolist() == pytest.approx([20.0 * model.spend_scale] * 100)


def test_the_level_of_the_same_season_goes_before_that_of_the_newest_date() -> None:
    newest = date([3.0] * 100, [40.0] * 100)
    year_ago = replace(date([3.0] * 100, [10.0] * 100), back=365)
    model = fit_value([newest, year_ago], {90: NO_BASE, 365: NO_BASE}, True, 1, season=year_ago)
    assert model.spend_scale == pytest.approx(0.5 ** (0.75 * 100 / 400))


def test_the_level_of_a_season_is_told_by_a_model_that_did_not_see_it() -> None:
    def at(back: int, spend: float) -> Frame:
        return replace(date([2.0] * 400, [spend] * 400), back=back)

    newest, season, between = at(90, 20.0), at(365, 40.0), at(180, 20.0)
    model = fit_value(
        [newest, between, season], dict.fromkeys((90, 180, 365), NO_BASE), True, 1, season=season
    )
    assert model.trees is not None
    # the trees learned from it, too, and would have called it less than twice as much
    assert model.spend_scale == pytest.approx(2.0 ** (0.75 * 400 / 700), rel=1e-3)


def test_too_few_spenders_beside_a_season_leave_its_level_to_the_whole_model() -> None:
    newest = replace(date([2.0] * 200, [20.0] * 200), back=90)
    season = replace(date([2.0] * 200, [40.0] * 200), back=365)
    bases = dict.fromkeys((90, 365), NO_BASE)
    model = fit_value([newest, season], bases, True, 1, season=season)
    assert model.trees is not None  # on 400 spenders; 200 would be too few
    unscaled = replace(model, spend_scale=1.0).spend_if_any(season.columns, None)
    assert unscaled is not None
    assert model.spend_scale == pytest.approx((40.0 / unscaled.mean()) ** (0.75 * 200 / 500))


def test_scales_stay_within_bounds() -> None:
    model = fit_value([date([9.0] * 290, [1e9] * 290)], {90: NO_BASE}, True, 1)
    assert model.orders_scale == 5.0
    assert model.spend_scale == pytest.approx(5.0 ** (0.5 * 290 / 590))
    assert fit_value([date([1.0], [-5.0])], {90: NO_BASE}, True, 1).spend_scale == pytest.approx(
        0.2 ** (0.5 / 301)
    )


def test_a_log_without_amounts_has_orders_but_no_money() -> None:
    frame = date([0.0, 2.0], [0.0, 0.0])
    model = fit_value([frame], {90: NO_BASE}, False, 1)
    assert model.spend_if_any(frame.columns, None) is None
    assert model.orders_scale == pytest.approx(1.0)


def test_where_nobody_bought_the_mean_so_far_stands_in() -> None:
    frame = date([0.0, 0.0], [0.0, 0.0])
    for dates in ([frame], []):
        model = fit_value(dates, {90: NO_BASE}, True, 1, mean_so_far=12.5)
        assert (model.mean_spend, model.orders_scale, model.spend_scale) == (12.5, 1.0, 1.0)
    assert fit_value([frame], {90: NO_BASE}, False, 1, mean_so_far=12.5).mean_spend is None


def test_expected_orders_of_those_who_order_are_one_or_more() -> None:
    model = ValueModel(None, 1.0, 0.2, 1.0)
    few = {"btyd_none": np.array([-3.0]), "btyd_orders": np.array([0.1]), "orders": np.ones(1)}
    assert model.orders_if_any(few).tolist() == [1.0]
    assert model.orders_if_any({"orders": np.ones(2)}).tolist() == [1.0, 1.0]


def test_spreading_keeps_the_total_and_the_order_and_draws_apart() -> None:
    random = np.random.default_rng(5)
    plain = random.uniform(0.01, 1.0, 500) * random.lognormal(3, 1, 500)
    model = ValueModel(None, 20.0, 1.0, 1.0)
    assert (model.spread(plain) == 1.0).all()
    spreading = model.spread_around(plain)
    wide = plain * spreading.spread(plain)
    assert wide.sum() == pytest.approx(plain.sum())
    np.testing.assert_array_equal(np.argsort(wide), np.argsort(plain))
    assert np.polyfit(np.log(plain), np.log(wide), 1)[0] == pytest.approx(SPREAD)
    # what is expected to spend the pivot stays as it is
    assert spreading.pivot is not None
    assert spreading.spread(np.array([spreading.pivot]))[0] == pytest.approx(1.0)
    # where nothing is expected there is nothing to spread
    assert model.spread_around(np.zeros(500)).pivot is None
    assert model.spread_around(np.zeros(0)).pivot is None


def test_a_training_spreads_what_its_buyers_spend_and_leaves_the_total(shop: Trained) -> None:
    panel, models = shop.training.panel, shop.training.models
    plain = replace(models, value=replace(models.value, pivot=None))
    spread, before = (
        predict(one, panel.now).expected_spend[panel.now.buyers] for one in (models, plain)
    )
    assert spread.sum() == pytest.approx(before.sum())
    assert spread.std() > before.std()
    without = shop.training.models.value.to_json() | {"pivot": None}
    assert ValueModel.from_json(without, None).pivot is None
    assert ValueModel.from_json(models.value.to_json(), None).pivot == models.value.pivot


def test_a_customer_base_model_that_the_season_lacks_is_heard_at_no_date(shop: Trained) -> None:
    panel, models = shop.training.panel, shop.training.models
    lacking = "btyd_none_pareto_nbd"
    dates = [
        replace(
            frame,
            columns={
                name: v for name, v in frame.columns.items() if name != lacking or frame.back != 365
            },
        )
        for frame in panel.dates
    ]
    assert any(lacking not in frame.columns for frame in dates)
    few = np.arange(50)
    days = PurchaseDays(few // 5, few % 5 * 30, np.ones(50), few)
    fitted, predicted = fit_models(replace(panel, dates=tuple(dates)), days, models.config, True)
    assert fitted.value.trees is not None
    assert lacking not in fitted.value.trees.columns
    assert np.isfinite(predicted.expected_spend).all()


def test_money_is_the_geometric_mean_of_both_models(shop: Trained) -> None:
    models, frame = shop.training.models, shop.training.panel.dates[0]
    value = models.value
    assert value.trees is not None
    assert models.base is not None
    each = models.base.spend_per_order(frame.columns)
    simple = ValueModel(None, value.mean_spend, value.orders_scale, value.spend_scale).spend_if_any(
        frame.columns, each
    )
    both = value.spend_if_any(frame.columns, each)
    assert simple is not None
    assert both is not None
    boosted = np.exp(value.trees.raw(frame.columns)) * value.spend_scale
    np.testing.assert_allclose(both, simple ** (2 / 3) * boosted ** (1 / 3), rtol=1e-9)
    again = ValueModel.from_json(json.loads(json.dumps(value.to_json())), value.trees.text)
    assert again.spend_if_any(frame.columns, each).tobytes() == both.tobytes()  # type: ignore[union-attr]

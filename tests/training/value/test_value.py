"""Orders and money: factors that past dates teach, spend so far, and who has never paid."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.learners.blend import carried_share
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import without_outliers
from stagecast.training.models import predict
from stagecast.training.panel import Frame
from stagecast.training.value.fitting import Teaching, fit_value
from stagecast.training.value.model import ValueModel, spend_so_far
from stagecast.training.value.spans import Purchases
from stagecast.training.value.times import SEASON_CARRIED
from tests.training.made import START, Trained, a_frame

NO_BASE = CustomerBase((), None)
NOTHING = np.zeros(0, dtype=np.int64)
NO_PURCHASES = Purchases(PurchaseDays(NOTHING, NOTHING, np.zeros(0), NOTHING), 0.0)


def date(orders: list[float], spend: list[float], spend_mean: float = 10.0) -> Frame:
    """Return a date on which the customer base expects 0.8 orders, and a purchase with a chance of
    40 %: two orders, if any.
    """
    rows = len(orders)
    columns = {
        "orders": np.ones(rows),
        "spend_mean": np.full(rows, spend_mean),
        "T_days": np.arange(rows),
    }
    columns |= {"btyd_none": np.full(rows, np.log(0.6 / 0.4)), "btyd_orders": np.full(rows, 0.8)}
    return a_frame(columns, orders=orders, spend=spend)  # type: ignore[arg-type]


def fitted(
    dates: list[Frame], *, has_amounts: bool = True, seasons: tuple[Frame, ...] = ()
) -> ValueModel:
    """Return the value model of dates without a customer base of money."""
    now = {
        "spend_mean": np.full(3, 10.0),
        "spend_first": np.full(3, 10.0),
        "monetary": np.full(3, 10.0),
        "frequency": np.ones(3),
    }
    bases = {frame.back: NO_BASE for frame in dates}
    teaching = Teaching(dates, bases, NO_PURCHASES, has_amounts, 800.0, now, START, seasons)
    return fit_value(teaching, TrainConfig(value_horizon_days=90))


def test_orders_are_brought_to_what_came() -> None:
    # two orders expected of those who order at all; they made three
    frame = date([0.0, *[3.0] * 40], [0.0, *[45.0] * 40])
    model = fitted([frame])
    assert model.orders.level == pytest.approx(2.0)
    assert model.orders_if_any(frame.columns, np.full(41, 0.6)).tolist() == pytest.approx(
        [3.0] * 41
    )


def test_the_level_of_the_newest_date_is_carried_half_way() -> None:
    newest = date([2.0] * 120, [40.0] * 120)
    older = replace(date([2.0] * 120, [20.0] * 120), back=180)
    model = fitted([newest, older])
    # 15 per order on average, 20 at the newest date
    assert model.spend.level == pytest.approx(1.5 * (20.0 / 15.0) ** 0.5, rel=0.02)


def test_seasons_that_agree_count_for_more_than_one() -> None:
    dates = [
        replace(date([2.0] * 90, [spend] * 90), back=back)
        for back, spend in ((90, 20.0), (365, 40.0), (730, 40.0))
    ]
    item = fitted(dates, seasons=(dates[1],))
    two = fitted(dates, seasons=(dates[1], dates[2]))
    mean = (10.0 + 20.0 + 20.0) / 3 / 10.0
    assert item.spend.level == pytest.approx(
        mean * (2.0 / mean) ** carried_share(SEASON_CARRIED, [1.0]), rel=0.03
    )
    assert two.spend.level == pytest.approx(
        mean * (2.0 / mean) ** carried_share(SEASON_CARRIED, [1.0, 1.0]), rel=0.03
    )


@pytest.mark.parametrize("years", [1, 2, 3])
def test_orders_of_those_who_order_rise_with_the_season(years: int) -> None:
    # three orders each at the date of a season, two at the others, which are more
    seasons = tuple(replace(date([3.0] * 150, [30.0] * 150), back=365 * k) for k in (1, 2, 3))
    others = [replace(date([2.0] * 150, [20.0] * 150), back=back) for back in (90, 120, 150, 180)]
    dates = sorted([*others, *seasons], key=lambda frame: frame.back)
    level = fitted(dates, seasons=seasons[:years]).orders.level
    without = fitted(dates).orders.level
    repeats = (4 * 1.0 + 3 * 2.0) / 7
    share = carried_share(SEASON_CARRIED, [1.0] * years)
    assert level / without == pytest.approx((2.0 / repeats) ** share, rel=0.02)


def test_years_that_differ_count_for_less_than_years_that_agree() -> None:
    agree, differ = carried_share(0.75, [0.4, 0.4, 0.4]), carried_share(0.75, [1.0, -0.2, 0.4])
    assert 0.5 < differ < carried_share(0.75, [0.4]) + 0.1 < agree < 1.0


def test_a_typing_error_counts_as_ten_times_the_usual_at_most() -> None:
    spend = [10.0] * 300
    usual = fitted([date([1.0] * 300, spend)])
    mistyped = fitted([date([1.0] * 300, [1e9, *spend[1:]])])
    assert mistyped.spend.level == pytest.approx(usual.spend.level, rel=0.05)


def test_a_log_without_amounts_has_orders_but_no_money() -> None:
    frame = date([0.0, 2.0], [0.0, 0.0])
    model = fitted([frame], has_amounts=False)
    assert model.spend_per_order(frame.columns, NO_BASE) is None


def test_where_nobody_bought_the_customer_base_stands() -> None:
    frame = date([0.0, 0.0], [0.0, 0.0])
    for dates in ([frame], []):
        model = fitted(dates)
        assert (model.orders.level, model.rest.level, model.spend.level) == (1.0, 1.0, 1.0)
        assert model.mean_spend == 10.0


def test_expected_orders_of_those_who_order_are_one_or_more() -> None:
    model = ValueModel(None)
    few = {"btyd_none": np.array([-3.0]), "btyd_orders": np.array([0.1]), "orders": np.ones(1)}
    assert model.orders_if_any(few, np.full(1, 0.5)).tolist() == [1.0]
    assert model.orders_if_any({"orders": np.ones(2)}, np.full(2, 0.5)).tolist() == [1.0, 1.0]


def test_who_never_paid_stands_below_who_paid_a_cent_below_who_paid() -> None:
    columns = {"orders": np.full(3, 12.0), "spend_mean": np.array([0.0, 0.01, 30.0])}
    for p_paid in (0.05, 0.5, 0.95):
        nothing, cent, thirty = spend_so_far(columns, None, 20.0, p_paid)
        assert nothing < thirty
        assert cent < thirty
    shares = spend_so_far(
        {"orders": np.array([1.0, 3.0, 10.0]), "spend_mean": np.zeros(3)}, None, 20.0, 0.1
    )
    assert (np.diff(shares) < 0).all()
    assert shares[-1] < 0.01 * 20.0


def test_a_fixed_price_stays_the_price(shop: Trained) -> None:
    base = shop.training.models.base
    assert base is not None
    amounts = without_outliers(np.full(500, 30.0))
    assert amounts.tolist() == pytest.approx([30.0] * 500)


def test_one_wholesaler_is_moved_to_the_border_and_leaves_the_others() -> None:
    random = np.random.default_rng(5)
    usual = random.lognormal(3.0, 0.5, 500)
    both = without_outliers(np.r_[usual, 1e6])
    np.testing.assert_allclose(both[:-1], without_outliers(usual), rtol=0.02)
    assert both[-1] < 30 * np.median(usual)


@pytest.mark.slow
def test_a_customer_base_model_that_the_season_lacks_is_used_at_no_date(shop: Trained) -> None:
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
    again, predicted = fit_models(replace(panel, dates=tuple(dates)), days, models.config, True)
    assert all(lacking not in trees.columns for trees in again.value.trees.values())
    assert np.isfinite(predicted.expected_spend).all()


def test_the_model_survives_json(shop: Trained) -> None:
    models, now = shop.training.models, shop.training.panel.now
    texts = {name: trees.text for name, trees in models.value.trees.items()}
    assert texts
    again = ValueModel.from_json(json.loads(json.dumps(models.value.to_json())), texts)
    assert again == models.value
    with pytest.raises(ValueError, match="trees of a factor is missing"):
        ValueModel.from_json(models.value.to_json(), {})
    assert predict(replace(models, value=again), now).clv.tobytes() == (
        predict(models, now).clv.tobytes()
    )

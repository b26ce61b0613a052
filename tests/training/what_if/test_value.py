"""The value of buyers with the levers: as the scores say without any, and the right way with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.features.snapshots import Snapshot
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.models import Models, contracts_of, predict
from stagecast.training.what_if.assumptions import assumptions
from stagecast.training.what_if.levers import TOGETHER, Levers
from stagecast.training.what_if.value import WhatIf, what_if
from tests.training.made import Trained, day, trained
from tests.training.made_contracts import subscriptions

pytestmark = pytest.mark.slow

ALL = Levers(churn=-0.05, second_order_days=-10.0, basket=0.05)


def worked_out(models: Models, now: Snapshot, levers: Levers) -> WhatIf:
    active: NDArray[np.bool_] = kind_of(models.config.churn).states(models, now) == "active"
    return what_if(models, now, predict(models, now, 1), active, levers, 1)


def one_in_three(shop: Trained) -> Snapshot:
    now = shop.training.panel.now
    return now.of(np.arange(0, len(now), 3))


def of_shop(shop: Trained, **levers: float) -> Array:
    """Return the value of a third of the buyers with one lever, over one year and three."""
    result = worked_out(shop.training.models, one_in_three(shop), Levers(**levers))
    (values,) = result.changed.values()
    return np.asarray(values.sum(axis=0))


def test_without_a_change_the_value_is_that_of_the_scores(shop: Trained) -> None:
    result = worked_out(shop.training.models, shop.training.panel.now, Levers())
    scores = shop.scores().to_pandas()
    buyers = scores[scores["state"] != "prospect"]
    by_year = np.array(buyers["clv_by_year"].tolist())
    one_year, three_years = result.as_is.sum(axis=0)
    assert len(result.rows) == len(buyers)
    assert one_year == pytest.approx(buyers["clv"].sum(), rel=1e-9)
    assert one_year == pytest.approx(by_year[:, 0].sum(), rel=1e-12)
    assert three_years == pytest.approx(by_year[:, :3].sum(), rel=1e-12)
    assert result.changed == {}


@pytest.mark.parametrize(
    ("lever", "worst_to_best"),
    [
        ("churn", [0.2, 0.05, -0.05, -0.2, -0.5]),
        ("second_order_days", [10.0, -5.0, -10.0, -20.0]),
        ("basket", [-0.05, 0.01, 0.05]),
    ],
)
def test_each_lever_moves_the_value_its_way_and_further_the_more(
    shop: Trained, lever: str, worst_to_best: list[float]
) -> None:
    now = worked_out(shop.training.models, one_in_three(shop), Levers()).as_is.sum(axis=0)
    values = np.array([of_shop(shop, **{lever: change}) for change in worst_to_best])
    assert (np.diff(values, axis=0) > 0).all()
    assert ((values > now).all(axis=1) == _is_better(lever, worst_to_best)).all()
    assert ((values < now).all(axis=1) != _is_better(lever, worst_to_best)).all()


def _is_better(lever: str, changes: list[float]) -> NDArray[np.bool_]:
    values = np.array(changes)
    return np.asarray(values > 0 if lever == "basket" else values < 0)


def test_a_basket_of_five_per_cent_more_is_five_per_cent_of_the_money(shop: Trained) -> None:
    result = worked_out(shop.training.models, shop.training.panel.now, Levers(basket=0.05))
    np.testing.assert_array_equal(result.changed["basket +5%"], result.as_is * 1.05)


def test_all_levers_together_are_no_less_than_any_alone(shop: Trained) -> None:
    result = worked_out(shop.training.models, shop.training.panel.now, ALL)
    together = result.changed[TOGETHER]
    assert list(result.changed) == ["churn -5%", "second order -10d", "basket +5%", TOGETHER]
    for name, values in result.changed.items():
        assert (together >= values * (1.0 - 1e-9)).all(), name
        assert (values >= result.as_is * (1.0 - 1e-6)).all(), name


def test_a_second_order_moves_the_value_of_one_time_buyers_alone(shop: Trained) -> None:
    now = shop.training.panel.now
    result = worked_out(shop.training.models, now, Levers(second_order_days=-10.0))
    once = now.features["frequency"][result.rows] == 0
    (values,) = result.changed.values()
    assert result.one_time == once.sum() > 0
    np.testing.assert_array_equal(values[~once], result.as_is[~once])
    # later purchases of who left already are worth nothing now either
    worth = once & (result.as_is[:, 0] > 0)
    assert (values[worth] > result.as_is[worth]).all()


def test_without_one_time_buyers_the_second_order_changes_nothing(shop: Trained) -> None:
    now = shop.training.panel.now
    repeaters = now.of(np.flatnonzero(now.features["frequency"] > 0))
    result = worked_out(shop.training.models, repeaters, ALL)
    np.testing.assert_array_equal(result.changed["second order -10d"], result.as_is)
    assert result.second is None
    assert any("nobody has bought exactly once" in text for text in assumptions(result, 90, 0.1))


def test_the_ratio_is_that_of_orders_within_the_horizon_and_after_it(shop: Trained) -> None:
    models, now = shop.training.models, shop.training.panel.now
    base = models.base
    assert base is not None
    # the models of P(no purchase) read both; all the weight is on the second
    pareto = base.models[1]
    models = replace(models, base=replace(base, weights=(0.0, 1.0)))
    predicted = predict(models, now, 1)
    result = worked_out(models, now, Levers(churn=-0.3))
    _, factor = result.leaving.drop_out[None]
    assert pareto.name == "pareto_nbd"
    r, alpha, s, beta = pareto.params
    changed = replace(pareto, params=(r, alpha, s * factor, beta))
    x, t_x, T = (predicted.columns[key] for key in ("frequency", "t_x_days", "T_days"))
    rate, horizon = models.config.annual_discount, float(models.config.horizon_days)
    alive = pareto.p_alive(x, t_x, T)
    before, after = (
        {d: m.expected_orders_discounted(d, x, t_x, T, rate, alive) for d in (horizon, 365.0)}
        for m in (pareto, changed)
    )
    daily = np.log1p(rate) / 365.0
    near = predicted.expected_orders[predicted.buyers] * -np.expm1(-daily * horizon) / daily
    near /= horizon
    rest = models.value.rest.of(predicted.columns, 1)
    orders = near + rest * (before[365.0] - before[horizon])
    then = near * after[horizon] / before[horizon] + rest * (after[365.0] - after[horizon])
    (values,) = result.changed.values()
    np.testing.assert_allclose(values[:, 0], result.as_is[:, 0] * then / orders, rtol=1e-9)


def test_a_log_without_amounts_is_refused(shop: Trained) -> None:
    models = shop.training.models
    models = replace(models, value=replace(models.value, mean_spend=None))
    with pytest.raises(DataRefusedError, match="without amounts"):
        worked_out(models, shop.training.panel.now, ALL)


def test_without_a_customer_base_there_is_not_enough_data(shop: Trained) -> None:
    models = replace(shop.training.models, base=None)
    predicted = predict(shop.training.models, shop.training.panel.now, 1)
    nobody = np.zeros(len(shop.training.panel.now), dtype=bool)
    with pytest.raises(NotEnoughDataError, match="no customer base"):
        what_if(models, shop.training.panel.now, predicted, nobody, ALL, 1)


def test_a_short_history_does_not_tell_of_years(shop: Trained) -> None:
    models = shop.training.models
    models = replace(models, value=replace(models.value, history_days=100.0))
    with pytest.raises(NotEnoughDataError, match="more than three times the 100 days"):
        worked_out(models, shop.training.panel.now, ALL)


def test_where_nobody_is_active_the_leaving_of_all_buyers_is_meant(shop: Trained) -> None:
    models, now = shop.training.models, shop.training.panel.now
    nobody = np.zeros(len(now), dtype=bool)
    result = what_if(models, now, predict(models, now, 1), nobody, Levers(churn=-0.05), 1)
    assert result.leaving.customers == len(result.rows)
    assert result.leaving.after == pytest.approx(0.95 * result.leaving.before, rel=1e-6)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = TrainConfig(horizon_days=30, churn="cancellation", max_dates=1)
    folder = tmp_path_factory.mktemp("service") / "model"
    return trained(subscriptions(150), folder, day(400), config, evaluated=False)


def test_contracts_that_are_cancelled_less_often_last_longer(service: Trained) -> None:
    models, now = service.training.models, service.training.panel.now
    result = worked_out(models, now, ALL)
    contracts = contracts_of(now).of(result.rows)
    is_open, may_end = contracts.open, contracts.open & ~contracts.announced
    ratio = result.changed["churn -5%"] / result.as_is
    p = predict(models, now, 1).p_cancel[result.rows][may_end]
    daily = np.log1p(models.config.annual_discount) / 365.0

    def lasting(p_cancel: Any, days: int) -> Any:
        # a constant hazard and the discount, integrated
        rate = daily - np.log1p(-p_cancel) / 30.0
        return -np.expm1(-rate * days) / rate

    for column, days in enumerate((365, 1095)):
        expected = lasting(0.95 * p, days) / lasting(p, days)
        np.testing.assert_allclose(ratio[may_end, column], expected, rtol=1e-9)
    assert (ratio[may_end] > 1.0).all()
    assert (ratio[~may_end] == 1.0).all()
    assert result.leaving.after == pytest.approx(0.95 * result.leaving.before)
    # whoever has a contract pays by its terms
    assert (result.changed["second order -10d"][is_open] == result.as_is[is_open]).all()
    assert "open contracts" in " ".join(assumptions(result, 30, 0.1))

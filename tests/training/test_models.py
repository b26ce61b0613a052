"""All models together: many rows are predicted in parts, and come back as they stood."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from stagecast.training.config import TrainConfig
from stagecast.training.models import Predictions, predict
from stagecast.training.value.model import MAX_VALUE_DAYS
from tests.training.made import Row, Trained, day, trained


def test_parts_on_all_cores_are_the_whole(shop: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    models, now = shop.training.models, shop.training.panel.now
    whole = predict(models, now, threads=1)
    monkeypatch.setattr("stagecast.training.models.ROWS_AT_ONCE", 90)
    monkeypatch.setattr("stagecast.training.learners.customer_base.DEDUPLICATION_ROWS", 1)
    parts = predict(models, now)
    assert len(now) > 5 * 90
    assert 0 < len(whole.buyers) < len(now)
    np.testing.assert_array_equal(parts.buyers, whole.buyers)
    assert set(parts.columns) == set(whole.columns)
    for name, values in whole.columns.items():
        np.testing.assert_allclose(parts.columns[name], values, rtol=1e-9, err_msg=name)
    for item in fields(Predictions):
        if item.name not in ("columns", "buyers"):
            np.testing.assert_allclose(
                getattr(parts, item.name), getattr(whole, item.name), rtol=1e-9, err_msg=item.name
            )


def test_the_same_rows_give_the_same_bytes(shop: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagecast.training.models.ROWS_AT_ONCE", 90)
    first, second = (predict(shop.training.models, shop.training.panel.now) for _ in range(2))
    assert first.p_inactive.tobytes() == second.p_inactive.tobytes()
    assert first.clv.tobytes() == second.clv.tobytes()


def test_value_and_what_comes_after_it_are_the_value_over_ten_years(shop: Trained) -> None:
    now = shop.training.panel.now
    value = replace(shop.training.models.value, history_days=MAX_VALUE_DAYS)
    models = replace(shop.training.models, value=value)
    ten_years = replace(models, config=replace(models.config, value_horizon_days=MAX_VALUE_DAYS))
    near, far = predict(models, now), predict(ten_years, now)
    bought = near.buyers
    np.testing.assert_allclose((near.clv + near.clv_residual)[bought], far.clv[bought], rtol=1e-9)
    assert (near.clv_residual[bought] > 0).all()
    assert (far.clv_residual == 0).all()
    # who never bought is alive by construction, and worth something after a year
    others = np.setdiff1d(np.arange(len(now)), bought)
    assert (near.clv_residual[others] > 0).all()


def test_without_a_customer_base_nobody_knows_what_comes_after(tmp_path: Path) -> None:
    rows: list[Row] = [(f"c{k}", day(5.0 * k), "purchase", 10.0) for k in range(8)]
    done = trained(rows, tmp_path / "model", day(40), TrainConfig(horizon_days=20))
    assert done.training.models.churn.method == "rule"
    assert done.scores()["clv"].null_count == 0
    assert done.scores()["clv_residual"].null_count == 8

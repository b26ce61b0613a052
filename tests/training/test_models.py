"""All models together: many rows are predicted in parts, and come back as they stood."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tests.training.made import Trained
from training.models import Predictions, predict_rows


def test_parts_on_all_cores_are_the_whole(shop: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    models, now = shop.training.models, shop.training.panel.now
    whole = predict_rows(models, now, threads=1)
    monkeypatch.setattr("training.models.ROWS_AT_ONCE", 90)
    monkeypatch.setattr("training.customer_base.MANY", 1)
    parts = predict_rows(models, now)
    assert len(now) > 5 * 90
    assert 0 < len(whole.buyers) < len(now)
    np.testing.assert_array_equal(parts.buyers, whole.buyers)
    assert set(parts.columns) == set(whole.columns)
    for name, values in whole.columns.items():
        np.testing.assert_allclose(parts.columns[name], values, rtol=1e-9, err_msg=name)
    for one in fields(Predictions):
        if one.name not in ("columns", "buyers"):
            np.testing.assert_allclose(getattr(parts, one.name), getattr(whole, one.name), rtol=1e-9, err_msg=one.name)


def test_the_same_rows_give_the_same_bytes(shop: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.models.ROWS_AT_ONCE", 90)
    first, second = (predict_rows(shop.training.models, shop.training.panel.now) for _ in range(2))
    assert first.p_inactive.tobytes() == second.p_inactive.tobytes()
    assert first.clv.tobytes() == second.clv.tobytes()

"""P(first purchase) for prospects: learned where enough converted, else the smoothed share."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.training.made import a_frame
from training.conversion import FEWEST_CONVERSIONS, ConversionModel, fit_conversion
from training.panel import Frame

EMPTY = np.zeros(0)


def prospects(rows: int, conversions: int) -> Frame:
    """Return prospects of whom the newest convert."""
    converted = (np.arange(rows) < conversions).astype(float)
    columns = {"tenure_days": np.arange(rows) + 1.0, "activity": np.ones(rows)}
    columns |= {
        "silence_days": np.arange(rows) // 7.0,
        "activity_30d": np.arange(rows) % 3.0,
        "activity_90d": np.arange(rows) % 5.0,
    }
    return a_frame(columns, orders=(2 * converted).tolist(), spend=(30 * converted).tolist())  # type: ignore[arg-type]


def test_few_conversions_give_the_smoothed_share() -> None:
    model = fit_conversion([prospects(50, 10), prospects(49, 9)], EMPTY, EMPTY)
    assert model.model is None
    assert model.probability({"tenure_days": np.ones(3)}).tolist() == [19.5 / 100] * 3
    assert (model.orders, model.spend, model.rows) == (2.0, 30.0, 99)


def test_enough_conversions_are_learned_from() -> None:
    frame = prospects(200, FEWEST_CONVERSIONS)
    model = fit_conversion([frame], EMPTY, EMPTY)
    assert model.model is not None
    p = model.probability(frame.columns)
    assert p.mean() == pytest.approx(FEWEST_CONVERSIONS / 200, abs=0.01)
    assert p[:10].min() > 0.5 > 0.05 > p[-10:].max()
    again = ConversionModel.from_json(json.loads(json.dumps(model.to_json())))
    assert again.probability(frame.columns).tobytes() == p.tobytes()


def test_nearly_all_converted_is_no_lesson_either() -> None:
    assert fit_conversion([prospects(60, 31)], EMPTY, EMPTY).model is None
    assert fit_conversion([prospects(60, 30)], EMPTY, EMPTY).model is not None


def test_of_prospects_nobody_saw_nothing_is_known() -> None:
    model = fit_conversion([], np.array([1.0, 2.0]), np.array([10.0, 30.0]))
    assert (model.share, model.orders, model.spend, model.rows) == (0.25, 1.5, 20.0, 0)
    none = fit_conversion([], EMPTY, EMPTY)
    assert (none.orders, none.spend) == (1.0, 0.0)


def test_without_a_conversion_new_customers_tell_what_they_bring() -> None:
    model = fit_conversion([prospects(9, 0)], np.array([3.0]), np.array([12.0]))
    assert (model.share, model.orders, model.spend) == (0.05, 3.0, 12.0)

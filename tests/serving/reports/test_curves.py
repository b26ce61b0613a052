"""Curves of the page of channels: where their numbers are written."""

from __future__ import annotations

import numpy as np

from stagecast.serving.reports.curves import HEADROOM, HEIGHT, LABEL_HEIGHT, drawing


def a_group(rng: np.random.Generator, cost: float | None) -> dict[str, object]:
    earned = np.cumsum(rng.gamma(1.0, 5.0, size=8))
    points = [
        {"days": 10.0 * k, "value": value, "low": 0.8 * value, "high": 1.2 * value}
        for k, value in enumerate(earned.tolist())
    ]
    return {
        "first_seen_in": "mail",
        "earned": points,
        "cac": None if cost is None else {"value": cost},
        "payback": None,
    }


def test_the_number_of_a_curve_lies_on_no_line_and_within_the_picture() -> None:
    rng = np.random.default_rng(4)
    moved = 0
    for _ in range(300):
        end = float(rng.uniform(1.0, 60.0))
        groups = [a_group(rng, None if rng.random() < 0.2 else end) for _ in range(3)]
        for curve in drawing(groups):
            top = curve.label - LABEL_HEIGHT
            assert top >= -HEADROOM
            assert curve.label < curve.end <= HEIGHT
            if curve.cost is not None:
                assert not top < curve.cost < curve.label
                moved += curve.label < curve.end - 5.1
    assert moved > 20


def test_two_curves_that_end_at_the_top_have_their_numbers_above_them() -> None:
    group = a_group(np.random.default_rng(1), None)
    for point in group["earned"]:  # type: ignore[attr-defined]
        point.update(low=point["value"], high=point["value"])
    (curve,) = drawing([group])
    assert (curve.end, curve.label) == (0.0, -5.0)

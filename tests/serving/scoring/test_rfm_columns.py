"""The columns of RFM: each row's scores as text, and the segment of these scores."""

from __future__ import annotations

import numpy as np

from stagecast.serving.scoring.rfm_columns import rfm_columns
from stagecast.training.reference.rfm import RfmScales, learn_scales, rfm_segment
from stagecast.training.reference.rfm_settings import RfmSettings


def shop(seed: int) -> dict[str, np.ndarray]:
    """Return 400 customers of whom 40 are prospects, and nine in ten of the others bought once."""
    rng = np.random.default_rng(seed)
    orders = np.where(rng.random(400) < 0.9, 1, 1 + rng.geometric(0.4, 400)).astype(float)
    orders[:40] = 0
    days = np.floor(rng.gamma(2, 60, 400))
    days[:40] = np.nan
    return {"orders": orders, "recency_days": days, "spend": 20.0 * orders}


def learned(columns: dict[str, np.ndarray], settings: RfmSettings) -> RfmScales:
    return learn_scales(columns, columns["orders"] > 0, settings)


def test_text_and_segment_follow_the_scores_of_each_row() -> None:
    columns = shop(1)
    for settings in (RfmSettings(), RfmSettings(3), RfmSettings(9, orders=(2, 5), spend=(30,))):
        scales = learned(columns, settings)
        result = rfm_columns(scales, columns, has_amounts=True)
        assert (
            result["rfm"].tolist().count(None) == result["rfm_segment"].tolist().count(None) == 40
        )
        texts, segments = (result[name].tolist() for name in ("rfm", "rfm_segment"))
        for row in range(40, 400):
            r, f, m = (
                int(getattr(scales, name).score(columns[name][[row]])[0])
                for name in ("recency_days", "orders", "spend")
            )
            assert texts[row] == f"{r}{f}{m}"
            places = scales.recency_days.fifths()[r - 1], scales.orders.fifths()[f - 1]
            assert segments[row] == rfm_segment(*places)


def test_one_time_buyers_are_never_champions_loyal_or_at_risk() -> None:
    columns = shop(2)
    result = rfm_columns(learned(columns, RfmSettings()), columns, has_amounts=True)
    once = np.flatnonzero(columns["orders"] == 1)
    assert {result["rfm"].tolist()[row][1] for row in once} == {"1"}
    assert {result["rfm_segment"].tolist()[row] for row in once} == {
        "new customers",
        "promising",
        "about to sleep",
        "hibernating",
    }


def test_without_amounts_a_dash_stands_for_money() -> None:
    columns = shop(3)
    result = rfm_columns(learned(columns, RfmSettings()), columns, has_amounts=False)
    assert {text[2] for text in result["rfm"].tolist() if text} == {"-"}

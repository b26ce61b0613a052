"""The columns of plays, and the columns of a score that plays may read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stagecast.features.stages.plays import NUMBERS, TEXTS
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.play_columns import play_columns


def test_plays_read_columns_of_the_score_of_these_types() -> None:
    types = {column.name: column.type for column in score_schema.columns(())}
    assert all(pa.types.is_string(types[name]) for name in TEXTS)
    assert all(
        pa.types.is_floating(types[name]) or pa.types.is_integer(types[name]) for name in NUMBERS
    )


def test_the_action_is_that_of_the_play_else_of_the_stage() -> None:
    scheme = load_scheme("retail")
    stage = np.array([scheme.ids.index("loyal")] * 2 + [scheme.ids.index("prospect")])
    columns = {
        "stage": np.array(scheme.ids)[stage],
        "state": np.array(["active", "active", "prospect"]),
        "churn_probability": np.array([0.63, 0.02, np.nan]),
        "churn_band": np.array(["medium", "low", None], dtype=object),
        "churn": ["inactivity"] * 3,
        "p_alive": np.array([0.8, 0.9, np.nan]),
        "expected_orders": np.array([1.2, 4.0, np.nan]),
        "p_return": np.full(3, np.nan),
        "value_at_risk": np.array([5.0, 5.0, np.nan]),
        "value_gone": np.array([1.0, 1.0, np.nan]),
    }
    result = play_columns(scheme, {}, columns, stage)
    assert result["play"].tolist() == ["loyal_going_quiet", "leave_alone", None]
    assert "no discount needed" not in result["action"][0]
    assert result["action"][1] == scheme["loyal"].action["en"]
    assert result["action"][2] == scheme["prospect"].action["en"]

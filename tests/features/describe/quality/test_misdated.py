"""Events in 1970, in another unit of time and far from all others are named with their effect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.reading import Reading
from stagecast.serving.runs.inspection import check
from stagecast.training.config import TrainConfig
from tests.features.describe.quality.made import described, shop


def epochs(count: int = 300, seconds: int = 0) -> pd.DataFrame:
    """Return a log of half a year in milliseconds since 1970, the first rows in seconds."""
    random = np.random.default_rng(7)
    start = pd.Timestamp("2023-07-01").value // 1_000_000
    times = np.sort(start + random.integers(0, 180 * 86_400_000, count))
    times[:seconds] //= 1_000
    return pd.DataFrame({"customer_id": [f"c{i % 60}" for i in range(count)], "timestamp": times})


def warnings_of(frame: pd.DataFrame) -> tuple[str, ...]:
    from stagecast.features.describe.quality import describe

    with from_frame(frame, ReadOptions(time_format="unix-ms")) as log:
        return describe(log.con).warnings


def test_a_log_in_1970_is_named_with_the_unit_that_would_fit() -> None:
    (warning,) = warnings_of(epochs(seconds=300))
    assert "all events lie in 1970 (1970-01-20" in warning
    assert "--time-format unix?" in warning


@pytest.mark.parametrize("seconds", [1, 12, 60])
def test_rows_in_another_unit_are_named_whatever_their_share(seconds: int) -> None:
    (warning,) = warnings_of(epochs(seconds=seconds))
    share = f"({seconds / 300:.1%})"
    assert share in warning
    assert "an epoch in another unit in part of the rows" in warning


def test_a_log_of_one_unit_has_no_warning() -> None:
    assert warnings_of(epochs()) == ()


def test_rows_far_behind_the_others_are_named_with_what_they_move() -> None:
    frame = shop()
    far = frame.head(3).assign(timestamp=pd.Timestamp("2031-05-05"))
    (warning,) = described(pd.concat([frame, far])).warnings
    assert "3 events" in warning
    assert "on 2031-05-05, far after all others" in warning
    assert "default as_of" in warning


def test_warnings_of_the_days_stand_in_the_data_report(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    epochs(seconds=12).to_csv(path, index=False)
    reading = Reading((str(path),), options=ReadOptions(time_format="unix-ms"))
    inspection = check(reading, TrainConfig(horizon_days=30))
    assert inspection.to_json()["warnings"] == list(inspection.quality.warnings)
    assert any(line.startswith("warning: 12 events") for line in inspection.lines())

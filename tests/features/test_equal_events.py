"""Whether a log holds events that are equal in every column."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from stagecast.features.equal_events import holds_equal_events
from stagecast.features.events import ReadOptions, from_frame

AS_OF = datetime(2025, 2, 1, tzinfo=UTC)


def frame(**columns: list[object]) -> pd.DataFrame:
    rows = {"customer_id": ["a", "a"], "timestamp": ["2025-01-01"] * 2, "amount": [5.0, 5.0]}
    return pd.DataFrame(rows | columns)


@pytest.mark.parametrize(
    ("log", "options", "holds"),
    [
        (frame(), ReadOptions(), False),
        (frame(), ReadOptions(duplicates="keep"), True),
        # two lines of one bill, equal but for a column that is not mapped
        (frame(product=["tea", "cup"]), ReadOptions(), True),
        (frame(amount=[5.0, 6.0]), ReadOptions(), False),
        (frame(customer_id=["a", "b"]), ReadOptions(duplicates="keep"), False),
        (frame(event_id=["1", "2"]), ReadOptions(), False),
        (frame(timestamp=["2025-03-01"] * 2), ReadOptions(duplicates="keep"), False),
    ],
)
def test_equal_events_are_those_that_the_log_has_kept(
    log: pd.DataFrame, options: ReadOptions, holds: bool
) -> None:
    with from_frame(log, options) as read:
        assert holds_equal_events(read.con, AS_OF) is holds

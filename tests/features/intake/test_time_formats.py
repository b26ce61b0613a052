"""A format is proposed for times that only one can read, and for no others."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.intake.time_formats import proposed_time_format


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2016-2-01"], "%Y-%m-%d"),
        (["2016-2", "2016-11"], "%Y-%m"),
        (["2016/2/1 8:30"], "%Y/%m/%d %H:%M"),
        (["2/2016"], "%m/%Y"),
        (["01/02/2025"], None),
        (["2016-2-01", "soon"], None),
        (["1/2/25"], None),
        ([None, " "], None),
    ],
)
def test_the_format_reads_every_example(values: list[str | None], expected: str | None) -> None:
    assert proposed_time_format(duckdb.connect(), values) == expected


def test_the_error_names_the_format_and_the_log_can_be_read_with_it() -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b"], "timestamp": ["2016-2-01", "2017-12-01"]})
    with pytest.raises(DataRefusedError, match=r"--time-format '%Y-%m-%d'"):
        from_frame(frame.head(1))
    with from_frame(frame, ReadOptions(time_format="%Y-%m-%d")) as log:
        assert log.report.rows_loaded == 2

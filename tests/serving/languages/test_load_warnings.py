"""Warnings of the reading of a log are known again, and said in each language."""

from __future__ import annotations

import pandas as pd
import pytest

from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.intake.report import DataReport
from stagecast.serving.languages.display import Display
from stagecast.serving.languages.sentences import in_language
from stagecast.serving.reports.rendering import sentence


def report_of(frame: pd.DataFrame) -> DataReport:
    with from_frame(frame, ReadOptions()) as log:
        return log.report


def a_log(**columns: list[object]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    days = [f"2024-01-{1 + k % 28:02d}" for k in range(rows)]
    return pd.DataFrame({"customer_id": ["a"] * rows, "timestamp": days} | columns)


LOGS = {
    "capitals or blanks": a_log(customer_id=["Ann", "ann", "bob", "bob"], amount=[1, 2, 3, 4]),
    "event numbers": a_log(event_id=["1", "1", "2", "3"], amount=[1, 2, 3, 4]),
    "three digits after it": a_log(amount=["1.250", "3.400", "2.125"] * 20),
}


@pytest.mark.parametrize("language", ["ru", "fa"])
@pytest.mark.parametrize("part", LOGS)
def test_a_warning_is_said_in_the_language(part: str, language: str) -> None:
    warning = next(text for text in report_of(LOGS[part]).warnings if part in text)
    said = in_language(sentence(warning), Display(language))  # type: ignore[arg-type]
    assert 'lang="en"' not in said, warning
    assert part not in said


def test_the_words_of_warnings_that_need_files_are_known() -> None:
    for warning in (
        "orders.csv holds no rows below its header",
        "the times of the tables are in several zones (Asia/Tehran, UTC): days are those of "
        "UTC; give the log one --zone to count the days of that zone",
    ):
        said = in_language(sentence(warning), Display("ru"))
        assert 'lang="en"' not in said, warning

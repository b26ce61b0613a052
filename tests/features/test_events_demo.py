"""The CDNOW log from the lifetimes wheel, compared with its published figures."""

from __future__ import annotations

import sys

from stagecast.features.demo import cdnow_frame, cdnow_log, cdnow_sample_frame
from stagecast.features.events import ReadOptions, from_frame


def test_cdnow_is_whole() -> None:
    frame = cdnow_frame()
    assert len(frame) == 69_659
    assert frame["customer_id"].nunique() == 23_570
    assert frame["customer_id"].iloc[0] == "00001"
    assert (frame["amount"] == 0).sum() == 80
    assert (str(frame["timestamp"].min().date()), str(frame["timestamp"].max().date())) == (
        "1997-01-01",
        "1998-06-30",
    )


def test_cdnow_as_events_keeps_every_row() -> None:
    with cdnow_log() as log:
        report = log.report
    assert (report.rows_in, report.rows_loaded, report.rows_rejected, report.rows_duplicate) == (
        69_659,
        69_659,
        0,
        0,
    )
    assert (report.customers, report.first_event, report.last_event) == (
        23_570,
        "1997-01-01",
        "1998-06-30",
    )


def test_cdnow_has_255_exact_duplicates() -> None:
    with from_frame(cdnow_frame(), ReadOptions(duplicates="drop")) as log:
        assert log.report.rows_duplicate == 255


def test_the_sample_is_a_tenth_under_the_ids_of_the_whole() -> None:
    sample, whole = cdnow_sample_frame(), cdnow_frame()
    assert (len(sample), sample["customer_id"].nunique()) == (6_919, 2_357)
    assert set(sample["customer_id"]) <= set(whole["customer_id"])


def test_lifetimes_itself_is_not_imported() -> None:
    before = "lifetimes" in sys.modules
    cdnow_frame()
    assert ("lifetimes" in sys.modules) == before

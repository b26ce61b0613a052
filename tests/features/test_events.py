"""The event log: the columns that it reads, their values in ``events``, and its counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stagecast.features import events
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import (
    COLUMNS,
    EventLog,
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
    summary_lines,
)
from stagecast.features.intake.quarantine import REJECTED_SCHEMA

pytestmark = pytest.mark.slow


def frame(**columns: list[object]) -> pd.DataFrame:
    rows = max(map(len, columns.values()), default=1)
    return pd.DataFrame({"customer_id": ["a"] * rows, "timestamp": ["2025-01-01"] * rows} | columns)


def rows(log: EventLog, columns: str = "*") -> list[tuple[object, ...]]:
    return log.con.execute(f"SELECT {columns} FROM events").fetchall()


def ids(log: EventLog) -> list[object]:
    return [customer_id for (customer_id,) in rows(log, "customer_id")]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_table_has_the_columns_of_the_contract() -> None:
    with from_frame(frame(amount=[1])) as log:
        described = log.con.execute(
            'SELECT column_name, column_type, "null" FROM (DESCRIBE events)'
        ).fetchall()
    assert [(name, kind) for name, kind, _ in described] == list(COLUMNS.items())
    assert [name for name, _, null in described if null == "NO"] == [
        "customer_id",
        "timestamp",
        "event",
        "customer",
    ]


def test_own_names_need_no_mapping_and_others_are_mapped(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", 'Kunde,When,"Unit Price",n\n 7 ,2025-01-01,2.5,3\n')
    mapping = EventMapping(
        customer="Kunde", time="When", amount='"Unit Price" * n', event="'Order '", channel="n"
    )
    with read_events(path, ReadOptions(mapping)) as log:
        assert rows(log) == [
            ("7", datetime(2025, 1, 1), "order", Decimal("7.500000"), "3", *[None] * 4, 0)
        ]
        assert log.report.columns == {
            "customer": "Kunde",
            "time": "When",
            "amount": '"Unit Price" * n',
            "event": "'Order '",
            "channel": "n",
        }


def test_names_of_columns_and_files_may_be_hostile(tmp_path: Path) -> None:
    name = 'it\'s; DROP TABLE "x" -- é'
    quoted = name.replace('"', '""')
    path = write(
        tmp_path / 'it\'s a "log" [1] {}.csv',
        f'"{quoted}",timestamp,amount\na,2025-01-01,1\n,2025-01-01,1\n',
    )
    with read_events(path, ReadOptions(EventMapping(customer=name))) as log:
        assert log.report.rows_loaded == 1
        rejected = log.rejected().to_pylist()[0]
    assert rejected["file"] == str(path)
    assert rejected["column"] == name
    assert json.loads(rejected["raw"])[name] == ""


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-03-01", datetime(2025, 3, 1)),
        ("2025-03-01 12:30", datetime(2025, 3, 1, 12, 30)),
        ("2025-03-01T12:30:15", datetime(2025, 3, 1, 12, 30, 15)),
        ("2025-03-01T12:30:15.123456789", datetime(2025, 3, 1, 12, 30, 15, 123456)),
        ("2025-03-01T12:30:15Z", datetime(2025, 3, 1, 12, 30, 15)),
        ("2025-03-01 01:00:00+02", datetime(2025, 2, 28, 23, 0)),
        ("2025-03-01T23:00:00-0330", datetime(2025, 3, 2, 2, 30)),
        (" 2025-03-01T00:00:00+05:30 ", datetime(2025, 2, 28, 18, 30)),
    ],
)
def test_iso_times_become_utc(text: str, utc: datetime) -> None:
    with from_frame(frame(timestamp=[text])) as log:
        assert rows(log, "timestamp") == [(utc,)]
        assert log.first_event == log.last_event == utc.replace(tzinfo=UTC)


def test_other_times_need_a_format() -> None:
    for time_format, month in (("%d/%m/%Y", 2), ("%m/%d/%Y", 1)):
        with from_frame(
            frame(timestamp=["01/02/2025"]), ReadOptions(time_format=time_format)
        ) as log:
            assert rows(log, "timestamp") == [(datetime(2025, month, 3 - month),)]
    with from_frame(
        frame(timestamp=["1 Feb 2025 10:00 +0200"]), ReadOptions(time_format="%d %b %Y %H:%M %z")
    ) as log:
        assert rows(log, "timestamp") == [(datetime(2025, 2, 1, 8),)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([datetime(2025, 1, 1, 12)], pa.timestamp("us")),
        pa.array([datetime(2025, 1, 1, 12)], pa.timestamp("ns")),
        pa.array([datetime(2025, 1, 1, 12)], pa.timestamp("s")),
        pa.array([datetime(2025, 1, 1, 12, tzinfo=UTC)], pa.timestamp("us", "Asia/Tehran")),
        pa.array(["2025-01-01 12:00"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_typed_times_are_taken_as_they_are(times: pa.Array) -> None:
    with from_frame(pa.table({"customer_id": ["a"], "timestamp": times})) as log:
        assert rows(log, "timestamp") == [(datetime(2025, 1, 1, 12),)]


def test_ids_that_all_end_in_point_zero_lose_it_and_a_warning_says_so() -> None:
    for column in (
        ["17850.0", "12.0"],
        [17850.0, 12.0],
        [17850.0, 12.0, None],
        ["17850.0", "12.0", ""],
    ):
        with from_frame(frame(customer_id=column)) as log:
            assert ids(log) == ["12", "17850"]
            assert "ends in .0" in log.report.warnings[0]


def test_ids_of_which_only_some_end_in_point_zero_stay_and_a_warning_says_so() -> None:
    with from_frame(frame(customer_id=["17850.0", "17850", "001"])) as log:
        assert ids(log) == ["001", "17850", "17850.0"]
        assert "1 of 3 customer ids" in log.report.warnings[0]


def test_ids_are_text() -> None:
    for column in (
        [1, 20],
        pa.array([1, 20], pa.int64()),
        pa.array([Decimal(1), Decimal(20)], pa.decimal128(9, 0)),
    ):
        with from_frame(pa.table({"customer_id": column, "timestamp": ["2025-01-01"] * 2})) as log:
            assert ids(log) == ["1", "20"]
            assert log.report.warnings == []
    with from_frame(frame(customer_id=["x1", 7, None, float("nan")])) as log:
        assert ids(log) == ["7", "x1"]
        assert log.report.rejected_by_reason == {"missing_customer": 2}
    with from_frame(frame(customer_id=[9e15, 2.0])) as log:
        assert ids(log) == ["2", "9000000000000000"]


def test_a_log_without_types_is_one_of_purchases() -> None:
    with from_frame(frame(amount=[1])) as log:
        assert rows(log, "event") == [("purchase",)]
        assert not log.has_types
        assert log.has_amounts


def test_types_are_stripped_and_lowered() -> None:
    with from_frame(frame(event=[" Visit ", "PURCHASE"])) as log:
        assert log.report.event_types == {"purchase": 1, "visit": 1}
        assert log.has_types
        assert not log.has_amounts
        assert rows(log, "amount") == [(None,), (None,)]


def test_only_purchases_need_an_amount() -> None:
    with from_frame(frame(event=["purchase", "visit", "refund"], amount=[None, None, None])) as log:
        assert log.report.event_types == {"refund": 1, "visit": 1}
        assert log.report.rejected_by_reason == {"missing_amount": 1}


def test_the_amount_of_a_refund_is_a_magnitude() -> None:
    with from_frame(frame(event=["refund", "refund", "correction"], amount=[-5, 7, -3])) as log:
        assert rows(log, "event, amount") == [("correction", -3), ("refund", 5), ("refund", 7)]


def test_negative_purchases_are_refused_or_refunds() -> None:
    amounts = frame(amount=[10, -4])
    with from_frame(amounts) as log:
        assert log.report.rejected_by_reason == {"negative_amount": 1}
    with from_frame(amounts, ReadOptions(negative_amounts="refund")) as log:
        assert rows(log, "event, amount") == [("purchase", 10), ("refund", 4)]
        assert log.has_types


def test_amounts_that_are_not_finite_are_refused() -> None:
    amounts = pa.array([1.0, float("nan"), float("inf"), -1e12], pa.float64())
    with from_frame(
        pa.table({"customer_id": ["a"] * 4, "timestamp": ["2025-01-01"] * 4, "amount": amounts})
    ) as log:
        assert log.report.rejected_by_reason == {"absurd_amount": 3}
        assert log.rejected().column("reasons").to_pylist()[2] == [
            "absurd_amount",
            "negative_amount",
        ]


def test_duplicates_are_judged_on_the_whole_source_row_over_all_files(tmp_path: Path) -> None:
    write(
        tmp_path / "a.csv",
        "customer_id,timestamp,note\na,2025-01-01,x\na,2025-01-01,x\na,2025-01-01,y\n",
    )
    write(
        tmp_path / "b.csv",
        "note,customer_id,timestamp\nx,a,2025-01-01\nx,,2025-01-01\nx,,2025-01-01\n",
    )
    with read_events(tmp_path) as log:
        report = log.report
    assert (report.rows_in, report.rows_loaded, report.rows_rejected, report.rows_duplicate) == (
        6,
        2,
        2,
        2,
    )
    with read_events(tmp_path, ReadOptions(duplicates="keep")) as log:
        assert (log.report.rows_loaded, log.report.rows_duplicate) == (4, 0)


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
def test_one_event_id_is_one_event_the_first(duplicates: str) -> None:
    events = frame(event_id=["e1", "e1", None, None, "e1"], amount=[-1, 2, 3, 4, 5])
    with from_frame(events, ReadOptions(duplicates=duplicates)) as log:  # type: ignore[arg-type]
        assert rows(log, "event_id, amount") == [("e1", 2), (None, 3), (None, 4)]
        assert (log.report.rows_rejected, log.report.rows_duplicate) == (1, 1)


def test_rows_do_not_run_together_when_they_are_compared() -> None:
    similar = frame(x=["1", "11", None, "y=1:2"], y=["12", "2", "1:2", None])
    with from_frame(similar) as log:
        assert log.report.rows_duplicate == 0


def test_the_report_counts(tmp_path: Path) -> None:
    events = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b", "c", None],
            "timestamp": [
                "2025-01-01",
                "2025-01-01T10:00",
                "2025-01-01",
                "2025-02-01",
                "2025-03-01",
                "2025-01-01",
            ],
            "event": ["purchase"] * 4 + ["visit", "visit"],
            "amount": [1, 2, 3, 4, None, None],
            "recorded_at": ["2025-04-01"] * 6,
        }
    )
    with from_frame(events) as log:
        report = log.report
        log.write_rejected(tmp_path / "rejected.parquet")
    assert (report.rows_in, report.rows_loaded, report.rows_rejected) == (6, 5, 1)
    assert (report.customers, report.buyers, report.one_time_buyers, report.purchases) == (
        3,
        2,
        0.5,
        4,
    )
    assert (report.first_event, report.last_event) == ("2025-01-01", "2025-03-01")
    assert report.has_recorded_at
    assert json.loads(json.dumps(report.to_json()))["rejected_examples"]["missing_customer"][
        "examples"
    ] == [{"file": "frame", "line": 6, "column": "customer_id", "value": None}]
    rejected = pq.read_table(tmp_path / "rejected.parquet")
    assert rejected.schema == REJECTED_SCHEMA
    assert len(rejected) == 1
    text = "\n".join(summary_lines(report))
    assert "6 rows in = 5 loaded + 1 refused + 0 duplicates" in text
    assert "frame, line 6, customer_id: blank" in text


def test_a_log_without_purchases_has_no_buyers() -> None:
    with from_frame(frame(event=["visit"])) as log:
        assert log.report.one_time_buyers is None
        assert log.rejected().schema == REJECTED_SCHEMA


def test_files_come_in_the_order_given_and_folders_sorted_each_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"{name}.csv", "customer_id,timestamp\na,never\nb,2025-01-01\n")
    write(tmp_path / "_part.csv", "nonsense")
    write(tmp_path / ".hidden.csv", "nonsense")
    names = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    for sources, files in (
        (tmp_path, names),
        (f"{tmp_path}/[ab].csv", names),
        (names[::-1], names[::-1]),
        ([names[1], tmp_path], names[::-1]),
    ):
        with read_events(sources) as log:
            assert log.report.files == files
            assert log.rejected().column("file").to_pylist() == files


def test_files_that_differ_in_their_parts_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "customer_id,timestamp,amount\na,2025-01-01,1\n")
    second = write(tmp_path / "b.csv", "customer_id,timestamp,total\na,2025-01-01,1\n")
    for sources in ([first, second], [second, first]):
        with pytest.raises(
            DataRefusedError,
            match=r"a\.csv has a column 'amount', .*b\.csv has none .*total.*--amount",
        ):
            read_events(sources)


def test_a_file_without_rows_beside_others_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "customer_id,timestamp\na,2025-01-01\n")
    empty = write(tmp_path / "b.csv", "customer_id,timestamp\n")
    with read_events(tmp_path) as log:
        assert log.report.warnings == [f"{empty} holds no rows below its header"]


def test_a_log_removes_its_folder_and_closing_twice_is_harmless() -> None:
    log = from_frame(frame())
    folder = Path(
        log.con.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    ).parent
    assert folder.is_dir()
    log.close()
    log.close()
    assert not folder.exists()


def test_an_unfinished_fetch_does_not_stop_the_rejected_rows() -> None:
    with from_frame(frame(timestamp=["never", "2025-01-01"])) as log:
        log.con.execute("SELECT * FROM events").fetchone()
        assert len(log.rejected()) == 1


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(UsageError, match="not a list"):
        from_frame([1, 2])
    with pytest.raises(DataRefusedError, match="no rows"):
        from_frame(frame().iloc[:0])
    with pytest.raises(DataRefusedError, match="both named 'x'"):
        from_frame(pd.DataFrame([[1, 2]], columns=["x", "x"]))


def test_choices_are_checked() -> None:
    for options in (
        {"duplicates": "dorp"},
        {"negative_amounts": "keep"},
        {"time_format": "dd/mm/yyyy"},
    ):
        with pytest.raises(UsageError, match="--"):
            ReadOptions(**options)  # type: ignore[arg-type]


def test_any_arrow_stream_is_a_frame() -> None:
    class Stream:
        """An object with the Arrow interface, as Polars has it."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            table = pa.table(
                {"customer_id": pa.array(["a"], pa.string_view()), "timestamp": ["2025-01-01"]}
            )
            return table.__arrow_c_stream__(requested_schema)

    with from_frame(Stream()) as log:
        assert ids(log) == ["a"]


def test_a_frame_with_a_time_zone_is_read_as_utc() -> None:
    frame = pd.DataFrame(
        {"customer_id": ["a"], "timestamp": pd.to_datetime(["2020-01-01T02:00:00+02:00"])}
    )
    with from_frame(frame) as log:
        assert log.con.execute("select timestamp from events").fetchall() == [
            (datetime(2020, 1, 1),)
        ]


def test_a_small_log_is_held_in_memory_and_is_the_same_as_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "log.csv", "customer_id,timestamp,amount\na,2025-01-01,5\nb,x,1\n")

    def read(source: str | pd.DataFrame) -> tuple[bool, object, object]:
        reader = from_frame if isinstance(source, pd.DataFrame) else read_events
        with reader(source) as log:  # type: ignore[operator]
            ((place,),) = log.con.execute(
                "select path from duckdb_databases() where database_name = current_database()"
            ).fetchall()
            return place is None, rows(log), log.report.to_json()

    table = pd.read_csv(path)
    small, small_frame = read(str(path)), read(table)
    assert small[0]
    assert small_frame[0]
    monkeypatch.setattr(events, "SMALL_BYTES", path.stat().st_size)
    monkeypatch.setattr(events, "SMALL_ROWS", len(table))
    large, large_frame = read(str(path)), read(table)
    assert not large[0]
    assert not large_frame[0]
    assert (small[1:], small_frame[1:]) == (large[1:], large_frame[1:])
    assert small[1]


ANNOUNCED = {
    "customer_id": ["a", "a", "b"],
    "timestamp": ["2025-01-01", "2025-09-30", "2025-06-28 09:00"],
    "event": ["purchase", "cancel", "purchase"],
    "recorded_at": [None, "2025-06-29 12:00", "2025-07-02"],
}


def test_an_announced_event_moves_the_as_of_to_no_day_that_has_not_come() -> None:
    """What was recorded before it happens counts on the day on which it was recorded."""
    with from_frame(pd.DataFrame(ANNOUNCED)) as log:
        assert log.last_event == datetime(2025, 9, 30, tzinfo=UTC)
        assert log.clock.instant(log.choose_as_of()) == datetime(2025, 6, 30, tzinfo=UTC)
    unannounced = pd.DataFrame(ANNOUNCED).drop(columns="recorded_at")
    with from_frame(unannounced) as log:
        assert log.clock.instant(log.choose_as_of()) == datetime(2025, 10, 1, tzinfo=UTC)


def announcements(now: datetime) -> pd.DataFrame:
    """Return events of a live log: of days that have not come, recorded and not recorded."""

    def at(days: float) -> str:
        return (now + timedelta(days=days)).isoformat()

    rows = [
        ("a", at(-40), "purchase", None),
        ("a", at(90), "cancel", at(-10)),  # a cancellation that takes effect later
        ("b", at(-40), "purchase", None),
        ("b", at(90), "cancel", None),  # a wrong clock, or a planned date
        ("c", at(-40), "purchase", None),
        ("c", at(90), "cancel", at(80)),  # recorded on a day that has not come
        ("d", at(-40), "purchase", None),
        ("d", at(4_000), "cancel", at(-10)),  # a placeholder for never
    ]
    return pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "recorded_at"])


def test_an_announced_event_is_read_and_a_wrong_clock_is_refused() -> None:
    now = datetime.now(UTC)
    with from_frame(announcements(now)) as log:
        assert log.report.rejected_by_reason == {"future_time": 3}
        known = rows(log, "customer_id, event = 'cancel'")
        assert [row[0] for row in known if row[1]] == ["a"]
        assert log.choose_as_of() <= now.replace(tzinfo=log.choose_as_of().tzinfo)

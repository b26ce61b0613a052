"""Unusual types, paths and configurations: read correctly, or refused with a clear message."""

from __future__ import annotations

import decimal
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.events import (
    CustomersTable,
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
    read_tables,
)
from stagecast.features.intake import sources
from stagecast.features.intake.tables import parse_tables
from stagecast.serving.cli import cli

TWO_ROWS: dict[str, Any] = {"customer_id": ["a", "b"], "timestamp": ["2024-01-01", "2024-01-02"]}


def text(path: Path, content: str) -> Path:
    path.write_text(content, "utf-8")
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_tables_number_their_own_events(tmp_path: Path) -> None:
    text(tmp_path / "orders.csv", "c,t,id\na,2024-01-01,7\na,2024-01-02,7\n")
    text(tmp_path / "tickets.csv", "c,t,id\nb,2024-01-03,7\n")
    sources_and_events = (("orders.csv", "'purchase'"), ("tickets.csv", "'ticket'"))
    entries = [
        {"source": source, "customer": "c", "time": "t", "event_id": "id", "event": event}
        for source, event in sources_and_events
    ]
    with read_tables(parse_tables(entries, ReadOptions(), tmp_path)) as log:
        assert log.report.duplicates == {"same_event_id": 1}
        assert log.con.execute("SELECT customer_id, event FROM events").fetchall() == [
            ("a", "purchase"),
            ("b", "ticket"),
        ]


def test_rates_without_a_currency_are_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "log.csv", "customer_id,timestamp,amount\na,2024-01-01,10\n")
    with pytest.raises(UsageError, match="--currency COL"):
        read_events(path, ReadOptions(report_currency="EUR", rates={"USD": 2.0}))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False]),
        pa.array([5, 6], pa.time64("us")),
        pa.array([5, 6], pa.duration("s")),
        pa.array([b"x", b"y"]),
        pa.array([[1], [2]]),
        pa.array([{"k": 1}, {"k": 2}]),
    ],
    ids=lambda array: str(array.type),
)
@pytest.mark.parametrize(
    "options", [{"mapping": EventMapping(amount="x")}, {"refuse": {"r": "x > 0"}}], ids=repr
)
def test_a_column_that_holds_no_numbers_is_refused_row_by_row(
    tmp_path: Path, values: Any, options: Any
) -> None:
    path = parquet(tmp_path / "log.parquet", **TWO_ROWS, x=values)
    with pytest.raises(DataRefusedError, match="unreadable_"):
        read_events(path, ReadOptions(**options))


def test_types_that_the_engine_does_not_know_are_read(tmp_path: Path) -> None:
    half_floats = parquet(
        tmp_path / "f.parquet", **TWO_ROWS, x=pa.array([1.5, 2.0]).cast(pa.float16())
    )
    with read_events(half_floats, ReadOptions(EventMapping(amount="x"))) as log:
        assert log.con.execute("SELECT sum(amount) FROM events").fetchall() == [
            (decimal.Decimal("3.5"),)
        ]
    wide_decimals = pa.array([decimal.Decimal("1.25"), decimal.Decimal(2)], pa.decimal256(50, 4))
    with read_events(
        parquet(tmp_path / "d.parquet", **TWO_ROWS, x=wide_decimals),
        ReadOptions(EventMapping(amount="x")),
    ) as log:
        assert log.con.execute("SELECT sum(amount) FROM events").fetchall() == [
            (decimal.Decimal("3.25"),)
        ]


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_time_beyond_all_measure_is_absurd_where_it_is_read_and_nothing_elsewhere(
    unit: str,
) -> None:
    far = pa.array([2**61, 5, None], pa.timestamp(unit))
    table = pa.table({"customer_id": ["a", "b", "c"], "timestamp": ["2024-01-01"] * 3, "far": far})
    with from_frame(table) as log:
        assert log.report.rows_loaded == 3
    with from_frame(table, ReadOptions(EventMapping(time="far"))) as log:
        assert log.report.rejected_by_reason == {"absurd_time": 1, "missing_time": 1}
        assert log.report.rows_loaded == 1


@pytest.mark.parametrize(
    ("files", "source", "words"),
    [
        ({"c.csv": "customer_id,X,x\na,1,2\n"}, "c.csv", "capitals"),
        (
            {"c1.csv": "customer_id,x\na,1\n", "c2.csv": "customer_id,y\nb,2\n"},
            "c[12].csv",
            "no column 'x'",
        ),
        ({"c.csv": "id,Customer_ID\na,1\n"}, "c.csv", "customer_id"),
    ],
)
def test_a_table_of_customers_that_cannot_be_told_apart_is_refused(
    tmp_path: Path, files: dict[str, str], source: str, words: str
) -> None:
    for name, content in files.items():
        text(tmp_path / name, content)
    log_file = text(tmp_path / "log.csv", "customer_id,timestamp\na,2024-01-01\n")
    customer = "id" if "id,Customer_ID" in next(iter(files.values())) else "customer_id"
    with pytest.raises(StagecastError, match=words):
        read_events(log_file, customers=CustomersTable(str(tmp_path / source), customer))


def test_numbers_of_parquet_are_dates_whatever_the_signs_in_texts(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", customer_id=["a"], timestamp=pa.array([45000.5]))
    with read_events(path, ReadOptions(time_format="excel", decimal=",", thousands=".")) as log:
        assert log.report.first_event == "2023-03-15T12:00:00Z"
    days = parquet(tmp_path / "y.parquet", customer_id=["a"], timestamp=pa.array([20240131.0]))
    with read_events(days, ReadOptions(time_format="%Y%m%d")) as log:
        assert log.report.first_event == "2024-01-31"


def test_an_as_of_at_the_end_of_time_can_be_named() -> None:
    end = datetime(9999, 12, 31, tzinfo=UTC)
    assert ReadOptions(as_of=end, skew="999999w").latest_time(end).year == 9999
    with pytest.raises(UsageError, match="holds no year"):
        ReadOptions(time_format="%H:%M")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "log.csv", "customer_id,timestamp\na,2024-01-01\n")
    source = sources.open_file(str(path))
    text(path, "timestamp,customer_id\n2024-01-01,a\n")
    with pytest.raises(DataRefusedError, match="changed while it was read"):
        list(source.blocks())


def test_a_pipe_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        read_events(tmp_path / "x.csv")


@pytest.mark.parametrize("command", ["features", "stages"])
def test_a_command_does_not_overwrite_the_log_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content = "customer_id,timestamp\na,2024-01-01\n"
    text(tmp_path / "log.csv", content)
    result = CliRunner().invoke(cli, [command, "log.csv", "--out", "./log.csv"])
    assert isinstance(result.exception, UsageError)
    assert (tmp_path / "log.csv").read_text("utf-8") == content


@pytest.mark.parametrize(
    "line",
    [
        "out = 5",
        "json = 5",
        "customer = 5",
        "memory = true",
        "port = 'x'",
        "refuse = 3",
        "amount = 2024-01-01",
    ],
)
def test_a_value_of_the_wrong_type_in_the_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text(tmp_path / "log.csv", "customer_id,timestamp\na,2024-01-01\n")
    text(tmp_path / "stagecast.toml", line + "\n")
    command = ["serve"] if line.startswith("port") else ["check", "log.csv"]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, UsageError)
    assert "must be" in str(result.exception)

"""Properties of every log: no row is lost; order, files and formats do not change the events."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import EventLog, ReadOptions, read_events
from stagecast.features.intake import csvlines
from stagecast.features.intake.csvlines import CsvRecords
from stagecast.features.intake.sources import open_file
from stagecast.features.intake.values import define_macros
from stagecast.features.intake.zones import find_zone
from tests.profiles import examples

FEW = settings(
    max_examples=examples(24),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

COLUMNS = ["customer_id", "timestamp", "event", "amount", "note"]
CUSTOMERS = st.sampled_from(["a", "b", "007", "7", "", "nan", "x y"])
TIMES = st.sampled_from(
    ["2025-01-01", "2025-01-01T10:00:00+02:00", "2025-06-30 23:59:59.5", "01/02/2025", ""]
)
TYPES = st.sampled_from(["purchase", "Refund", "visit", "purchase ", ""])
AMOUNTS = st.sampled_from(["1", "2.50", "0", "-3", "", "1e3", "NaN", "12,50", "0.0000004"])
NOTES = st.sampled_from(["", "plain", 'a "word"', "two\nlines", "a,b;c", "\r\n", "é"])
ROWS = st.lists(st.tuples(CUSTOMERS, TIMES, TYPES, AMOUNTS, NOTES), min_size=1, max_size=25)
VALID_ROW = ("a", "2025-01-01", "purchase", "1", "always there, so that the log is not refused")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write(
    path: Path,
    rows: list[tuple[str, ...]],
    columns: list[str],
    end: str = "\n",
    separator: str = ",",
) -> Path:
    cells = [columns, *([row[COLUMNS.index(name)] for name in columns] for row in rows)]
    path.write_bytes("".join(line(row, end, separator) for row in cells).encode())
    return path


def line(row: list[str], end: str, separator: str = ",", always: bool = False) -> str:
    """Return the row as CSV; Python's writer leaves a CR unquoted where lines end in LF."""
    quote = always or any(re.search('[",;\\t|\\n\\r]', cell) for cell in row)
    return (
        separator.join('"' + cell.replace('"', '""') + '"' if quote else cell for cell in row) + end
    )


def table(log: EventLog) -> list[tuple[object, ...]]:
    return log.con.execute("SELECT * FROM events").fetchall()


def load(
    path: Path | list[Path], **options: str
) -> tuple[list[tuple[object, ...]], tuple[int, ...]]:
    with read_events(path, ReadOptions(**options)) as log:  # type: ignore[arg-type]
        report = log.report
        assert (
            len(log.rejected()) == report.rows_rejected == sum(report.rejected_by_reason.values())
        )
        events = table(log)
        customers = sorted({str(row[0]) for row in events}, key=str.encode)
        assert [customers.index(str(row[0])) for row in events] == [row[-1] for row in events]
        assert (len(events), len(customers)) == (report.rows_loaded, report.customers)
        counts = (report.rows_in, report.rows_loaded, report.rows_rejected, report.rows_duplicate)
        return events, counts


@pytest.mark.slow
@FEW
@given(
    rows=ROWS,
    duplicates=st.sampled_from(["drop", "keep"]),
    negative=st.sampled_from(["refuse", "refund"]),
)
def test_rows_in_are_loaded_refused_or_duplicate(
    folder: Path, rows: list[tuple[str, ...]], duplicates: str, negative: str
) -> None:
    path = write(folder / "log.csv", [*rows, VALID_ROW], COLUMNS)
    events, (rows_in, loaded, refused, duplicate) = load(
        path, duplicates=duplicates, negative_amounts=negative
    )
    assert rows_in == len(rows) + 1 == loaded + refused + duplicate
    assert len(events) == loaded
    assert duplicates == "drop" or duplicate == 0


@pytest.mark.slow
@FEW
@given(
    rows=ROWS,
    random=st.randoms(use_true_random=False),
    columns=st.permutations(COLUMNS),
    cut=st.integers(0, 25),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    separator=st.sampled_from([",", ";", "\t", "|"]),
)
def test_order_files_columns_and_spelling_do_not_change_the_events(
    folder: Path,
    rows: list[tuple[str, ...]],
    random: st.DrawFn,
    columns: list[str],
    cut: int,
    end: str,
    separator: str,
) -> None:
    rows = [*rows, VALID_ROW]
    expected, counts = load(write(folder / "whole.csv", rows, COLUMNS))
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first = write(folder / "first.csv", mixed[:cut], columns, end, separator)
    second = write(folder / "second.csv", mixed[cut:], COLUMNS)
    assert load([first, second]) == (expected, counts)


@pytest.mark.slow
@FEW
@given(rows=ROWS)
def test_delivery_twice_does_not_change_the_events(
    folder: Path, rows: list[tuple[str, ...]]
) -> None:
    once = write(folder / "once.csv", [*rows, VALID_ROW], COLUMNS)
    again = write(folder / "again.csv", [*rows, VALID_ROW], COLUMNS)
    assert load([once, again])[0] == load(once)[0]


@MANY
@given(
    rows=st.lists(
        st.lists(st.text('ab,;"\n\r é', max_size=6), min_size=3, max_size=3), max_size=12
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    chunk=st.integers(1, 40),
    always=st.booleans(),
)
def test_records_and_their_lines_are_those_of_the_csv_module(
    monkeypatch: pytest.MonkeyPatch, rows: list[list[str]], end: str, chunk: int, always: bool
) -> None:
    monkeypatch.setattr(csvlines, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(csvlines, "BATCH_BYTES", 60)
    texts = [line(row, end, always=always) for row in [["x", "y", "z"], *rows]]
    records = CsvRecords(io.BytesIO("".join(texts).encode()), "log.csv")
    assert records.header == ["x", "y", "z"]
    lines: list[int] = []
    data = b""
    for batch in records.batches():
        assert batch.malformed == []
        lines += [int(line) for piece in batch.lines for line in piece]
        data += b"".join(batch.pieces)
    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == rows
    assert lines == [
        1 + sum(len(re.findall("\r\n|\r|\n", text)) for text in texts[:before])
        for before in range(1, len(texts))
    ]


@MANY
@given(body=st.text('a,"\n\r;', max_size=60), chunk=st.integers(1, 20))
def test_any_text_is_parsed_into_rows_on_different_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, chunk: int
) -> None:
    path = folder / "log.csv"
    path.write_bytes(b"x,y\n" + body.encode())
    whole = list(open_file(str(path)).blocks())
    monkeypatch.setattr(csvlines, "CHUNK_BYTES", chunk)
    pieces = list(open_file(str(path)).blocks())
    assert [block.rows.to_pylist() for block in pieces] == [
        block.rows.to_pylist() for block in whole
    ]
    assert [block.malformed.to_pylist() for block in pieces] == [
        block.malformed.to_pylist() for block in whole
    ]
    line_count = len(re.findall("\r\n|\r|\n", body)) + 1
    lines = [
        line
        for block in whole
        for part in (block.rows, block.malformed)
        for line in part["line"].to_pylist()
    ]
    assert len(lines) == len(set(lines))
    assert all(2 <= line <= line_count + 1 for line in lines)


@pytest.mark.slow
@MANY
@given(body=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(folder: Path, body: bytes) -> None:
    path = folder / "log.csv"
    path.write_bytes(b"customer_id,timestamp\na,2025-01-01\n" + body)
    try:
        _, (rows_in, loaded, refused, duplicate) = load(path)
    except DataRefusedError:
        with pytest.raises(UnicodeDecodeError):
            body.decode()
    else:
        assert rows_in == loaded + refused + duplicate


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        define_macros(connection)
        yield connection


NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@MANY
@given(
    text=st.text("0123456789+-.eE_ infaNx,", max_size=12)
    | st.floats().map(str)
    | st.integers().map(str)
)
def test_numbers_are_those_that_python_reads_and_no_others(
    con: duckdb.DuckDBPyConnection, text: str
) -> None:
    number = con.execute("SELECT as_number($text)", {"text": text}).fetchall()[0][0]
    stripped = text.strip(" ")
    assert number == (float(stripped) if NUMBER.fullmatch(stripped) else None)
    assert number is None or not math.isnan(number)


@MANY
@given(
    text=st.text("0123456789-:T Z+.", max_size=26)
    | st.from_regex(
        r"[-+ 012]{4}-[ 0123]{2}-[- 0123]{2}([T ][-+ 012]{2}:[-+ 05.]{2}:[-+ 05.Z]{2})?",
        fullmatch=True,
    )
    | st.datetimes().map(str)
    | st.datetimes(timezones=st.timezones()).map(str)
    | st.sampled_from(
        [
            "2025-01-01 24:00:01",
            "2025-00-10",
            "-123-01-01",
            "2025-01-01 10:1:10",
            "20 5-01-01",
            "2025-01-01T00:00:0Z",
            "2025-01-01T00:0 :00",
        ]
    )
)
def test_times_are_those_that_python_reads_and_no_others(
    con: duckdb.DuckDBPyConnection, text: str
) -> None:
    time = con.execute("SELECT as_iso_time($text)", {"text": text}).fetchall()[0][0]
    iso_match = re.fullmatch(
        r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", text, re.ASCII
    )
    if iso_match is None or not 1 < int(text[:4]) < 9999:
        assert iso_match is not None or time is None
        return
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        assert time is None or "24:00" in text
        return
    offset = instant.utcoffset()
    assert time == (instant.replace(tzinfo=None) - offset if offset is not None else instant)


INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2025, 12, 31)).map(
    lambda instant: instant.replace(microsecond=0)
)
SPELLINGS = [
    lambda instant: instant.isoformat() + "Z",
    lambda instant: instant.isoformat(" ") + "+00:00",
    lambda instant: (instant + timedelta(hours=5, minutes=30)).isoformat() + "+0530",
    lambda instant: (instant - timedelta(hours=8)).isoformat() + ".000-08",
    lambda instant: instant.isoformat(),
]


@pytest.mark.slow
@FEW
@given(rows=st.lists(st.tuples(CUSTOMERS, INSTANTS), min_size=1, max_size=20), data=st.data())
def test_the_spelling_of_the_zone_does_not_change_the_events(
    folder: Path, rows: list[tuple[str, datetime]], data: st.DataObject
) -> None:
    rows = [*rows, ("a", datetime(2025, 1, 1))]
    header = "customer_id,timestamp,n\n"

    def body(write_time: Callable[[datetime], str]) -> str:
        return header + "".join(
            f"{customer},{write_time(instant)},{n}\n" for n, (customer, instant) in enumerate(rows)
        )

    plain = folder / "plain.csv"
    plain.write_text(body(SPELLINGS[0]), "utf-8")
    expected = load(plain)
    mixed = folder / "mixed.csv"
    mixed.write_text(body(lambda instant: data.draw(st.sampled_from(SPELLINGS))(instant)), "utf-8")
    assert load(mixed) == expected
    zone = data.draw(
        st.sampled_from(["Asia/Kolkata", "+05:30", "Asia/Tokyo", "-03:00"])
    )  # no gaps, no overlaps
    local = folder / "local.csv"
    local.write_text(
        body(
            lambda instant: (
                instant.replace(tzinfo=UTC)
                .astimezone(find_zone(zone))
                .replace(tzinfo=None)
                .isoformat()
            )
        ),
        "utf-8",
    )
    assert load(local, zone=zone) == expected


@pytest.mark.slow
@FEW
@given(rows=ROWS, sizes=st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_the_split_into_files_and_kinds_of_files_does_not_change_the_events(
    folder: Path, rows: list[tuple[str, ...]], sizes: list[int]
) -> None:
    rows = [*rows, VALID_ROW]
    expected, counts = load(write(folder / "whole.csv", rows, COLUMNS))
    shutil.rmtree(folder / "split", ignore_errors=True)
    (folder / "split").mkdir()
    begin = 0
    for n, size in enumerate([*sizes, len(rows)]):
        name = folder / "split" / f"{n}.csv"
        write(name, rows[begin : begin + size], COLUMNS)
        if n % 3 == 1:
            name.with_suffix(".csv.gz").write_bytes(gzip.compress(name.read_bytes()))
            name.unlink()
        begin += size
    assert load(folder / "split") == (expected, counts)

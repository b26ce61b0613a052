"""Small logs with one fault each, for which the whole log or one line is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventMapping, ReadOptions, read_events

HEADER = b"customer_id,timestamp,amount\n"
GOOD = b"a,2025-01-01,1\n"
TYPED = b"customer_id,timestamp,event,amount\nz,2025-01-01,purchase,1\n"
DISCOUNT = b"customer_id,timestamp,discount\nz,2025-01-01,1\n"


def write(folder: Path, content: bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", ["log.csv", "empty", "0 bytes"], id="empty file"),
        pytest.param(HEADER, ["log.csv", "header", "no rows"], id="header only"),
        pytest.param(HEADER + b"\n\r\n\n", ["no rows"], id="header and blank lines"),
        pytest.param(b"\n" + HEADER + GOOD, ["line 1 is blank"], id="blank first line"),
        pytest.param(
            b"customer_id,customer_id,timestamp\na,b,2025-01-01\n",
            ["1 and 2", "'customer_id'"],
            id="twice",
        ),
        pytest.param(
            b"customer_id,amount\na,1\n",
            ["'timestamp'", "--time COL", "customer_id, amount"],
            id="no time",
        ),
        pytest.param(
            b"costumer_id,timestamp\na,2025-01-01\n",
            ["'customer_id'", "Did you mean 'costumer_id'", "--customer COL"],
            id="misspelt customer",
        ),
        pytest.param(
            b"Customer_ID,timestamp\na,2025-01-01\n",
            ["'customer_id'", "Customer_ID"],
            id="case differs",
        ),
        pytest.param(
            b"customer_id;note,timestamp\n", ["';'", "','", "equally"], id="two separators fit"
        ),
        pytest.param(
            b'"customer_id,timestamp\na,2025-01-01\n',
            ["quote in the header"],
            id="open quote in header",
        ),
        pytest.param(b"PAR1\x15\x04\x15\x10", ["Parquet", ".parquet"], id="parquet named csv"),
        pytest.param(gzip.compress(HEADER + GOOD), ["gzip", ".csv.gz"], id="gzip named csv"),
        pytest.param(b"PK\x03\x04\x14\x00", ["Excel"], id="workbook named csv"),
        pytest.param((HEADER + GOOD).decode().encode("utf-16"), ["UTF-16"], id="utf-16"),
        pytest.param(b"\x00\x01\x02,\x00\n", ["NUL"], id="binary"),
        pytest.param(
            HEADER + GOOD + b"caf\xe9,2025-01-01,1\n",
            ["line 3", "byte 48", "0xe9", "UTF-8"],
            id="latin-1",
        ),
        pytest.param(b"caf\xe9,timestamp\n", ["line 1", "byte 4 ", "UTF-8"], id="latin-1 header"),
        pytest.param(
            HEADER + b"a,01/02/2025,1\n",
            ["none of 1 row", "unreadable_time", "%m/%d/%Y"],
            id="all refused",
        ),
    ],
)
def test_the_whole_log_is_refused(tmp_path: Path, content: bytes, words: list[str]) -> None:
    with pytest.raises(DataRefusedError) as error_info:
        read_events(write(tmp_path, content))
    for word in words:
        assert word in str(error_info.value)


def test_a_refusal_of_everything_counts_the_reasons_and_shows_three_of_each(tmp_path: Path) -> None:
    body = b"".join(b"a,soon,%d\n" % i for i in range(5)) + b",2025-01-01,1\n"
    with pytest.raises(DataRefusedError) as error_info:
        read_events(write(tmp_path, HEADER + body))
    text = str(error_info.value)
    assert "unreadable_time: 5 rows" in text
    assert "missing_customer: 1 row;" in text
    assert [f"line {n}, timestamp: 'soon'" in text for n in (2, 3, 4, 5)] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "line", "reason", "column", "value"),
    [
        (
            HEADER + GOOD + b"b,2025-01-01\n",
            3,
            "malformed_line",
            None,
            "2 fields, the header has 3: b,2025-01-01",
        ),
        (
            HEADER + GOOD + b"b,2025-01-01,1,2\n",
            3,
            "malformed_line",
            None,
            "4 fields, the header has 3",
        ),
        (HEADER + GOOD + b"   \n", 3, "malformed_line", None, "1 fields"),
        (HEADER + GOOD + b'b,"2025-01-01,1\n', 3, "malformed_line", None, "a quote is not closed"),
        (
            HEADER + b'b,"2025-01-01,1\n' + GOOD * 1,
            2,
            "malformed_line",
            None,
            "a quote is not closed",
        ),
        (HEADER + GOOD + b'b,"2025"-01-01,1\n', 3, "malformed_line", None, "closes before the end"),
        (HEADER + GOOD + b"b\0,2025-01-01,1\n", 3, "malformed_line", None, "NUL"),
        (
            HEADER + b'"a\nb",2025-01-01,1\n' + b"b,2025-01-01\n",
            4,
            "malformed_line",
            None,
            "2 fields",
        ),
        (
            HEADER + b'"a\r\n\r\nb",2025-01-01,1\r\n' + b"b,never,1\n",
            5,
            "unreadable_time",
            "timestamp",
            "never",
        ),
        (HEADER + GOOD + b"\n\n" + b"b,never,1\n", 5, "unreadable_time", "timestamp", "never"),
        (
            HEADER.replace(b"\n", b"\r") + b"a,2025-01-01,1\rb,never,1\r",
            3,
            "unreadable_time",
            "timestamp",
            "never",
        ),
        (HEADER + GOOD + b",2025-01-01,1\n", 3, "missing_customer", "customer_id", None),
        (HEADER + GOOD + b"  ,2025-01-01,1\n", 3, "missing_customer", "customer_id", None),
        (HEADER + GOOD + b"NaN,2025-01-01,1\n", 3, "missing_customer", "customer_id", "NaN"),
        (HEADER + GOOD + b"null,2025-01-01,1\n", 3, "missing_customer", "customer_id", "null"),
        (HEADER + GOOD + b",,\n", 3, "missing_customer", "customer_id", None),
        (HEADER + GOOD + b"b,,1\n", 3, "missing_time", "timestamp", None),
        (HEADER + GOOD + b"b,01/02/2025,1\n", 3, "unreadable_time", "timestamp", "01/02/2025"),
        (HEADER + GOOD + b"b,2025/01/02,1\n", 3, "unreadable_time", "timestamp", "2025/01/02"),
        (HEADER + GOOD + b"b,2025-1-2,1\n", 3, "unreadable_time", "timestamp", "2025-1-2"),
        (HEADER + GOOD + b"b,2025-02-30,1\n", 3, "unreadable_time", "timestamp", "2025-02-30"),
        (
            HEADER + GOOD + b"b,2025-01-01 25:00:00,1\n",
            3,
            "unreadable_time",
            "timestamp",
            "2025-01-01 25:00:00",
        ),
        (HEADER + GOOD + b"b,45000,1\n", 3, "unreadable_time", "timestamp", "45000"),
        (HEADER + GOOD + b"b,epoch,1\n", 3, "unreadable_time", "timestamp", "epoch"),
        (HEADER + GOOD + b"b,infinity,1\n", 3, "unreadable_time", "timestamp", "infinity"),
        (HEADER + GOOD + b"b,0001-01-01,1\n", 3, "absurd_time", "timestamp", "0001-01-01"),
        (
            HEADER + GOOD + b"b,9999-12-31T23:59:59Z,1\n",
            3,
            "absurd_time",
            "timestamp",
            "9999-12-31T23:59:59Z",
        ),
        (HEADER + GOOD + b"b,2025-01-01,\n", 3, "missing_amount", "amount", None),
        (HEADER + GOOD + b"b,2025-01-01,NaN\n", 3, "unreadable_amount", "amount", "NaN"),
        (HEADER + GOOD + b"b,2025-01-01,inf\n", 3, "unreadable_amount", "amount", "inf"),
        (HEADER + GOOD + b'b,2025-01-01,"12,50"\n', 3, "unreadable_amount", "amount", "12,50"),
        (HEADER + GOOD + b"b,2025-01-01,1_000\n", 3, "unreadable_amount", "amount", "1_000"),
        (HEADER + GOOD + "b,2025-01-01,€5\n".encode(), 3, "unreadable_amount", "amount", "€5"),
        (HEADER + GOOD + b"b,2025-01-01,1e400\n", 3, "absurd_amount", "amount", "1e400"),
        (
            HEADER + GOOD + b"b,2025-01-01,100000000001\n",
            3,
            "absurd_amount",
            "amount",
            "100000000001",
        ),
        (HEADER + GOOD + b"b,2025-01-01,-5\n", 3, "negative_amount", "amount", "-5"),
        (TYPED + b"b,2025-01-01, ,1\n", 3, "missing_event", "event", None),
        (TYPED + b"b,2025-01-01,visit,much\n", 3, "unreadable_amount", "amount", "much"),
        (DISCOUNT + b"b,2025-01-01,10%\n", 3, "unreadable_discount", "discount", "10%"),
        (DISCOUNT + b'b,2025-01-01,"2,50"\n', 3, "unreadable_discount", "discount", "2,50"),
        (DISCOUNT + b"b,2025-01-01,NaN\n", 3, "unreadable_discount", "discount", "NaN"),
        (DISCOUNT + b"b,2025-01-01,-1e400\n", 3, "unreadable_discount", "discount", "-1e400"),
        (
            DISCOUNT + b"b,2025-01-01,100000000001\n",
            3,
            "unreadable_discount",
            "discount",
            "100000000001",
        ),
        (
            b"customer_id,timestamp,recorded_at\na,2025-01-01,\nb,2025-01-01,soon\n",
            3,
            "unreadable_recorded_at",
            "recorded_at",
            "soon",
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_one_line_is_refused(
    tmp_path: Path,
    content: bytes,
    line: int,
    reason: str,
    column: str | None,
    value: str | None,
    ending: str,
) -> None:
    path = write(tmp_path, content, f"log.{ending}")
    with read_events(path) as log:
        rows = log.rejected().to_pylist()
        assert log.report.rows_loaded == 1
    assert [(row["file"], row["line"], row["reason"], row["column"]) for row in rows] == [
        (str(path), line, reason, column)
    ]
    assert (value or "") in (rows[0]["value"] or "")
    assert (rows[0]["value"] is None) == (value is None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "amounts"),
    [
        pytest.param(b"\xef\xbb\xbf" + HEADER + GOOD, ["1.000000"], id="BOM"),
        pytest.param((HEADER + GOOD).replace(b"\n", b"\r\n"), ["1.000000"], id="CRLF"),
        pytest.param((HEADER + GOOD).replace(b"\n", b"\r"), ["1.000000"], id="CR"),
        pytest.param((HEADER + GOOD).rstrip(b"\n"), ["1.000000"], id="no line end at the end"),
        pytest.param((HEADER + GOOD).replace(b",", b";"), ["1.000000"], id="semicolon"),
        pytest.param((HEADER + GOOD).replace(b",", b"\t"), ["1.000000"], id="tab"),
        pytest.param((HEADER + GOOD).replace(b",", b"|"), ["1.000000"], id="bar"),
        pytest.param(
            b'"customer_id","timestamp","amount"\n"a","2025-01-01","1"\n',
            ["1.000000"],
            id="all quoted",
        ),
        pytest.param(
            HEADER.replace(b"\n", b",note\n") + b'a,2025-01-01,1,5" pipe\n',
            ["1.000000"],
            id="inch mark",
        ),
        pytest.param(HEADER + b"a,2025-01-01, 1.5 \n", ["1.500000"], id="blanks around a number"),
        pytest.param(HEADER + b"a,2025-01-01,0\n", ["0.000000"], id="nothing paid"),
        pytest.param(
            HEADER + b"a,2025-01-01,12345678901.123456\n", ["12345678901.123456"], id="17 digits"
        ),
        pytest.param(
            HEADER + b"a,2025-01-01,1e2\na,2025-01-02,.5\n",
            ["100.000000", "0.500000"],
            id="exponent",
        ),
    ],
)
def test_what_only_looks_bad_is_read(tmp_path: Path, content: bytes, amounts: list[str]) -> None:
    with read_events(write(tmp_path, content)) as log:
        assert log.report.rows_rejected == 0
        assert [
            str(value) for (value,) in log.con.execute("SELECT amount FROM events").fetchall()
        ] == amounts


def test_a_row_keeps_all_its_reasons_and_its_source(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD + b',02/01/2025,"1,5"\n')
    with read_events(path) as log:
        row = log.rejected().to_pylist()[0]
        report = log.report
    assert row["reason"] == "missing_customer"
    assert row["reasons"] == ["missing_customer", "unreadable_time", "unreadable_amount"]
    assert row["raw"] == '{"customer_id":"","timestamp":"02/01/2025","amount":"1,5"}'
    assert report.rejected_by_reason == {"missing_customer": 1}
    assert set(report.rejected_by_any_reason) == set(row["reasons"])


def test_a_quote_left_open_costs_one_line_of_many(tmp_path: Path) -> None:
    lines = [b"c%d,2025-01-01,%d\n" % (i, i) for i in range(60_000)]
    lines[1000] = b'c,"2025-01-01,1\n'
    lines[50_000] = b'c,"2025-01-01,1\n'
    with read_events(write(tmp_path, HEADER + b"".join(lines))) as log:
        assert log.rejected().column("line").to_pylist() == [1002, 50_002]
        assert log.report.rows_loaded == 59_998


def test_lines_are_right_across_the_pieces_in_which_a_file_is_read(tmp_path: Path) -> None:
    note = b"x" * 400 + b"\r\n" + b'""y"" ,' * 10
    rows = [b'c%d,2025-01-01,%d,"%s"\r\n' % (i, i, note) for i in range(3000)]
    rows[2900] = b"c,never,1,n\r\n"
    path = write(tmp_path, HEADER.replace(b"\n", b",note\r\n") + b"".join(rows))
    with read_events(path) as log:
        assert log.rejected().column("line").to_pylist() == [2 + 2 * 2900]
        assert log.report.rows_loaded == 2999


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            ReadOptions(EventMapping(amount="Amuont")),
            DataRefusedError,
            ["'Amuont'", "--amount", "customer_id, "],
        ),
        (
            ReadOptions(EventMapping(amount="amuont * 2")),
            DataRefusedError,
            ["'amuont'", "Did you mean 'amount'"],
        ),
        (
            ReadOptions(EventMapping(event="Kind of event")),
            UsageError,
            ["--event", "double quotes"],
        ),
        (ReadOptions(time_format="%Y %Q"), UsageError, ["--time-format", "%Q"]),
        (ReadOptions(memory="plenty"), UsageError, ["'plenty'"]),
    ],
)
def test_an_option_that_does_not_fit_is_named(
    tmp_path: Path, options: ReadOptions, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as error_info:
        read_events(write(tmp_path, HEADER + GOOD), options)
    for word in words:
        assert word in str(error_info.value)


def test_paths_that_hold_no_log_are_named(tmp_path: Path) -> None:
    write(tmp_path, b"", "notes.md")
    with pytest.raises(UsageError, match="does not exist"):
        read_events(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match="no file matches"):
        read_events(f"{tmp_path}/*.csv")
    with pytest.raises(UsageError, match="holds no file"):
        read_events(tmp_path)
    with pytest.raises(DataRefusedError, match="is empty"):
        read_events(tmp_path / "notes.md")
    with pytest.raises(UsageError, match="no event log was named"):
        read_events([])
    write(tmp_path, HEADER + GOOD, "log.csv")
    pq.write_table(pa.table({"customer_id": ["a"]}), tmp_path / "log.parquet")
    with pytest.raises(UsageError, match="both text files"):
        read_events(tmp_path)


def test_files_that_are_damaged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefusedError, match="cannot be read as Parquet"):
        read_events(write(tmp_path, HEADER + GOOD, "text.parquet"))
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"customer_id": ["a"] * 99, "timestamp": ["2025-01-01"] * 99}), whole)
    with pytest.raises(DataRefusedError, match="cannot be read as Parquet"):
        read_events(write(tmp_path, whole.read_bytes()[:-30], "cut.parquet"))
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(HEADER + GOOD * 9)[:-9])
    with pytest.raises(DataRefusedError, match="not a whole gzip file"):
        read_events(cut)
    (tmp_path / "plain.csv.gz").write_bytes(HEADER + GOOD)
    with pytest.raises(DataRefusedError, match="not a whole gzip file"):
        read_events(tmp_path / "plain.csv.gz")

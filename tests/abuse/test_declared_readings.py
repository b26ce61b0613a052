# ruff: noqa: E501 (a row of a table of cases is one line)
"""Small files that need a declared option: read with it, refused without it or against it."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventMapping, ReadOptions, read_events

HEADER = "customer_id,timestamp,amount\n"
GOOD = "a,2025-01-01,1\n"
SEMICOLONS = "customer_id;timestamp;amount\n"
CURRENCY = "customer_id,timestamp,amount,currency\na,2025-01-01,1,EUR\n"
DISCOUNT = "customer_id,timestamp,discount,currency\na,2025-01-01,1,EUR\n"


def write(
    folder: Path, content: str | bytes, name: str = "log.csv", encoding: str = "utf-8"
) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return bytes(out.getvalue())


Options = dict[str, Any]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "options", "line", "reason", "column", "value"),
    [
        # numbers
        (SEMICOLONS + "a;2025-01-01;1,5\nb;2025-01-01;1.5\n", {"decimal": ","}, 3, "unreadable_amount", "amount", "1.5"),
        (HEADER + GOOD + 'b,2025-01-01,"1,234.5"\n', {}, 3, "unreadable_amount", "amount", "1,234.5"),
        (HEADER + GOOD + 'b,2025-01-01,"12,34.5"\n', {"thousands": ","}, 3, "unreadable_amount", "amount", "12,34.5"),
        (HEADER + GOOD + 'b,2025-01-01,"1,2345"\n', {"thousands": ","}, 3, "unreadable_amount", "amount", "1,2345"),
        (HEADER + GOOD + "b,2025-01-01,1 000\n", {}, 3, "unreadable_amount", "amount", "1 000"),
        (HEADER + GOOD + "b,2025-01-01,10 00\n", {"thousands": "space"}, 3, "unreadable_amount", "amount", "10 00"),
        (SEMICOLONS + "a;2025-01-01;1\nb;2025-01-01;,\n", {"decimal": ","}, 3, "unreadable_amount", "amount", ","),
        # times
        (HEADER + "a,01/02/2025,1\nb,2025-02-01,1\n", {"time_format": "%d/%m/%Y"}, 3, "unreadable_time", "timestamp", "2025-02-01"),
        (HEADER + "a,01/02/2025,1\nb,01/13/2025,1\n", {"time_format": "%d/%m/%Y"}, 3, "unreadable_time", "timestamp", "01/13/2025"),
        (HEADER + "a,01/02/25,1\nb,01/02/2025,1\n", {"time_format": "%d/%m/%y"}, 3, "unreadable_time", "timestamp", "01/02/2025"),
        (HEADER + "a,45000,1\nb,60,1\n", {"time_format": "excel"}, 3, "unreadable_time", "timestamp", "60"),
        (HEADER + "a,45000,1\nb,0.5,1\n", {"time_format": "excel"}, 3, "unreadable_time", "timestamp", "0.5"),
        (HEADER + "a,45000,1\nb,2025-01-01,1\n", {"time_format": "excel"}, 3, "unreadable_time", "timestamp", "2025-01-01"),
        (HEADER + "a,45000,1\nb,1e300,1\n", {"time_format": "excel"}, 3, "unreadable_time", "timestamp", "1e300"),
        (HEADER + "a,1700000000,1\nb,1700000000000,1\n", {"time_format": "unix"}, 3, "absurd_time", "timestamp", "1700000000000"),
        (HEADER + "a,1700000000,1\nb,soon,1\n", {"time_format": "unix"}, 3, "unreadable_time", "timestamp", "soon"),
        (HEADER + GOOD + "b,2199-01-01,1\n", {}, 3, "future_time", "timestamp", "2199-01-01"),
        (HEADER + GOOD + "b,2025-01-03,1\n", {"as_of": datetime(2025, 1, 2, tzinfo=UTC), "skew": "2h"}, 3, "future_time", "timestamp", "2025-01-03"),
        # money
        (CURRENCY + "b,2025-01-01,1,\n", {}, 3, "missing_currency", "currency", None),
        (CURRENCY + "b,2025-01-01,1,Euro\n", {}, 3, "unreadable_currency", "currency", "Euro"),
        (CURRENCY + "b,2025-01-01,1,SEK\n", {"report_currency": "EUR", "rates": {"USD": 0.9}}, 3, "no_rate", "currency", "SEK"),
        (CURRENCY + "b,2025-01-01,99999999999,KWD\n", {"report_currency": "EUR", "rates": {"KWD": 3.0}}, 3, "absurd_amount", "amount", "99999999999"),
        (DISCOUNT + "b,2025-01-01,1,\n", {}, 3, "missing_currency", "currency", None),
        (DISCOUNT + "b,2025-01-01,1,Euro\n", {}, 3, "unreadable_currency", "currency", "Euro"),
        (DISCOUNT + "b,2025-01-01,1,SEK\n", {"report_currency": "EUR", "rates": {"USD": 0.9}}, 3, "no_rate", "currency", "SEK"),
        (DISCOUNT + "b,2025-01-01,99999999999,KWD\n", {"report_currency": "EUR", "rates": {"KWD": 3.0}}, 3, "unreadable_discount", "discount", "99999999999"),
        ("customer_id;timestamp;discount\na;2025-01-01;1,5\nb;2025-01-01;1.5\n", {"decimal": ","}, 3, "unreadable_discount", "discount", "1.5"),
        # rules of the user
        (HEADER + GOOD + "test-7,2025-01-01,1\n", {"test_customers": "test-.*"}, 3, "test_customer", "customer_id", "test-7"),
        ("customer_id,timestamp,sku\na,2025-01-01,X1\nb,2025-01-01,POST\n", {"mapping": EventMapping(product="sku"), "not_products": "POST|DOT"}, 3, "not_a_product", "sku", "POST"),
        (HEADER + GOOD + "b,2025-01-01,0\n", {"refuse": {"free": "amount <= 0"}}, 3, "free", "amount", "0"),
        ("customer_id,timestamp,n\na,2025-01-01,1\nb,2025-01-01,one\n", {"refuse": {"many": "n > 5"}}, 3, "unreadable_number", "n", "one"),
    ],
    ids=repr,
)  # fmt: skip
def test_one_line_is_refused(
    tmp_path: Path,
    content: str,
    options: Options,
    line: int,
    reason: str,
    column: str,
    value: str | None,
) -> None:
    path = write(tmp_path, content)
    with read_events(path, ReadOptions(**options)) as log:
        rows = log.rejected().to_pylist()
        assert log.report.rows_loaded == 1
    assert [(r["file"], r["line"], r["reason"], r["column"], r["value"]) for r in rows] == [
        (str(path), line, reason, column, value)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "options", "error", "words"),
    [
        (HEADER.encode("utf-16") + GOOD.encode("utf-16-le"), {"encoding": "cp1251"}, DataRefusedError, ["byte order mark", "utf-16"]),
        (b"\xef\xbb\xbf" + (HEADER + GOOD).encode(), {"encoding": "cp1251"}, DataRefusedError, ["byte order mark", "utf-8"]),
        ((HEADER + GOOD).encode("utf-16-le"), {"encoding": "utf-16"}, DataRefusedError, ["two orders", "utf-16-le"]),
        ((HEADER + GOOD).encode() + b"b\x98,2025-01-01,1\n", {"encoding": "cp1251"}, DataRefusedError, ["line 3", "byte 46", "0x98"]),
        ((HEADER + GOOD).encode("utf-16-le")[:-1], {"encoding": "utf-16-le"}, DataRefusedError, ["cut off"]),
        ("имя,timestamp\n".encode("cp1251"), {}, DataRefusedError, ["line 1", "--encoding", "cp1251"]),
        (HEADER + GOOD, {"separator": ";"}, DataRefusedError, ["'customer_id'", "customer_id,timestamp,amount"]),
        (HEADER + GOOD, {"encoding": "klingon"}, UsageError, ["klingon", "cp1251"]),
        (HEADER + GOOD, {"encoding": "base64"}, UsageError, ["base64"]),
        (HEADER + GOOD, {"zone": "Europe/Londn"}, UsageError, ["Did you mean 'Europe/London'"]),
        (HEADER + GOOD, {"zone": "../../etc/passwd"}, UsageError, ["--zone"]),
        (HEADER + GOOD, {"decimal": ",", "thousands": ","}, UsageError, ["both"]),
        (HEADER + GOOD, {"time_format": "exel"}, UsageError, ["Did you mean 'excel'"]),
        (HEADER + GOOD, {"max_rejected": "half"}, UsageError, ["--max-rejected", "5%"]),
        (HEADER + GOOD, {"max_rejected": "101%"}, UsageError, ["--max-rejected"]),
        (HEADER + GOOD, {"skew": "soon"}, UsageError, ["--skew", "2h"]),
        (HEADER + GOOD, {"rates": {"USD": 0.9}}, UsageError, ["--report-currency"]),
        (HEADER + GOOD, {"rates": {"usd": 0.9}, "report_currency": "EUR"}, UsageError, ["'usd'"]),
        (HEADER + GOOD, {"rates": {"USD": -1.0}, "report_currency": "EUR"}, UsageError, ["above 0"]),
        (HEADER + GOOD, {"refuse": {"Free!": "amount = 0"}}, UsageError, ["'Free!'"]),
        (HEADER + GOOD, {"refuse": {"missing_time": "amount = 0"}}, UsageError, ["missing_time", "another name"]),
        (HEADER + GOOD, {"refuse": {"x": "amount = 0"}, "flag": {"x": "amount = 0"}}, UsageError, ["'x'", "both"]),
        (HEADER + GOOD, {"refuse": {"free": "amuont = 0"}}, DataRefusedError, ["--refuse free", "Did you mean 'amount'"]),
        (HEADER + GOOD, {"refuse": {"free": "amount + 1"}}, UsageError, ["--refuse free", "not a condition"]),
        (HEADER + GOOD, {"where": "read_csv('x')"}, UsageError, ["--where"]),
        (HEADER + GOOD, {"not_products": "POST"}, UsageError, ["--product"]),
        (HEADER + GOOD, {"test_customers": "("}, UsageError, ["--test-customers", "'('"]),
        (HEADER + GOOD, {"where": "amount > 5"}, DataRefusedError, ["--where", "none of 1 row"]),
        (HEADER + GOOD + "b,soon,1\nc,soon,1\n", {"max_rejected": "50%"}, DataRefusedError, ["2 of 3", "66.7%", "line 3"]),
        (HEADER + GOOD + "b,soon,1\n", {"max_rejected": "0"}, DataRefusedError, ["1 of 2"]),
        (CURRENCY + "b,2025-01-01,1,USD\n", {}, DataRefusedError, ["EUR 1, USD 1", "--rates"]),
        (DISCOUNT + "b,2025-01-01,1,USD\n", {}, DataRefusedError, ["EUR 1, USD 1", "--rates"]),
        (HEADER.replace("amount", "discount") + GOOD, {"rates": {"USD": 0.9}, "report_currency": "EUR"}, UsageError, ["--currency COL"]),
        (HEADER + GOOD, {"temp_dir": "/no/such/place"}, UsageError, ["--temp-dir"]),
    ],
    ids=repr,
)  # fmt: skip
def test_the_whole_log_is_refused(
    tmp_path: Path, content: str | bytes, options: Options, error: type[Exception], words: list[str]
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(error) as error_info:
        read_events(path, ReadOptions(**options))
    for word in words:
        assert word in str(error_info.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "options", "amount", "instant"),
    [
        (SEMICOLONS + "a;2025-01-01;1.234.567,25\n", {"decimal": ",", "thousands": "."}, "1234567.25", "2025-01-01"),
        (SEMICOLONS + "a;2025-01-01;-0,5\n", {"decimal": ",", "negative_amounts": "refund"}, "0.5", "2025-01-01"),
        (HEADER + 'a,2025-01-01,"1,234.5"\n', {"thousands": ","}, "1234.5", "2025-01-01"),
        (HEADER + "a,2025-01-01,1\u00a0234\u202f567\n", {"thousands": "space"}, "1234567", "2025-01-01"),
        (HEADER + "a,2025-01-01,1'234.5\n", {"thousands": "'"}, "1234.5", "2025-01-01"),
        (HEADER + "a,2025-01-01,1234.5\n", {"thousands": ","}, "1234.5", "2025-01-01"),
        (SEMICOLONS + "a;2025-01-01;12345678901,123456\n", {"decimal": ","}, "12345678901.123456", "2025-01-01"),
        (HEADER + "a,01/02/2025,1\n", {"time_format": "%d/%m/%Y"}, "1", "2025-02-01"),
        (HEADER + "a,01/02/2025,1\n", {"time_format": "%m/%d/%Y"}, "1", "2025-01-02"),
        (HEADER + "a,45000,1\n", {"time_format": "excel"}, "1", "2023-03-15"),
        (HEADER + "a,40148.351388888892,1\n", {"time_format": "excel"}, "1", "2009-12-01T08:26:00"),
        (HEADER + "a,59,1\n", {"time_format": "excel"}, "1", "1900-02-28"),
        (HEADER + "a,61,1\n", {"time_format": "excel"}, "1", "1900-03-01"),
        (HEADER + "a,43538,1\n", {"time_format": "excel-1904"}, "1", "2023-03-15"),
        (HEADER + "a,1700000000.5,1\n", {"time_format": "unix"}, "1", "2023-11-14T22:13:20.500000"),
        (HEADER + "a,1700000000500,1\n", {"time_format": "unix-ms"}, "1", "2023-11-14T22:13:20.500000"),
        (HEADER + "a,2025-07-01T12:00:00,1\n", {"zone": "Europe/London"}, "1", "2025-07-01T11:00:00"),
        (HEADER + "a,2025-07-01T12:00:00+02:00,1\n", {"zone": "America/New_York"}, "1", "2025-07-01T10:00:00"),
        (HEADER + "a,01.07.2025 12:00,1\n", {"zone": "Asia/Tehran", "time_format": "%d.%m.%Y %H:%M"}, "1", "2025-07-01T08:30:00"),
        (HEADER + "a,2025-01-01T12:00:00,1\n", {"zone": "+05:30"}, "1", "2025-01-01T06:30:00"),
        (HEADER + "a,45000.5,1\n", {"time_format": "excel", "zone": "Europe/Moscow"}, "1", "2023-03-15T09:00:00"),
        (CURRENCY, {}, "1", "2025-01-01"),
        (CURRENCY.replace("EUR", "usd"), {"report_currency": "EUR", "rates": {"USD": 0.92}}, "0.92", "2025-01-01"),
        (HEADER + GOOD, {"mapping": EventMapping(currency="'GBP'")}, "1", "2025-01-01"),
        (HEADER + GOOD + "b,2025-01-01,7\n", {"where": "amount < 5"}, "1", "2025-01-01"),
        (HEADER + "a,2196-01-01,1\n", {"as_of": datetime(2196, 1, 1, tzinfo=UTC)}, "1", "2196-01-01"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_was_declared_is_read(
    tmp_path: Path, content: str, options: Options, amount: str, instant: str
) -> None:
    with read_events(write(tmp_path, content), ReadOptions(**options)) as log:
        assert log.report.rows_rejected == 0
        rows = log.con.execute('SELECT amount, "timestamp" FROM events').fetchall()
    assert rows == [(Decimal(amount), datetime.fromisoformat(instant))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1251", "koi8-r"]
)
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "csv.zst", "tsv.zst"])
def test_every_encoding_and_compression_gives_the_same_events(
    tmp_path: Path, encoding: str, ending: str
) -> None:
    text = 'customer_id,timestamp,event\r\nЁж,2025-01-01,"покупка\nвторая"\r\nb,soon,x\r\n'
    data = text.encode(encoding)
    compressed = {"csv": data, "csv.gz": gzip.compress(data)}.get(ending) or zstd(data)
    with read_events(
        write(tmp_path, compressed, f"log.{ending}"), ReadOptions(encoding=encoding)
    ) as log:
        assert log.con.execute("SELECT customer_id, event FROM events").fetchall() == [
            ("Ёж", "покупка\nвторая")
        ]
        assert log.rejected().column("line").to_pylist() == [4]


def test_a_cut_or_false_zstd_file_is_refused(tmp_path: Path) -> None:
    whole = zstd((HEADER + GOOD * 90_000).encode())
    for name, data in {"cut.csv.zst": whole[:-9], "false.csv.zst": HEADER.encode()}.items():
        with pytest.raises(DataRefusedError, match="not a whole zstd file"):
            read_events(write(tmp_path, data, name))
    with pytest.raises(DataRefusedError, match="empty"):
        read_events(write(tmp_path, b"", "empty.csv.zst"))
    with pytest.raises(DataRefusedError, match=r"zstd: name it \.csv\.zst"):
        read_events(write(tmp_path, whole, "whole.csv"))


def test_local_times_in_a_gap_or_an_overlap_are_flagged_and_read_as_before_the_change(
    tmp_path: Path,
) -> None:
    times = [
        "2025-03-30T01:30:00",
        "2025-10-26T01:30:00",
        "2025-10-26T01:30:00+00:00",
        "2025-10-26T02:00:00",
    ]
    path = write(
        tmp_path, "customer_id,timestamp\n" + "".join(f"c{i},{t}\n" for i, t in enumerate(times))
    )
    with read_events(path, ReadOptions(zone="Europe/London")) as log:
        rows = log.con.execute('SELECT "timestamp" FROM events').fetchall()
        flags = log.report.flags
    assert [str(time) for (time,) in rows] == [
        "2025-03-30 01:30:00",
        "2025-10-26 00:30:00",
        "2025-10-26 01:30:00",
        "2025-10-26 02:00:00",
    ]
    assert {name: (flag["rows"], flag["examples"][0]["line"]) for name, flag in flags.items()} == {
        "dst_gap": (1, 2),
        "dst_overlap": (1, 3),
    }


def test_a_row_keeps_its_flags_and_every_reason_and_flags_count_refused_rows_too(
    tmp_path: Path,
) -> None:
    text = "customer_id,timestamp,invoice,price\na,2025-01-01,C1,2\n,2025-01-01,C2,-1\nb,2025-01-01,3,0\n"
    options = ReadOptions(
        EventMapping(amount="price"),
        refuse={"not_positive": "price <= 0"},
        flag={"cancellation": "invoice LIKE 'C%'"},
    )
    with read_events(write(tmp_path, text), options) as log:
        report, rows = log.report, log.rejected().to_pylist()
    assert report.flags["cancellation"]["rows"] == 2
    assert report.flags["cancellation"]["rows_not_refused"] == 1
    assert rows[0]["reasons"] == ["missing_customer", "negative_amount", "not_positive"]
    assert [row["flags"] for row in rows] == [["cancellation"], None]
    assert report.rejected_by_any_reason == {
        "not_positive": 2,
        "missing_customer": 1,
        "negative_amount": 1,
    }
    assert "price <= 0" in report.rejected_examples["not_positive"]["hint"]


def test_rows_that_where_leaves_out_are_counted_apart(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD + "b,soon,9\nc,2025-01-01,much\n")
    with read_events(path, ReadOptions(where="amount < 5")) as log:
        assert (log.report.rows_in, log.report.rows_loaded, log.report.rows_skipped) == (2, 1, 1)
        # whether "much" is below 5 is unknown, so the row is refused, not skipped
        assert log.report.rejected_by_reason == {"unreadable_amount": 1}


def test_a_time_of_today_is_not_of_the_future(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [f"a,{(now + timedelta(hours=h)).isoformat()},1\n" for h in (-1, 1, 23, 25)]
    with read_events(write(tmp_path, HEADER + "".join(rows))) as log:
        assert log.rejected().column("line").to_pylist() == [5]


def test_rows_that_share_an_event_number_and_differ_are_told(tmp_path: Path) -> None:
    text = "customer_id,timestamp,event_id\na,2025-01-02,7\nb,2025-01-01,7\nc,2025-01-01,8\nc,2025-01-01,8\n"
    with read_events(write(tmp_path, text)) as log:
        assert log.report.duplicates == {"same_row": 1, "same_event_id": 1}
        assert log.con.execute("SELECT customer_id FROM events").fetchall() == [("b",), ("c",)]
        assert any("'7'" in warning and "known first" in warning for warning in log.report.warnings)

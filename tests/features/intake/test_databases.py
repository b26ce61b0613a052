"""Database tables and queries as sources of events, with a real PostgreSQL and SQLite files."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.events import EventMapping, ReadOptions, read_events
from stagecast.features.intake import databases
from stagecast.features.intake.databases import open_database
from stagecast.features.intake.sources import Source, is_database
from tests.postgres import PASSWORD, postgres_url  # noqa: F401

pytestmark = pytest.mark.slow

EVENTS = [
    ("Müller", "2025-01-01T09:30:00Z", "purchase", "1234.50", "web"),
    ("عميل", "2025-01-01T23:59:59.5Z", "purchase", "0.10", None),
    ("17", "2025-02-03T00:00:00.000001Z", "visit", None, "app"),
    ("it's; --", "2025-02-03T00:00:00Z", "refund", "-3.25", 'a,b\n"c"'),
    ("17", "2025-03-30T01:30:00Z", "purchase", "99999999999.999999", ""),
    ("17", "2025-03-30T01:30:00Z", "purchase", "99999999999.999999", ""),  # a duplicate
    ("", "2025-04-01T00:00:00Z", "purchase", "1", "web"),  # refused
    ("18", "2025-04-01T00:00:00Z", "purchase", None, "web"),  # refused
]


@pytest.fixture
def server(postgres_url: str) -> Iterator[tuple[str, psycopg.Connection[Any]]]:  # noqa: F811
    """Yield the URL of an empty database and a connection to it."""
    with psycopg.connect(postgres_url, autocommit=True) as main:
        main.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        main.execute("CREATE DATABASE shop")
        main.execute("ALTER DATABASE shop SET timezone = 'Asia/Tehran'")
        url = postgres_url.removesuffix("postgres") + "shop"
        with psycopg.connect(url, autocommit=True) as connection:
            yield url, connection
        main.execute("DROP DATABASE shop WITH (FORCE)")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[str, sqlite3.Connection]]:
    """Yield the URL of an empty SQLite file and a connection to it."""
    path = tmp_path / "my shop.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA user_version = 1")
    yield f"sqlite:///{path}", connection
    connection.close()


def with_query(url: str, query: str) -> str:
    return f"{url}?query={quote(query)}"


def read(source: Source) -> list[tuple[Any, ...]]:
    """Return the rows of all blocks without their lines, after a check of lines and types."""
    rows: list[tuple[Any, ...]] = []
    for block in source.blocks():
        assert len(block.malformed) == 0
        table = block.rows
        assert table.column("line").to_pylist() == list(
            range(len(rows) + 1, len(rows) + 1 + len(table))
        )
        columns = [table.column(column.sql) for column in source.columns]
        assert all(column.type == pa.string() for column in columns)
        rows += zip(*(column.to_pylist() for column in columns), strict=True)
    assert {column.kind for column in source.columns} == {"text"}
    return rows


def one_value(url: str, expression: str) -> str | None:
    ((value,),) = read(open_database(with_query(url, f"SELECT {expression} AS v")))
    return value


def error_of(error_class: type[StagecastError], action: Callable[[], object]) -> str:
    with pytest.raises(StagecastError) as error_info:
        action()
    assert type(error_info.value) is error_class, error_info.value
    message = str(error_info.value)
    assert PASSWORD not in message
    assert quote(PASSWORD, safe="") not in message
    return message


def data_error(url: str) -> str:
    return error_of(DataRefusedError, lambda: read(open_database(url)))


def usage_error(url: str) -> str:
    return error_of(UsageError, lambda: read(open_database(url)))


# the same events give the same log, whatever the source


def same_events(tmp_path: Path, url: str, connection: psycopg.Connection[Any]) -> list[str]:
    """Write the same events to a CSV, a SQLite file and PostgreSQL; return their sources."""
    csv = tmp_path / "events.csv"
    cells = [
        ["" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row]
        for row in EVENTS
    ]
    csv.write_text(
        "customer_id,timestamp,event,amount,channel\n"
        + "".join(",".join(row) + "\n" for row in cells),
        encoding="utf-8",
    )
    connection.execute(
        "CREATE TABLE events"
        " (customer_id text, timestamp timestamptz, event varchar(20), amount "
        "numeric(18,6), channel text)"
    )
    connection.cursor().executemany("INSERT INTO events VALUES (%s, %s, %s, %s, %s)", EVENTS)
    sqlite = sqlite3.connect(tmp_path / "events.db")
    sqlite.execute(
        "CREATE TABLE events (customer_id TEXT, timestamp TEXT, event TEXT, amount TEXT, "
        "channel TEXT)"
    )
    sqlite.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", EVENTS)
    sqlite.commit()
    sqlite.close()
    return [str(csv), f"sqlite:///{tmp_path}/events.db?table=events", f"{url}?table=events"]


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
def test_csv_sqlite_and_postgresql_give_the_identical_log(tmp_path, server, duplicates):
    logs = []
    for source in same_events(tmp_path, *server):
        with read_events(source, ReadOptions(duplicates=duplicates)) as log:
            report = log.report
            counts = (
                report.rows_in,
                report.rows_loaded,
                report.rows_duplicate,
                report.rejected_by_reason,
            )
            logs.append((log.con.execute("SELECT * FROM events").fetchall(), counts))
            label = source if source.endswith("csv") else open_database(source).label
            assert log.report.files == [label]
            assert set(log.rejected().column("file").to_pylist()) == {label}
    assert logs[0] == logs[1] == logs[2]
    events, counts = logs[0]
    assert counts == (
        8,
        *((5, 1) if duplicates == "drop" else (6, 0)),
        {"missing_customer": 1, "missing_amount": 1},
    )
    by_customer = {row[0]: row for row in events}
    assert by_customer["Müller"][1] == datetime(2025, 1, 1, 9, 30)
    assert by_customer["عميل"][1] == datetime(2025, 1, 1, 23, 59, 59, 500_000)
    assert next(row[3] for row in events if row[0] == "17" and row[2] == "purchase") == Decimal(
        "99999999999.999999"
    )
    assert by_customer["it's; --"][2:4] == ("refund", Decimal("3.25"))


def test_an_amount_can_be_an_expression_of_columns(server):
    url, connection = server
    connection.execute("CREATE TABLE lines (who int, at date, quantity int, price float8)")
    connection.execute("INSERT INTO lines VALUES (7, '2025-01-05', 3, 2.5)")
    mapping = EventMapping(customer="who", time="at", amount="quantity * price")
    with read_events(f"{url}?table=lines", ReadOptions(mapping)) as log:
        rows = log.con.execute('SELECT customer_id, "timestamp", amount FROM events').fetchall()
    assert rows == [("7", datetime(2025, 1, 5), Decimal("7.5"))]


def test_float_ids_of_a_database_are_whole_numbers_as_those_of_a_csv(shop):
    url, connection = shop
    connection.execute("CREATE TABLE t (customer_id REAL, timestamp TEXT)")
    connection.execute("INSERT INTO t VALUES (17850, '2025-01-01')")
    assert read(open_database(f"{url}?table=t")) == [("17850.0", "2025-01-01")]
    with read_events(f"{url}?table=t") as log:
        assert log.con.execute("SELECT customer_id FROM events").fetchall() == [("17850",)]


# one text for each value


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("17", "17"),
        ("9223372036854775807::int8", "9223372036854775807"),
        ("NULL::int", None),
        ("12.50::numeric(10,2)", "12.50"),
        ("1e30::numeric", "1" + "0" * 30),
        ("0.0000000001::numeric", "0.0000000001"),
        ("'NaN'::numeric", "NaN"),
        ("17850::float8", "17850.0"),
        ("0.1::float8 + 0.2", "0.30000000000000004"),
        ("19.9::float4", "19.9"),
        ("'NaN'::float8", "nan"),
        ("'-Infinity'::float8", "-inf"),
        ("true", "true"),
        ("false", "false"),
        ("date '2025-01-31'", "2025-01-31"),
        ("timestamp '2025-01-31 10:00'", "2025-01-31T10:00:00"),
        ("timestamp '2025-01-31 10:00:00.25'", "2025-01-31T10:00:00.250000"),
        ("timestamptz '2025-01-31 10:00:00+03:30'", "2025-01-31T06:30:00Z"),
        ("timestamptz '2025-01-31 10:00:00.000001+00'", "2025-01-31T10:00:00.000001Z"),
        ("timestamptz '1890-01-01 00:00:00+00'", "1890-01-01T00:00:00Z"),
        ("timestamptz 'infinity'", "infinity"),
        ("date '-infinity'", "-infinity"),
        ("timestamp '0044-03-15 12:00 BC'", "0044-03-15 12:00:00 BC"),
        ("timestamptz '12025-01-01 00:00+00'", "12025-01-01 00:00:00+00"),
        ("time '24:00'", "24:00:00"),
        ("interval '1 day'", "1 day"),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("""'{"b": [1, 2.50], "a": "é"}'::jsonb""", '{"a": "é", "b": [1, 2.50]}'),
        ("ARRAY[1, NULL, 3]", "[1, null, 3]"),
        ("ARRAY['é']", '["é"]'),
        ("'  as it is \u202b'", "  as it is \u202b"),
        ("''", ""),
        ("'2025-01-31 10:00:00+00'", "2025-01-31 10:00:00+00"),
        ("'C%' LIKE 'C%'", "true"),
        ("'12:30'::time < '13:00'", "true"),
        ("1 + 1", "2"),
    ],
)
def test_each_type_of_postgresql_has_one_spelling(module_database, expression, text):
    assert one_value(module_database, expression) == text


@pytest.fixture(scope="module")
def module_database(postgres_url: str) -> str:  # noqa: F811
    """Return the URL of a database to which no test writes."""
    return postgres_url


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("17", "17"),
        ("9223372036854775807", "9223372036854775807"),
        ("17850.0", "17850.0"),
        ("1e999", "inf"),
        ("1e300", "1e+300"),
        ("NULL", None),
        ("'é\U0001f98a'", "é\U0001f98a"),
        ("'C%' || '+'", "C%+"),
    ],
)
def test_each_type_of_sqlite_has_one_spelling(shop, expression, text):
    assert one_value(shop[0], expression) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("12.50"), "12.50"),
        (10**30, "1" + "0" * 30),
        (True, "true"),
        (date(2025, 1, 31), "2025-01-31"),
        (datetime(2025, 1, 31, 10), "2025-01-31T10:00:00"),
        (datetime(2025, 1, 31, 10, tzinfo=timezone(timedelta(hours=2))), "2025-01-31T08:00:00Z"),
        (datetime(2025, 1, 31, 10, 0, 0, 5, tzinfo=UTC), "2025-01-31T10:00:00.000005Z"),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
            "9999-12-31T23:59:59.999999-02:00",
        ),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ([Decimal("1.5")], '["1.5"]'),
        (float("nan"), "nan"),
    ],
)
def test_values_that_other_drivers_give_have_the_same_spelling(value, text):
    column = databases.SourceColumn("v", "c0", "text")
    address = databases._parse_url("mysql://host/db?table=t")
    for other_values, texts in (((), []), ((None,), [None]), (("x", 1), ["x", "1"])):
        array = databases._text_array(address, column, 0, (value, *other_values))
        assert array.to_pylist() == [text, *texts]


def test_settings_of_the_database_do_not_change_the_spelling(server):
    url, connection = server
    for setting in ("extra_float_digits = -3", "datestyle = 'German'"):
        connection.execute(f"ALTER DATABASE shop SET {setting}")
    assert one_value(url, "0.1::float8 + 0.2") == "0.30000000000000004"
    assert one_value(url, "date '2025-01-31'") == "2025-01-31"
    assert one_value(url, "timestamptz '2025-01-31 10:00+00'") == "2025-01-31T10:00:00Z"


def test_a_column_of_sqlite_may_mix_types(shop):
    url, connection = shop
    connection.execute("CREATE TABLE t (v)")
    connection.executemany("INSERT INTO t VALUES (?)", [(1,), (1.5,), ("x",), (None,)])
    assert read(open_database(f"{url}?table=t")) == [("1",), ("1.5",), ("x",), (None,)]


def test_bytes_are_refused_with_their_column_and_row(server, shop):
    url, connection = server
    connection.execute("CREATE TABLE t (id int, picture bytea)")
    connection.execute(r"INSERT INTO t VALUES (1, NULL), (2, '\x00ff')")
    shop[1].execute("CREATE TABLE t AS SELECT 1 AS id, NULL AS picture UNION ALL SELECT 2, x'00ff'")
    for address in (url, shop[0]):
        assert "column 'picture' holds bytes in row 2, not text" in data_error(f"{address}?table=t")
        assert read(open_database(with_query(address, "SELECT id FROM t"))) == [("1",), ("2",)]


def test_text_of_sqlite_that_is_not_utf_8_is_refused(shop):
    url, connection = shop
    connection.execute(
        "CREATE TABLE t AS SELECT 'ok' AS v UNION ALL SELECT CAST(x'63616681' AS TEXT)"
    )
    message = data_error(f"{url}?table=t")
    assert "UTF-8" in message
    assert "'v'" in message


def test_text_of_a_database_without_encoding_that_is_not_utf_8_is_refused(postgres_url, server):  # noqa: F811
    with psycopg.connect(postgres_url, autocommit=True) as main:
        main.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0")
        url = postgres_url.removesuffix("postgres") + "raw"
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(rb"CREATE TABLE t AS SELECT E'caf\xe9' AS v")
            assert "invalid byte sequence for encoding" in data_error(f"{url}?table=t")
            assert one_value(url, "'plain'") == "plain"
        finally:
            main.execute("DROP DATABASE raw WITH (FORCE)")


# blocks


def test_rows_come_in_blocks_with_their_numbers(server, shop, monkeypatch):
    monkeypatch.setattr(databases, "ROWS_PER_BLOCK", 150)
    server[1].execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g")
    shop[1].execute("CREATE TABLE t (n)")
    shop[1].executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, 1001)])
    for url in (server[0], shop[0]):
        source = open_database(f"{url}?table=t")
        assert [len(block.rows) for block in source.blocks()] == [150] * 6 + [100]
        assert read(source) == [(str(n),) for n in range(1, 1001)]  # and it can be read again


def test_wide_rows_make_shorter_blocks(shop, monkeypatch):
    monkeypatch.setattr(databases, "BYTES_PER_BLOCK", 1_000_000)
    shop[1].execute("CREATE TABLE t (n)")
    shop[1].executemany("INSERT INTO t VALUES (?)", [("x" * 10_000,) for _ in range(1_250)])
    assert [len(block.rows) for block in open_database(f"{shop[0]}?table=t").blocks()] == [
        1_000,
        99,
        99,
        52,
    ]


def test_only_a_part_of_the_rows_leaves_the_server_at_once(server):
    url, connection = server
    connection.execute("CREATE SEQUENCE s")
    connection.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 300000) g")
    blocks = open_database(f"{url}?table=t").blocks()
    assert [len(next(blocks).rows), len(next(blocks).rows)] == [1_000, 50_000]
    ((query,),) = connection.execute(
        "SELECT query FROM pg_stat_activity WHERE application_name = 'stagecast'"
    ).fetchall()
    assert query.startswith("FETCH FORWARD 50000 ")
    blocks.close()
    assert connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stagecast' AND "
        "state <> 'idle'"
    ).fetchone() == (0,)


def test_a_read_sees_one_picture_while_others_write(server, monkeypatch):
    monkeypatch.setattr(databases, "ROWS_PER_BLOCK", 10)
    url, connection = server
    connection.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 30) g")
    blocks = open_database(f"{url}?table=t").blocks()
    rows = next(blocks).rows.num_rows
    connection.execute(
        "UPDATE t SET n = n + 100; INSERT INTO t SELECT g FROM generate_series(1, 30) g"
    )
    assert rows + sum(block.rows.num_rows for block in blocks) == 30


def test_an_empty_table_has_its_columns_and_no_rows(server, shop):
    for url, connection in (server, shop):
        connection.execute("CREATE TABLE t (customer_id text, timestamp text)")
        source = open_database(f"{url}?table=t")
        assert [column.name for column in source.columns] == ["customer_id", "timestamp"]
        assert read(source) == []
        address = f"{url}?table=t"
        assert "a header, and no rows below it" in error_of(
            DataRefusedError, lambda address=address: read_events(address)
        )


def test_a_table_that_changed_between_opening_and_reading_is_refused(server):
    url, connection = server
    connection.execute("CREATE TABLE t (a int)")
    source = open_database(f"{url}?table=t")
    connection.execute("ALTER TABLE t ADD b int")
    assert "its columns changed" in error_of(DataRefusedError, lambda: read(source))


# URLs


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("postgresql://host/db?table=t", True),
        ("postgresql+psycopg://host/db", True),
        ("sqlite:///a.db", True),
        ("s3://bucket/a.parquet", True),
        ("file:///a.csv", False),
        ("FILE:///a.csv", False),
        ("C:\\a.csv", False),
        ("C://a.csv", False),
        ("a.csv", False),
        ("./odd://a.csv", False),
        ("", False),
    ],
)
def test_a_scheme_makes_a_database(text, answer):
    assert is_database(text) is answer


@pytest.mark.parametrize(
    "tail", ["", "?", "?table=", "?table=a&query=SELECT%201", "?sslmode=disable"]
)
def test_exactly_one_of_table_and_query_is_named(tail):
    message = usage_error(f"postgresql://shop:{quote(PASSWORD, safe='')}@host/db{tail}")
    assert "?table=orders" in message
    assert "?query=SELECT" in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:s3cr@t@host/db?table=t",
        "postgresql://shop:x/s3cr@t/y@host/db?table=t",
        "postgresql://host:s3cret/db?table=t",
        "://s3cret",
        "postgresql://shop:s3cret@host/db?table=a&table=b",
        "postgresql://shop:s3cret@host/db?query=SELECT 1 WHERE 'a' & 'b'",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_a_part_of_it(url):
    assert "s3cr" not in usage_error(url)
    assert "%" in usage_error(url)


def test_a_percent_sign_that_was_not_escaped_is_refused(shop):
    assert "% is written %25" in usage_error(
        f"{shop[0]}?query=SELECT 1 AS a WHERE 'made' LIKE '%ad%'"
    )
    assert read(open_database(f"{shop[0]}?query=SELECT 1 AS a WHERE 'made' LIKE '%25ad%25'")) == [
        ("1",)
    ]


def test_the_label_has_no_password_and_the_beginning_of_the_query(server):
    url, _ = server
    tail = url.rpartition("@")[2]
    assert (
        open_database(with_query(url, "SELECT 1 AS a")).label
        == f"postgresql://shop:***@{tail}?query=SELECT 1 AS a"
    )
    long = open_database(
        with_query(url, "SELECT\n  1 AS a, " + " + ".join("1" * 50) + " AS b")
    ).label
    assert long == f"postgresql://shop:***@{tail}?query={'SELECT 1 AS a, ' + ' + '.join('1' * 12)}…"
    assert PASSWORD not in repr(open_database(with_query(url, "SELECT 1 AS a")))


@pytest.mark.parametrize(
    "encode", [quote, lambda text: text, lambda text: urlencode({"": text})[1:]]
)
def test_a_query_may_be_encoded_in_any_of_the_usual_ways(shop, encode):
    url, _ = shop
    assert read(open_database(f"{url}?query={encode('SELECT 1 + 2 AS a')}")) == [("3",)]


def test_a_table_may_stand_in_a_schema_and_have_any_name(server):
    url, connection = server
    connection.execute('CREATE SCHEMA "Old"')
    connection.execute('CREATE TABLE "Old"."my ""orders""" AS SELECT 1 AS a')
    connection.execute('CREATE TABLE "order" AS SELECT 2 AS a')
    connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT 3 AS a")
    name = quote('Old.my "orders"')
    assert read(open_database(f"{url}?table={name}")) == [("1",)]
    assert read(open_database(f"{url}?table=order")) == [("2",)]
    assert read(open_database(f"{url}?table=seen")) == [("3",)]


def test_parameters_go_to_the_driver(server):
    url, connection = server
    ((folder,),) = connection.execute("SHOW unix_socket_directories").fetchall()
    ((port,),) = connection.execute("SHOW port").fetchall()
    user = url.partition("@")[0].replace("postgresql:", "postgresql+psycopg:")
    query = "SELECT+inet_server_addr()::text+AS+a"
    by_socket = f"{user}@/shop?query={query}&host={folder}&port={port}&sslmode=disable"
    assert read(open_database(by_socket)) == [(None,)]
    assert "sslmode" in usage_error(f"{url}?table=t&sslmode=odd")
    assert "no_such_option" in usage_error(f"{url}?table=t&no_such_option=1")


def test_a_password_may_stand_in_the_parameters_and_is_as_secret_there(server):
    url, _ = server
    address = (
        f"postgresql://shop@{url.partition('@')[2]}?query=SELECT 1 AS "
        f"a&password={quote(PASSWORD, safe='')}"
    )
    assert read(open_database(address)) == [("1",)]
    assert "password authentication failed" in usage_error(address + "x")
    for url_with_secret in (
        address,
        f"postgresql://shop:{quote(PASSWORD, safe='')}@host/db?table=t",
    ):
        driver_error = ValueError(f"the driver says {PASSWORD}")
        error = databases._explained_error(
            databases._parse_url(url_with_secret), driver_error, "cannot be opened", "", UsageError
        )
        assert str(error).endswith("the driver says ***")


def test_hosts_and_ports_that_do_not_match_are_refused():
    assert "ports" in usage_error("postgresql://shop@/db?table=t&host=a,b,c&port=1,2")


def test_columns_of_one_name_are_refused_and_one_without_is_called_by_its_position(server, shop):
    for url in (server[0], shop[0]):
        assert "are both named 'a'" in data_error(with_query(url, "SELECT 1 AS a, 2 AS a"))
    nameless = open_database(with_query(shop[0], 'SELECT 1 AS ""'))
    assert [(column.name, column.has_name) for column in nameless.columns] == [("column 1", False)]
    assert sum(len(block.rows) for block in nameless.blocks()) == 1
    assert "no columns" in usage_error(with_query(server[0], "SELECT"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/db?table=t", "pip install 'mysqlclient'"),
        ("mysql+pymysql://host/db?table=t", "pip install 'pymysql'"),
        ("postgresql+psycopg2://host/db?table=t", "pip install 'psycopg2-binary'"),
        ("snowflake://host/db?table=t", "pip install 'snowflake-sqlalchemy'"),
        ("s3://bucket/log?table=t", "no dialect 's3'"),
        ("postgresql+asyncpg://host/db?table=t", ""),
    ],
)
def test_a_missing_driver_is_named(url, words):
    assert words in usage_error(url)


# nothing is ever written


WRITES = [
    "DELETE FROM t RETURNING n",
    "WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone",
    "SELECT 1 AS a; DROP TABLE t",
    "SELECT 1 AS a; COMMIT; DROP TABLE t",
    "COMMIT",
    "DROP TABLE t",
    "SELECT * INTO copied FROM t",
    "SELECT set_config('transaction_read_only', 'off', false) AS a, wipe() AS b",
    "SELECT wipe() AS a",
    "SELECT nextval('s') AS a",
    "SELECT n FROM t FOR UPDATE",
    "TRUNCATE t",
    "COPY t TO STDOUT",
]


@pytest.mark.parametrize("query", WRITES)
def test_postgresql_is_only_read(server, query):
    url, connection = server
    connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    connection.execute("CREATE SEQUENCE s")
    connection.execute(
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql VOLATILE AS 'DELETE FROM t; SELECT 1'"
    )
    message = usage_error(with_query(url, query))
    assert "SELECT" in message
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert connection.execute("SELECT is_called FROM s").fetchone() == (False,)
    assert connection.execute("SELECT to_regclass('copied')").fetchone() == (None,)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t RETURNING n",
        "SELECT 1 AS a; DROP TABLE t",
        "DROP TABLE t",
        "ATTACH DATABASE '{other}' AS other",
        "VACUUM INTO '{other}'",
        "PRAGMA user_version = 7",
        "BEGIN",
        "CREATE TEMP TABLE x AS SELECT 1",
    ],
)
def test_sqlite_is_only_read(shop, tmp_path, query):
    url, connection = shop
    connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    other = tmp_path / "other.db"
    assert "SELECT" in usage_error(with_query(url, query.format(other=other)))
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert not other.exists()


class Strange(SQLiteDialect_pysqlite):
    """SQLite as an unknown dialect."""

    name = "strange"
    supports_statement_cache = True


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t RETURNING n",
        "SELECT 1; DROP TABLE t",
        "DROP TABLE t",
        "INSERT INTO t SELECT 2",
        "SELECT FROM",
    ],
)
def test_in_any_other_dialect_a_select_is_run_and_nothing_else(shop, query):
    url, connection = shop
    registry.register("strange", __name__, "Strange")
    url = url.replace("sqlite:", "strange:")
    connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    assert read(open_database(f"{url}?table=t")) == [("1",)]
    assert read(
        open_database(
            with_query(url, "WITH a AS (SELECT n FROM t) SELECT * FROM a UNION ALL SELECT 3 -- all")
        )
    ) == [
        ("1",),
        ("3",),
    ]
    usage_error(with_query(url, query))
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_missing_sqlite_file_is_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in (
        "sqlite:///no.db?table=t",
        f"sqlite:///{tmp_path}/no.db?table=t",
        "sqlite://?table=t",
    ):
        assert "there is no file" in usage_error(url)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_sqlite_file_and_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("a@b #1.db") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    connection.close()
    assert read(open_database("sqlite:///a@b #1.db?table=t")) == [("1",)]


# faults


def test_a_server_that_is_not_there_or_never_answers(monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        secret = quote(PASSWORD, safe="")
        url = f"postgresql://shop:{secret}@127.0.0.1:{port}/db?table=t"
        message = usage_error(url)
        assert str(port) in message
        assert "refused" in message
        assert "Check host" in message
        listener.listen()
        monkeypatch.setattr(databases, "WAIT_SECONDS", 2)
        assert "timeout" in usage_error(url)


def test_a_wrong_password_user_or_database_is_refused_by_name(server):
    url, _ = server
    assert "password authentication failed" in usage_error(url.replace("@", "0@", 1) + "?table=t")
    assert '"nobody"' in usage_error(url.replace("shop:", "nobody:", 1) + "?table=t")
    assert '"shap" does not exist' in usage_error(url.removesuffix("shop") + "shap?table=t")


def test_an_unknown_table_is_refused_with_the_nearest(server, shop):
    for url, connection in (server, shop):
        connection.execute("CREATE TABLE orders (a int)")
        connection.execute("CREATE VIEW recent AS SELECT * FROM orders")
        message = usage_error(f"{url}?table=ordres")
        assert "no table 'ordres'" in message
        assert "Did you mean 'orders'?" in message
        assert "recent" in message
    server[1].execute("CREATE SCHEMA old; CREATE TABLE old.lines (a int)")
    assert "Did you mean 'old.lines'?" in usage_error(f"{server[0]}?table=old.line")


def test_a_table_without_permission_is_refused(server):
    url, connection = server
    connection.execute("DROP ROLE IF EXISTS guest")
    connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest secret'")
    connection.execute("CREATE TABLE orders (a int)")
    message = data_error(f"postgresql://guest:guest%20secret@{url.partition('@')[2]}?table=orders")
    assert "permission denied" in message
    assert "grant SELECT" in message
    assert "guest secret" not in message
    connection.execute("DROP ROLE guest")


def test_a_statement_error_has_its_position_in_the_query(server, shop):
    url, connection = server
    connection.execute("CREATE TABLE orders (amount int)")
    message = usage_error(with_query(url, "SELECT amount FORM orders WHERE 1"))
    assert 'syntax error at or near "orders", at character 20 of the query' in message
    message = usage_error(with_query(url, "SELECT amuont FROM orders"))
    assert "at character 8 of the query" in message
    assert "orders.amount" in message
    assert 'near "orders": syntax error' in usage_error(
        with_query(shop[0], "SELECT amount FORM orders")
    )


def test_a_lost_connection_names_the_row_reached(server, caplog, capfd):
    url, connection = server
    connection.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 300000) g")
    blocks = open_database(f"{url}?table=t").blocks()
    assert len(next(blocks).rows) == 1_000
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
        "application_name = 'stagecast'"
    )
    with caplog.at_level(logging.WARNING):
        message = error_of(DataRefusedError, lambda: list(blocks))
    assert "reading stopped after row 1,000: " in message
    assert "connection" in message
    assert "Run it again" in message
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_row_that_cannot_be_computed_names_the_row_reached(server, monkeypatch):
    monkeypatch.setattr(databases, "ROWS_PER_BLOCK", 10)
    message = data_error(
        with_query(server[0], "SELECT 1 / (35 - g) AS v FROM generate_series(1, 100) g")
    )
    assert "reading stopped after row 30: division by zero" in message


def test_a_locked_table_of_postgresql_is_refused_in_time(server, monkeypatch):
    url, connection = server
    monkeypatch.setattr(databases, "WAIT_SECONDS", 1)
    connection.execute("CREATE TABLE t (a int)")
    with connection.transaction():
        connection.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert "lock" in data_error(f"{url}?table=t")


def test_a_locked_sqlite_file_is_waited_for_then_refused(shop, monkeypatch):
    url, connection = shop
    connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    connection.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(databases, "WAIT_SECONDS", 0.2)
    waits, connect = set(), sqlite3.connect

    def watched_connect(*arguments, timeout, **options):
        waits.add(timeout)
        return connect(*arguments, timeout=timeout, **options)

    monkeypatch.setattr(databases.sqlite3, "connect", watched_connect)
    assert "Another program is writing" in data_error(f"{url}?table=t")
    assert waits == {0.2}
    monkeypatch.setattr(databases, "WAIT_SECONDS", 600)
    release = threading.Timer(0.5, connection.execute, ["ROLLBACK"])
    release.start()
    assert read(open_database(f"{url}?table=t")) == [("1",)]
    release.join()


def test_files_that_are_no_sqlite_database_are_refused(tmp_path):
    (tmp_path / "log.csv").write_text("customer_id,timestamp\n" * 100, encoding="utf-8")
    message = data_error(f"sqlite:///{tmp_path}/log.csv?table=t")
    assert "file is not a database. A CSV or Parquet file is named without sqlite:///" in message
    assert "there is no file" in usage_error(f"sqlite:///{tmp_path}?table=t")
    assert "sslmode" in usage_error(f"sqlite:///{tmp_path}/log.csv?table=t&sslmode=x")


def test_every_setting_of_the_session_is_one_that_postgresql_has(module_database):
    value = one_value(
        module_database,
        "json_object_agg(name, setting) AS v FROM pg_settings WHERE name IN "
        "('TimeZone', 'transaction_read_only', 'transaction_isolation', "
        "'client_encoding', 'lock_timeout') --",
    )
    assert json.loads(value or "") == {
        "TimeZone": "UTC",
        "transaction_read_only": "on",
        "transaction_isolation": "repeatable read",
        "client_encoding": "UTF8",
        "lock_timeout": "10000",
    }


def test_sqlalchemy_is_not_asked_to_keep_connections(module_database):
    address = databases._parse_url(f"{module_database}?table=t")
    assert isinstance(databases._make_engine(address).pool, sa.NullPool)

"""Database tables and queries as sources of events, read in blocks and without writing.

    URL -> address (what to read, and a label without the password) -> server-side cursor -> blocks

Every value is converted to text in one format, so that the same events give the same log from CSV,
SQLite or PostgreSQL. PostgreSQL reads in one ``REPEATABLE READ, READ ONLY`` transaction and SQLite
opens the file with ``mode=ro``, so they refuse to write by themselves; in any other dialect a query
is run as a part of a SELECT.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, StagecastError, UsageError, did_you_mean
from stagecast.features.intake.column_names import name_columns, nameless_columns
from stagecast.features.intake.expressions import SourceColumn
from stagecast.features.intake.sources import MALFORMED_SCHEMA, Block, Source

ROWS_PER_BLOCK, BYTES_PER_BLOCK = 50_000, 64 << 20
WAIT_SECONDS = 10  # for the answer of a server, and for a lock of another program

_URL_HINT = (
    "write postgresql://user:password@host/db?table=orders, or ?query=SELECT ... (% "
    "is written %25, & is %26)"
)
_BLANK_PATTERN = re.compile(r"\s|%20|%09|%0[AaDd]")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|odbc", re.IGNORECASE)
_DRIVER_PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}
_DIALECT_PACKAGES = {
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "duckdb": "duckdb-engine",
}
_LIBPQ_OPTIONS = {
    "client_encoding": "utf8",
    "application_name": "stagecast",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
}
# synchronize_seqscans: otherwise a scan may begin in the middle of the table, and row numbers would
# differ between reads
_POSTGRESQL_SETTINGS = (
    "timezone = 'UTC'",
    "datestyle = 'ISO'",
    "extra_float_digits = 3",
    "synchronize_seqscans = off",
)
# psycopg puts it before a query, and PostgreSQL counts it in the position of an error
_CURSOR_PREFIX = 'DECLARE "stagecast" CURSOR FOR '
_POSTGRESQL_TEXT_TYPES = (
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "timetz",
    "interval",
    "numeric",
    "uuid",
    "json",
    "jsonb",
)
"""Types of PostgreSQL that are read as the server's text.

This is exact and faster than Python objects, and Python has no date for ``infinity``.
"""
_TIME_SUFFIXES = {1114: "", 1184: "Z"}  # OID of timestamp and timestamptz -> end of their text
_SQLITE_READ_ACTIONS = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_PRAGMA,
    33,
)
"""The actions that SQLite allows a statement; 33 is SQLITE_RECURSIVE."""
_BYTES_TYPES = bytes | bytearray | memoryview
_USER_ERROR_CODE = re.compile("42[678P]|250|28|3D|0A|SQLITE_(ERROR|READONLY|AUTH|SCHEMA)")
"""Pattern of the codes of errors in the user's URL, table or query; others are the database's."""
_HINTS = {
    "25006": "An event log is only read: a query is one SELECT",
    "42501": "Its owner must grant SELECT on it to this user",
    "55P03": "Another transaction holds a lock on it; try again when that has ended",
    "SQLITE_BUSY": "Another program is writing to it; try again when that has ended",
    "SQLITE_NOTADB": "A CSV or Parquet file is named without sqlite:///",
}


@dataclass(frozen=True)
class _Address:
    """A parsed URL.

    Parameters
    ----------
    url
        URL of the database.
    table, query
        What to read; one of them is empty.
    label
        Name in reports and error messages, without the password.
    """

    url: sa.URL
    table: str
    query: str
    label: str


def open_database(url: str) -> Source:
    """Open a table or a query of a database.

    All its columns are text, and the line of a row is its number, counted from 1.

    Parameters
    ----------
    url
        URL of SQLAlchemy with ``?table=orders``, ``?table=schema.orders`` or ``?query=...``; other
        parameters are passed to the driver.

    Raises
    ------
    UsageError
        The URL, the table or the query cannot be used, the driver is not installed, or the server
        does not answer.
    DataRefusedError
        The table is locked or may not be read, the file is damaged, or column names repeat. The
        blocks also raise it if a column holds bytes, or if the connection is lost.
    """
    address = _parse_url(url)
    engine = _make_engine(address)
    try:
        with _open_cursor(address, engine) as (description, _):
            names = [str(column[0]) for column in description or ()]
    except _driver_errors(engine) as error:
        if address.table:
            _check_table(address, engine)
        hint = "A query is one SELECT" if address.query else ""
        raise _explained_error(address, error, "cannot be read", hint, UsageError) from None
    if not names:
        raise UsageError(f"{address.label} gives no columns; {_URL_HINT}")
    nameless = nameless_columns(names)
    columns = tuple(
        SourceColumn(name, f"c{i}", "text", has_name=i not in nameless)
        for i, name in enumerate(name_columns(names, address.label))
    )
    return Source(address.label, columns, lambda: _read_blocks(address, columns))


def _parse_url(text: str) -> _Address:
    head, _, tail = text.strip().partition("?")
    parameters: dict[str, str] = {}
    try:
        url = sa.make_url(head)
        for key, _, raw in (piece.partition("=") for piece in tail.split("&") if piece):
            if not re.fullmatch(r"[\w.-]+", key) or key in parameters:
                raise UsageError(
                    f"a parameter of the database's URL is doubled, or has no name; {_URL_HINT}"
                )
            # + means a blank only if the text has no other blank, since + may be part of a query
            parameters[key] = unquote(
                raw if _BLANK_PATTERN.search(raw) else raw.replace("+", " "), errors="strict"
            ).strip()
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(f"the URL of the database cannot be understood; {_URL_HINT}") from None
    if not head.startswith("sqlite") and "@" in f"{url.host}{url.database}":
        raise UsageError("in a database's URL, @ in the password is written %40, and / is %2F")
    label = url.render_as_string(hide_password=True)
    table, query = parameters.pop("table", ""), parameters.pop("query", "").rstrip("; ")
    if bool(table) == bool(query):
        contents = (
            "both a table and a query" if table else "neither a table nor a query of a database"
        )
        raise UsageError(f"{label} names {contents}; {_URL_HINT}")
    words = " ".join(query.split())
    label += f"?table={table}" if table else f"?query={words[:60]}{'…' if len(words) > 60 else ''}"
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return _Address(url.update_query_dict(parameters), table, query, label)


def _make_engine(address: _Address) -> sa.Engine:
    url, options = address.url, dict[str, Any]()
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        url, options["creator"] = sa.make_url("sqlite://"), lambda: _open_sqlite(address)
    try:
        dialect = url.get_dialect()
        if dialect.is_async:
            raise UsageError(
                f"{address.label}: {dialect.driver} is an asynchronous driver; leave it out "
                "or name another"
            )
        if dialect.driver in ("psycopg", "psycopg2", "pymysql", "mysqldb"):
            defaults = {"connect_timeout": WAIT_SECONDS} | (
                _LIBPQ_OPTIONS if dialect.name == "postgresql" else {}
            )
            options["connect_args"] = {
                key: value for key, value in defaults.items() if key not in url.query
            }
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, **options)
    except sa.exc.NoSuchModuleError:
        package = _DIALECT_PACKAGES.get(url.get_backend_name())
        hint = (
            f"pip install '{package}'" if package else f"it knows {', '.join(sa.dialects.__all__)}"
        )
        raise UsageError(
            f"{address.label}: SQLAlchemy has no dialect {url.drivername!r} here; {hint}"
        ) from None
    except ImportError as error:
        package = _DRIVER_PACKAGES.get(str(error.name), error.name)
        raise UsageError(
            f"{address.label}: its driver is not installed; pip install '{package}'"
        ) from None
    except (sa.exc.ArgumentError, TypeError, ValueError) as error:
        raise _explained_error(address, error, "cannot be opened", "", UsageError) from None


def _open_sqlite(address: _Address) -> sqlite3.Connection:
    path = Path(address.url.database or "")
    if address.url.query:
        raise UsageError(
            f"{address.label}: SQLite takes table or query, not {', '.join(address.url.query)}"
        )
    if not path.is_file():
        raise UsageError(
            f"{address.label}: there is no file {str(path)!r}; the current folder is {Path.cwd()}"
        )
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, timeout=WAIT_SECONDS, uri=True, check_same_thread=False)
    # mode=ro protects only this file: ATTACH and VACUUM INTO could write another one
    connection.set_authorizer(
        lambda action, *_: 0 if action in _SQLITE_READ_ACTIONS else sqlite3.SQLITE_DENY
    )
    return connection


@contextmanager
def _open_cursor(
    address: _Address, engine: sa.Engine
) -> Iterator[tuple[Any, Callable[[int], Any]]]:
    """Yield the DB-API's description of the columns, and a function that fetches n rows."""
    dialect = engine.dialect
    quote = getattr(
        dialect.identifier_preparer,
        "quote" if dialect.requires_name_normalize else "quote_identifier",
    )
    statement = address.query or f"SELECT * FROM {'.'.join(map(quote, address.table.split('.')))}"
    if address.query and dialect.name not in ("postgresql", "sqlite"):
        statement = f"SELECT * FROM ({address.query}\n) events"  # allows nothing but a SELECT
    try:
        connection = engine.connect()
    except _driver_errors(engine, TypeError) as error:
        hint = "Check host, port, user, password and database" if address.url.host else ""
        raise _explained_error(address, error, "cannot be opened", hint, UsageError) from None
    with connection:
        if dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            for setting in (*_POSTGRESQL_SETTINGS, f"lock_timeout = '{WAIT_SECONDS}s'"):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
        if dialect.driver == "psycopg":
            # without SQLAlchemy, which would fetch all rows at once, at half the speed
            from psycopg.types.string import TextLoader

            driver: Any = connection.connection.driver_connection
            for name in _POSTGRESQL_TEXT_TYPES:
                driver.adapters.register_loader(name, TextLoader)
            with driver.cursor("stagecast") as cursor:
                cursor.execute(statement)
                yield cursor.description, cursor.fetchmany
        else:
            options = {"stream_results": True, "no_parameters": True}
            with connection.exec_driver_sql(statement, execution_options=options) as result:
                fetch = result.cursor if dialect.name == "sqlite" and result.cursor else result
                yield getattr(result.cursor, "description", None), fetch.fetchmany


def _read_blocks(address: _Address, columns: tuple[SourceColumn, ...]) -> Iterator[Block]:
    engine, row_count, size = _make_engine(address), 0, min(1_000, ROWS_PER_BLOCK)
    try:
        with _open_cursor(address, engine) as (description, fetch):
            names = name_columns([str(column[0]) for column in description], address.label)
            if names != [column.name for column in columns]:
                raise DataRefusedError(
                    f"{address.label}: its columns changed while it was read; run it again"
                )
            suffixes = [
                _TIME_SUFFIXES.get(column[1]) if engine.dialect.driver == "psycopg" else None
                for column in description
            ]
            while rows := fetch(size):
                cells = zip(columns, zip(*rows, strict=True), suffixes, strict=True)
                arrays = {
                    column.sql: _text_array(address, column, row_count, values, suffix)
                    for column, values, suffix in cells
                }
                lines = np.arange(row_count + 1, row_count + 1 + len(rows))
                table = pa.table(arrays | {"line": lines})
                row_count += len(rows)
                size = min(ROWS_PER_BLOCK, max(1, len(rows) * BYTES_PER_BLOCK // table.nbytes))
                yield Block(table, MALFORMED_SCHEMA.empty_table())
    except _driver_errors(engine) as error:
        hint = "Run it again, or see to the rows that follow"
        raise _explained_error(
            address, error, f"reading stopped after row {row_count:,}", hint, DataRefusedError
        ) from None


def _text_array(
    address: _Address,
    column: SourceColumn,
    rows_before: int,
    values: tuple[Any, ...],
    suffix: str | None = None,
) -> Any:
    """Return one column of a block as texts, NULL where it is None.

    Parameters
    ----------
    address, column
        Used in error messages.
    rows_before
        Number of rows before the block.
    values
        The values, as the driver returns them.
    suffix
        End of the texts if they are times of PostgreSQL, else None.
    """
    types = set(map(type, values)) - {type(None)}
    if types <= {str}:
        texts = (
            values
            if suffix is None
            else [None if value is None else _iso_time(value, suffix) for value in values]
        )
        return pa.array(texts, pa.string())
    if types == {int}:
        with suppress(OverflowError, pa.ArrowInvalid):
            return pa.array(values, pa.int64()).cast(pa.string())
    if any(issubclass(type_, _BYTES_TYPES) for type_ in types):
        offset = next(i for i, value in enumerate(values) if isinstance(value, _BYTES_TYPES))
        row = rows_before + 1 + offset
        problem = f"column {column.name!r} holds bytes in row {row:,}, not text"
        raise DataRefusedError(f"{address.label}: {problem}; leave it out with ?query=SELECT ...")
    converters = {type_: _text_converter(type_) for type_ in types}
    texts = [None if value is None else converters[type(value)](value) for value in values]
    return pa.array(texts, pa.string())


def _iso_time(text: str, suffix: str) -> str:
    """Return a time of PostgreSQL in ISO 8601; other texts, such as infinity, are unchanged."""
    if text[10:11] != " " or not text[-1].isdigit():
        return text
    clock = text[11:-3] if suffix else text[11:]  # in UTC the offset is +00
    return f"{text[:10]}T{clock if len(clock) == 8 else clock.ljust(15, '0')}{suffix}"


def _text_converter(value_type: type) -> Callable[[Any], str]:
    converters: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
        (bool, lambda value: "true" if value else "false"),
        (int, int.__repr__),
        (float, float.__repr__),
        (Decimal, lambda value: format(value, "f")),
        (datetime, _iso_datetime),
        (date, date.isoformat),
        ((dict, list, tuple), lambda value: json.dumps(value, ensure_ascii=False, default=str)),
    ]
    return next((convert for base, convert in converters if issubclass(value_type, base)), str)


def _iso_datetime(value: datetime) -> str:
    with suppress(OverflowError):  # in UTC it would lie outside the years 1 to 9999
        value = value if value.tzinfo is None else value.astimezone(UTC)
    return value.isoformat().replace("+00:00", "Z")


def _driver_errors(
    engine: sa.Engine, *more: type[BaseException]
) -> tuple[type[BaseException], ...]:
    driver: Any = engine.dialect.loaded_dbapi  # sqlite3 reports a second statement as a Warning
    return (
        sa.exc.SQLAlchemyError,
        driver.Error,
        driver.Warning,
        pa.ArrowException,
        UnicodeError,
        OSError,
        *more,
    )


def _explained_error(
    address: _Address,
    error: BaseException,
    failure: str,
    hint: str,
    error_class: type[StagecastError],
) -> StagecastError:
    """Return the error for a failure of the driver, without the secrets of the URL.

    Parameters
    ----------
    address
        What was read.
    error
        The driver's error.
    failure
        What failed, such as "cannot be read".
    hint
        What to try, unless the code of the error has a hint of its own.
    error_class
        Class of the result if the driver's error has no code.
    """
    driver_error: Any = getattr(error, "orig", None) or error
    details: Any = getattr(driver_error, "diag", None)
    message = getattr(details, "message_primary", None) or str(driver_error)
    if address.query and getattr(details, "statement_position", None):
        position = int(details.statement_position) - len(_CURSOR_PREFIX)
        message += f", at character {position} of the query"
    message = " ".join(f"{message}. {getattr(details, 'message_hint', None) or ''}".split())[
        :500
    ].rstrip(". ")
    for secret in (
        address.url.password,
        *(value for name, value in address.url.query.items() if _SECRET_NAME.search(name)),
    ):
        message = message.replace(str(secret), "***") if secret else message
    code = str(
        getattr(driver_error, "sqlstate", None)
        or getattr(driver_error, "sqlite_errorname", None)
        or ""
    )
    if code:
        error_class = UsageError if _USER_ERROR_CODE.match(code) else DataRefusedError
    return error_class(
        f"{address.label}: {failure}: {message}. {_HINTS.get(code, hint)}".rstrip(". ").replace(
            "?.", "?"
        )
    )


def _check_table(address: _Address, engine: sa.Engine) -> None:
    """Raise an error with the nearest name if the table does not exist, else do nothing.

    Raises
    ------
    UsageError
        There is no such table.
    """
    schema, dot, name = address.table.rpartition(".")
    with suppress(*_driver_errors(engine)), engine.connect() as connection:
        inspector = sa.inspect(connection)
        if not inspector.has_table(name, schema or None):
            names = inspector.get_table_names(schema or None) + inspector.get_view_names(
                schema or None
            )
            table_names = [schema + dot + name for name in sorted(names)]
            hint = did_you_mean(address.table, table_names) + (
                f" There are: {', '.join(table_names[:10])}" if table_names else ""
            )
            raise UsageError(f"{address.label}: there is no table {address.table!r}.{hint}")

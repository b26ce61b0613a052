"""A table or a query of a database as a source of events: read in blocks, without writing anything.

    URL -> place (what to read, and a label without the password) -> cursor on the server -> blocks

Every value leaves as text in one spelling, so that the same events are the same log from CSV,
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
from stagecast.features.intake.csvlines import check_header
from stagecast.features.intake.expressions import SourceColumn
from stagecast.features.intake.sources import MALFORMED_SCHEMA, Block, Source

ROWS_PER_BLOCK, BYTES_PER_BLOCK = 50_000, 64 << 20
WAIT_SECONDS = 10  # for a server to answer, and for another program to release a lock

_HOW = (
    "write postgresql://user:password@host/db?table=orders, or ?query=SELECT ... (% "
    "is written %25, & is %26)"
)
_BLANK = re.compile(r"\s|%20|%09|%0[AaDd]")
_SECRET = re.compile(r"pass|pwd|secret|token|odbc", re.IGNORECASE)
_DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_DIALECTS = {
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "duckdb": "duckdb-engine",
}
_LIBPQ = {
    "client_encoding": "utf8",
    "application_name": "stagecast",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
}
# synchronize_seqscans: else a scan may begin in the middle, and the numbers of the rows would not
# stay
_SETTINGS = (
    "timezone = 'UTC'",
    "datestyle = 'ISO'",
    "extra_float_digits = 3",
    "synchronize_seqscans = off",
)
# psycopg writes it before a query; the position of an error counts it
_DECLARE = 'DECLARE "stagecast" CURSOR FOR '
_AS_TEXT = (
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
"""Types of PostgreSQL taken as the server spells them: exact, faster, and 'infinity' is no date
of Python.
"""
_TIME_ENDS = {1114: "", 1184: "Z"}  # OID of timestamp and timestamptz -> what ends their text
_SQLITE_READS = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_PRAGMA,
    33,
)
"""The actions that a statement may take; 33 is SQLITE_RECURSIVE."""
_BYTES = bytes | bytearray | memoryview
_MISUSE = re.compile("42[678P]|250|28|3D|0A|SQLITE_(ERROR|READONLY|AUTH|SCHEMA)")
"""How the codes begin of faults in what the user wrote; all others lie with the database."""
_HINTS = {
    "25006": "An event log is only read: a query is one SELECT",
    "42501": "Its owner must grant SELECT on it to this user",
    "55P03": "Another transaction holds a lock on it; try again when that has ended",
    "SQLITE_BUSY": "Another program is writing to it; try again when that has ended",
    "SQLITE_NOTADB": "A CSV or Parquet file is named without sqlite:///",
}


@dataclass(frozen=True)
class _Place:
    """What a URL says: where, and one of table and query. The label holds no secret."""

    url: sa.URL
    table: str
    query: str
    label: str


def open_database(url: str) -> Source:
    """Open a table or a query of a database; all its columns are text, and the line of a row is its
    number.

    The URL is SQLAlchemy's with ``?table=orders``, ``?table=schema.orders`` or ``?query=...``; the
    driver has the rest.

    Raises
    ------
    UsageError
        A URL, table or query that cannot be used, a driver that is not installed, a server that
        does not answer.
    DataRefusedError
        No permission, a lock, a damaged file, column names that repeat; from the blocks also bytes,
        a lost connection.
    """
    place = _parse(url)
    engine = _engine(place)
    try:
        with _cursor(place, engine) as (description, _):
            names = [str(column[0]) for column in description or ()]
    except _faults(engine) as error:
        if place.table:
            _check_table(place, engine)
        hint = "A query is one SELECT" if place.query else ""
        raise _explain(place, error, "cannot be read", hint, UsageError) from None
    if not names:
        raise UsageError(f"{place.label} gives no columns; {_HOW}")
    check_header(names, place.label)
    columns = tuple(SourceColumn(name, f"c{i}", "text") for i, name in enumerate(names))
    return Source(place.label, columns, lambda: _blocks(place, columns))


def _parse(text: str) -> _Place:
    head, _, tail = text.strip().partition("?")
    given: dict[str, str] = {}
    try:
        url = sa.make_url(head)
        for key, _, raw in (piece.partition("=") for piece in tail.split("&") if piece):
            if not re.fullmatch(r"[\w.-]+", key) or key in given:
                raise UsageError(
                    f"a parameter of the database's URL is doubled, or has no name; {_HOW}"
                )
            # + is a blank only in a text without any other, for SQL adds with it
            given[key] = unquote(
                raw if _BLANK.search(raw) else raw.replace("+", " "), errors="strict"
            ).strip()
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(f"the URL of the database cannot be understood; {_HOW}") from None
    if not head.startswith("sqlite") and "@" in f"{url.host}{url.database}":
        raise UsageError("in a database's URL, @ in the password is written %40, and / is %2F")
    label = url.render_as_string(hide_password=True)
    table, query = given.pop("table", ""), given.pop("query", "").rstrip("; ")
    if bool(table) == bool(query):
        what = "both a table and a query" if table else "neither a table nor a query of a database"
        raise UsageError(f"{label} names {what}; {_HOW}")
    words = " ".join(query.split())
    label += f"?table={table}" if table else f"?query={words[:60]}{'…' if len(words) > 60 else ''}"
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return _Place(url.update_query_dict(given), table, query, label)


def _engine(place: _Place) -> sa.Engine:
    url, options = place.url, dict[str, Any]()
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        url, options["creator"] = sa.make_url("sqlite://"), lambda: _open_sqlite(place)
    try:
        dialect = url.get_dialect()
        if dialect.is_async:
            raise UsageError(
                f"{place.label}: {dialect.driver} is an asynchronous driver; leave it out "
                "or name another"
            )
        if dialect.driver in ("psycopg", "psycopg2", "pymysql", "mysqldb"):
            limits = {"connect_timeout": WAIT_SECONDS} | (
                _LIBPQ if dialect.name == "postgresql" else {}
            )
            options["connect_args"] = {
                key: value for key, value in limits.items() if key not in url.query
            }
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, **options)
    except sa.exc.NoSuchModuleError:
        package = _DIALECTS.get(url.get_backend_name())
        hint = (
            f"pip install '{package}'" if package else f"it knows {', '.join(sa.dialects.__all__)}"
        )
        raise UsageError(
            f"{place.label}: SQLAlchemy has no dialect {url.drivername!r} here; {hint}"
        ) from None
    except ImportError as error:
        package = _DRIVERS.get(str(error.name), error.name)
        raise UsageError(
            f"{place.label}: its driver is not installed; pip install '{package}'"
        ) from None
    except (sa.exc.ArgumentError, TypeError, ValueError) as error:
        raise _explain(place, error, "cannot be opened", "", UsageError) from None


def _open_sqlite(place: _Place) -> sqlite3.Connection:
    path = Path(place.url.database or "")
    if place.url.query:
        raise UsageError(
            f"{place.label}: SQLite takes table or query, not {', '.join(place.url.query)}"
        )
    if not path.is_file():
        raise UsageError(
            f"{place.label}: there is no file {str(path)!r}; the current folder is {Path.cwd()}"
        )
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, timeout=WAIT_SECONDS, uri=True, check_same_thread=False)
    # mode=ro is about this file alone: ATTACH and VACUUM INTO could make another
    connection.set_authorizer(
        lambda action, *_: 0 if action in _SQLITE_READS else sqlite3.SQLITE_DENY
    )
    return connection


@contextmanager
def _cursor(place: _Place, engine: sa.Engine) -> Iterator[tuple[Any, Callable[[int], Any]]]:
    """Yield the DB-API's description of the columns, and a function that fetches so many rows."""
    dialect = engine.dialect
    quote = getattr(
        dialect.identifier_preparer,
        "quote" if dialect.requires_name_normalize else "quote_identifier",
    )
    statement = place.query or f"SELECT * FROM {'.'.join(map(quote, place.table.split('.')))}"
    if place.query and dialect.name not in ("postgresql", "sqlite"):
        statement = f"SELECT * FROM ({place.query}\n) events"  # only a SELECT can stand there
    try:
        connection = engine.connect()
    except _faults(engine, TypeError) as error:
        hint = "Check host, port, user, password and database" if place.url.host else ""
        raise _explain(place, error, "cannot be opened", hint, UsageError) from None
    with connection:
        if dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            for setting in (*_SETTINGS, f"lock_timeout = '{WAIT_SECONDS}s'"):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
        if (
            dialect.driver == "psycopg"
        ):  # by hand: SQLAlchemy would fetch at once, and at half the speed
            from psycopg.types.string import TextLoader

            driver: Any = connection.connection.driver_connection
            for name in _AS_TEXT:
                driver.adapters.register_loader(name, TextLoader)
            with driver.cursor("stagecast") as cursor:
                cursor.execute(statement)
                yield cursor.description, cursor.fetchmany
        else:
            options = {"stream_results": True, "no_parameters": True}
            with connection.exec_driver_sql(statement, execution_options=options) as result:
                fetch = result.cursor if dialect.name == "sqlite" and result.cursor else result
                yield getattr(result.cursor, "description", None), fetch.fetchmany


def _blocks(place: _Place, columns: tuple[SourceColumn, ...]) -> Iterator[Block]:
    engine, row, size = _engine(place), 0, min(1_000, ROWS_PER_BLOCK)
    try:
        with _cursor(place, engine) as (description, fetch):
            if [column[0] for column in description] != [column.name for column in columns]:
                raise DataRefusedError(
                    f"{place.label}: its columns changed while it was read; run it again"
                )
            ends = [
                _TIME_ENDS.get(one[1]) if engine.dialect.driver == "psycopg" else None
                for one in description
            ]
            while rows := fetch(size):
                cells = zip(columns, zip(*rows, strict=True), ends, strict=True)
                block = {
                    column.sql: _texts(place, column, row, values, end)
                    for column, values, end in cells
                }
                table = pa.table(block | {"line": np.arange(row + 1, row + 1 + len(rows))})
                row += len(rows)
                size = min(ROWS_PER_BLOCK, max(1, len(rows) * BYTES_PER_BLOCK // table.nbytes))
                yield Block(table, MALFORMED_SCHEMA.empty_table())
    except _faults(engine) as error:
        hint = "Run it again, or see to the rows that follow"
        raise _explain(
            place, error, f"reading stopped after row {row:,}", hint, DataRefusedError
        ) from None


def _texts(
    place: _Place, column: SourceColumn, row: int, values: tuple[Any, ...], end: str | None = None
) -> Any:
    """Return one column as texts, NULL where it is None; ``end`` is given where they are times
    of PostgreSQL.
    """
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        texts = values if end is None else [None if v is None else _iso(v, end) for v in values]
        return pa.array(texts, pa.string())
    if kinds == {int}:
        with suppress(OverflowError, pa.ArrowInvalid):
            return pa.array(values, pa.int64()).cast(pa.string())
    if any(issubclass(kind, _BYTES) for kind in kinds):
        at = row + 1 + next(i for i, value in enumerate(values) if isinstance(value, _BYTES))
        problem = f"column {column.name!r} holds bytes in row {at:,}, not text"
        raise DataRefusedError(f"{place.label}: {problem}; leave it out with ?query=SELECT ...")
    spell = {kind: _spelling(kind) for kind in kinds}
    return pa.array([None if v is None else spell[type(v)](v) for v in values], pa.string())


def _iso(text: str, end: str) -> str:
    """Return a time of PostgreSQL in ISO 8601; infinity, and years that ISO 8601 has no place
    for, stay.
    """
    if text[10:11] != " " or not text[-1].isdigit():
        return text
    clock = text[11:-3] if end else text[11:]  # in UTC the offset is +00
    return f"{text[:10]}T{clock if len(clock) == 8 else clock.ljust(15, '0')}{end}"


def _spelling(kind: type) -> Callable[[Any], str]:
    known: list[tuple[type | tuple[type, ...], Callable[[Any], str]]] = [
        (bool, lambda value: "true" if value else "false"),
        (int, int.__repr__),
        (float, float.__repr__),
        (Decimal, lambda value: format(value, "f")),
        (datetime, _instant),
        (date, date.isoformat),
        ((dict, list, tuple), lambda value: json.dumps(value, ensure_ascii=False, default=str)),
    ]
    return next((spell for base, spell in known if issubclass(kind, base)), str)


def _instant(value: datetime) -> str:
    with suppress(OverflowError):  # an end of the calendar, on the wrong side of Greenwich
        value = value if value.tzinfo is None else value.astimezone(UTC)
    return value.isoformat().replace("+00:00", "Z")


def _faults(engine: sa.Engine, *more: type[BaseException]) -> tuple[type[BaseException], ...]:
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


def _explain(
    place: _Place, error: BaseException, what: str, hint: str, kind: type[StagecastError]
) -> StagecastError:
    """Return the driver's fault in our words, without the secrets of the URL; its code may know
    the kind and a hint.
    """
    fault: Any = getattr(error, "orig", None) or error
    said: Any = getattr(fault, "diag", None)
    message = getattr(said, "message_primary", None) or str(fault)
    if place.query and getattr(said, "statement_position", None):
        message += f", at character {int(said.statement_position) - len(_DECLARE)} of the query"
    message = " ".join(f"{message}. {getattr(said, 'message_hint', None) or ''}".split())[
        :500
    ].rstrip(". ")
    for secret in (
        place.url.password,
        *(v for k, v in place.url.query.items() if _SECRET.search(k)),
    ):
        message = message.replace(str(secret), "***") if secret else message
    code = str(getattr(fault, "sqlstate", None) or getattr(fault, "sqlite_errorname", None) or "")
    kind = (UsageError if _MISUSE.match(code) else DataRefusedError) if code else kind
    return kind(
        f"{place.label}: {what}: {message}. {_HINTS.get(code, hint)}".rstrip(". ").replace(
            "?.", "?"
        )
    )


def _check_table(place: _Place, engine: sa.Engine) -> None:
    """Refuse a table that is not there, with the nearest name; do nothing where the fault is
    another.
    """
    schema, dot, name = place.table.rpartition(".")
    with suppress(*_faults(engine)), engine.connect() as connection:
        inspector = sa.inspect(connection)
        if not inspector.has_table(name, schema or None):
            names = inspector.get_table_names(schema or None) + inspector.get_view_names(
                schema or None
            )
            known = [schema + dot + name for name in sorted(names)]
            near = did_you_mean(place.table, known) + (
                f" There are: {', '.join(known[:10])}" if known else ""
            )
            raise UsageError(f"{place.label}: there is no table {place.table!r}.{near}")

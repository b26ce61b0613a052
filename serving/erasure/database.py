"""A customer out of the store: rows by column, then the bytes that the rows leave behind.

Every table with a column ``customer_id`` is covered, also those that later versions add. In SQLite
deleted bytes stay in free space until the file is written anew, and in the write-ahead log until it
is emptied: so both are done.
"""

from __future__ import annotations

import mmap
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from stagecast.serving.erasure.identity import JOINERS, Customer, is_word
from stagecast.serving.erasure.occurrences import ID_NAMES, Hits, in_value
from stagecast.serving.store.deleting import CUSTOMER_COLUMN

SIDE_FILES = ("", "-wal", "-shm", "-journal")
_TOKEN_REACH = 200


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for another database, or one in memory."""
    parsed = sa.make_url(url)
    if (
        parsed.get_backend_name() != "sqlite"
        or not parsed.database
        or parsed.database == ":memory:"
    ):
        return None
    return Path(parsed.database)


def files_of(database: Path) -> list[Path]:
    """Return the file of an SQLite database and those that stand beside it now."""
    return [path for suffix in SIDE_FILES if (path := Path(f"{database}{suffix}")).exists()]


def has_table(database: Path, name: str) -> bool:
    """Tell whether a file is an SQLite database with such a table; nothing is written."""
    try:
        with closing(_only_reading(database)) as connection:
            query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            return connection.execute(query, (name,)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def search(database: Path, customer: Customer) -> Hits:
    """Count what names the customer in an SQLite database: by value in every table, then in the
    bytes of its files.

    In the bytes, values stand side by side without anything between, so whole tokens cannot be told
    there. An occurrence that is part of a longer token of a value (``c00010`` for ``c0001``) is
    explained by it; any other is counted. A plain id is looked for in the bytes only as the JSON of
    a score writes it.

    Raises
    ------
    sqlite3.DatabaseError
        The file cannot be read.
    """
    longer: set[bytes] = set()
    values = Hits()
    with closing(_only_reading(database)) as connection:
        for table, column, text in _texts(connection, customer):
            if in_value(customer, column, text):
                values += Hits(1, f"{table}.{column}")
            longer.update(_longer_tokens(customer, text))
    found = Hits()
    for path in files_of(database):
        for at in _bare_offsets(path, customer, longer):
            found += Hits(1, f"{path.name}, byte {at}")
    return Hits(max(values.count, found.count), found.first or values.first)


def search_values(engine: sa.Engine, customer: Customer) -> Hits:
    """Count the text values that name the customer in a database whose files are out of reach."""
    tables = sa.MetaData()
    tables.reflect(engine)
    hits = Hits()
    wanted = customer.forms if customer.plain else customer.spellings
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            for column in table.columns:
                if not isinstance(column.type, sa.String | sa.JSON) and column.name not in ID_NAMES:
                    continue
                text = sa.cast(column, sa.Text)
                # LIKE with every sign escaped: each database has it
                holds = [
                    text == one if customer.plain else text.contains(one, autoescape=True)
                    for one in wanted
                ]
                for (value,) in connection.execute(sa.select(text).where(sa.or_(*holds))):
                    if in_value(customer, column.name, value):
                        hits += Hits(1, f"{table.name}.{column.name}")
    return hits


def _only_reading(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise sqlite3.OperationalError(f"{database} does not exist")
    connection = sqlite3.connect(database, timeout=10)
    connection.execute("PRAGMA query_only=ON")
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _texts(connection: sqlite3.Connection, customer: Customer) -> Iterator[tuple[str, str, str]]:
    """Yield table, column and text of every value in which the id may stand, the schema
    included.
    """
    names = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    wanted = customer.forms if customer.plain else customer.spellings
    for table in [*names, "sqlite_master"]:
        for column in [
            row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")
        ]:
            text = f"CAST({_quoted(column)} AS TEXT)"
            holds = " OR ".join(
                (f"{text} = ?" if customer.plain else f"instr({text}, ?)") for _ in wanted
            )
            # a number is nobody, unless the column says so
            of_text = (
                "" if column in ID_NAMES else f"typeof({_quoted(column)}) IN ('text', 'blob') AND "
            )
            for (value,) in connection.execute(
                f"SELECT {text} FROM {_quoted(table)} WHERE {of_text}({holds})", wanted
            ):
                yield table, column, value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _longer_tokens(customer: Customer, text: str) -> Iterator[bytes]:
    """Yield the tokens of a text that hold the id and are longer than it."""
    if customer.plain:
        return
    for spelling in customer.spellings:
        at = text.find(spelling)
        while at >= 0:
            end = at + len(spelling)
            before, after = text[max(at - _TOKEN_REACH, 0) : at], text[end : end + _TOKEN_REACH]
            begin = at - len(before) + len(before.rstrip(_outer(before)))
            until = end + len(after) - len(after.lstrip(_outer(after)))
            if (begin, until) != (at, end):
                yield text[begin:until].encode()
            at = text.find(spelling, at + 1)


def _outer(text: str) -> str:
    return "".join({character for character in text if is_word(character) or character in JOINERS})


def _bare_offsets(path: Path, customer: Customer, longer: set[bytes]) -> Iterator[int]:
    """Yield where in a file's bytes the id stands and is not part of a longer token that is
    known.
    """
    if not path.stat().st_size:
        return
    if customer.plain:
        needles = [
            f'"{CUSTOMER_COLUMN}":{gap}"{form}"'.encode()
            for gap in ("", " ")
            for form in customer.forms
        ]
    else:
        wide = [
            form.encode(encoding)
            for form in customer.forms
            for encoding in ("utf-16-le", "utf-16-be")
        ]
        needles = list({*(text.encode() for text in customer.spellings), *wide})
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for needle in needles:
            explained: dict[tuple[int, int], set[bytes]] = {}
            for token in longer:
                for found in re.finditer(b"(?=" + re.escape(needle) + b")", token):
                    explained.setdefault((found.start(), len(token)), set()).add(token)
            at = data.find(needle)
            while at >= 0:
                around = (
                    (data[max(at - k, 0) : at - k + size], tokens)
                    for (k, size), tokens in explained.items()
                )
                if not any(piece in tokens for piece, tokens in around):
                    yield at
                at = data.find(needle, at + 1)

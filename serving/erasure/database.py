"""Search for a customer in databases: in their values, and in the bytes of SQLite files.

In SQLite, deleted bytes remain in free pages until the file is rewritten, and in the write-ahead
log until it is truncated, so the search covers the bytes of all files of a database.
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
from stagecast.serving.erasure.occurrences import ID_NAMES, Hits, names_customer
from stagecast.serving.store.deleting import CUSTOMER_COLUMN

SIDE_FILES = ("", "-wal", "-shm", "-journal")
_TOKEN_REACH = 200


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL, or None for another database or one in memory."""
    parsed = sa.make_url(url)
    if (
        parsed.get_backend_name() != "sqlite"
        or not parsed.database
        or parsed.database == ":memory:"
    ):
        return None
    return Path(parsed.database)


def files_of(database: Path) -> list[Path]:
    """Return the files of an SQLite database that exist: the main file, its WAL and journals."""
    return [path for suffix in SIDE_FILES if (path := Path(f"{database}{suffix}")).exists()]


def has_table(database: Path, name: str) -> bool:
    """Return whether a file is an SQLite database with this table; nothing is written."""
    try:
        with closing(_open_read_only(database)) as connection:
            query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            return connection.execute(query, (name,)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def search(database: Path, customer: Customer) -> Hits:
    """Count the occurrences of a customer in an SQLite database, by value and in its bytes.

    In the files, values follow each other without a delimiter, so the limits of a token are not
    visible. An occurrence in the bytes does not count if it is part of a longer token of some value
    (``c00010`` for ``c0001``); any other one counts. An ambiguous id is searched in the bytes only
    as the JSON of a score writes it.

    Returns
    -------
    The larger of the two counts, with the first occurrence.

    Raises
    ------
    sqlite3.DatabaseError
        The file cannot be read.
    """
    longer_tokens: set[bytes] = set()
    value_hits = Hits()
    with closing(_open_read_only(database)) as connection:
        for table, column, text in _texts(connection, customer):
            if names_customer(customer, column, text):
                value_hits += Hits(1, f"{table}.{column}")
            longer_tokens.update(_longer_tokens(customer, text))
    byte_hits = Hits()
    for path in files_of(database):
        for offset in _unexplained_offsets(path, customer, longer_tokens):
            byte_hits += Hits(1, f"{path.name}, byte {offset}")
    return Hits(max(value_hits.count, byte_hits.count), byte_hits.first or value_hits.first)


def search_values(engine: sa.Engine, customer: Customer) -> Hits:
    """Count the text values that name the customer in a database whose files are not accessible."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    hits = Hits()
    spellings = customer.forms if customer.ambiguous else customer.spellings
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if not isinstance(column.type, sa.String | sa.JSON) and column.name not in ID_NAMES:
                    continue
                text = sa.cast(column, sa.Text)
                # LIKE with escapes, since every database supports it
                conditions = [
                    text == spelling
                    if customer.ambiguous
                    else text.contains(spelling, autoescape=True)
                    for spelling in spellings
                ]
                for (value,) in connection.execute(sa.select(text).where(sa.or_(*conditions))):
                    if names_customer(customer, column.name, value):
                        hits += Hits(1, f"{table.name}.{column.name}")
    return hits


def _open_read_only(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise sqlite3.OperationalError(f"{database} does not exist")
    connection = sqlite3.connect(database, timeout=10)
    connection.execute("PRAGMA query_only=ON")
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _texts(connection: sqlite3.Connection, customer: Customer) -> Iterator[tuple[str, str, str]]:
    """Yield table, column and text of the values, and of the schema, that may contain the id."""
    tables = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    spellings = customer.forms if customer.ambiguous else customer.spellings
    for table in [*tables, "sqlite_master"]:
        for column in [
            row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")
        ]:
            text = f"CAST({_quoted(column)} AS TEXT)"
            contains_id = " OR ".join(
                (f"{text} = ?" if customer.ambiguous else f"instr({text}, ?)") for _ in spellings
            )
            # a number is a customer only in a column of customers
            is_text = (
                "" if column in ID_NAMES else f"typeof({_quoted(column)}) IN ('text', 'blob') AND "
            )
            for (value,) in connection.execute(
                f"SELECT {text} FROM {_quoted(table)} WHERE {is_text}({contains_id})", spellings
            ):
                yield table, column, value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _longer_tokens(customer: Customer, text: str) -> Iterator[bytes]:
    """Yield the tokens of a text that contain the id and are longer than it."""
    if customer.ambiguous:
        return
    for spelling in customer.spellings:
        start = text.find(spelling)
        while start >= 0:
            end = start + len(spelling)
            left = text[max(start - _TOKEN_REACH, 0) : start]
            right = text[end : end + _TOKEN_REACH]
            token_start = start - len(left) + len(left.rstrip(_token_characters(left)))
            token_end = end + len(right) - len(right.lstrip(_token_characters(right)))
            if (token_start, token_end) != (start, end):
                yield text[token_start:token_end].encode()
            start = text.find(spelling, start + 1)


def _token_characters(text: str) -> str:
    return "".join({character for character in text if is_word(character) or character in JOINERS})


def _unexplained_offsets(
    path: Path, customer: Customer, longer_tokens: set[bytes]
) -> Iterator[int]:
    """Yield the offsets of the id in a file where it is not part of one of the longer tokens."""
    if not path.stat().st_size:
        return
    if customer.ambiguous:
        needles = [
            f'"{CUSTOMER_COLUMN}":{gap}"{form}"'.encode()
            for gap in ("", " ")
            for form in customer.forms
        ]
    else:
        utf_16_needles = [
            form.encode(encoding)
            for form in customer.forms
            for encoding in ("utf-16-le", "utf-16-be")
        ]
        needles = list({*(text.encode() for text in customer.spellings), *utf_16_needles})
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for needle in needles:
            # (offset of the needle in a token, length of the token) -> the tokens
            tokens_by_shape: dict[tuple[int, int], set[bytes]] = {}
            for token in longer_tokens:
                for match in re.finditer(b"(?=" + re.escape(needle) + b")", token):
                    tokens_by_shape.setdefault((match.start(), len(token)), set()).add(token)
            offset = data.find(needle)
            while offset >= 0:
                candidates = (
                    (data[max(offset - shift, 0) : offset - shift + size], tokens)
                    for (shift, size), tokens in tokens_by_shape.items()
                )
                if not any(piece in tokens for piece, tokens in candidates):
                    yield offset
                offset = data.find(needle, offset + 1)

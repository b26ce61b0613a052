"""The backup of a store: one SQLite file, as the store was at one moment.

    SQLite      its pages, by SQLite's online backup
    PostgreSQL  its rows, read in one transaction that sees one moment

The file is a store itself: it can be opened, served and restored, also into the other database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.tables import runs, scores
from stagecast.serving.upkeep import copying

PART = ".part"
_SIDES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Backup:
    """A backup that was written and checked.

    Parameters
    ----------
    file, bytes
        Where it stands, and how large it is.
    version
        Version of the store in it.
    runs, scores, settled
        How many published runs it holds, scores of all runs, and rows of the ledger.
    """

    file: str
    bytes: int
    version: int
    runs: int
    scores: int
    settled: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def backup(url: str, file: Path) -> Backup:
    """Write a store to a new file, and check the file before it gets its name.

    Parameters
    ----------
    url
        The store. Others may write it meanwhile: the backup has what was there at one moment.
    file
        The new file. An interrupted backup leaves a file beside it whose name ends in ``.part``,
        which the next one replaces.

    Raises
    ------
    UsageError
        The file exists or cannot be written, or there is no such store.
    DataRefusedError
        The store is damaged, or its ledger was edited.
    """
    if file.exists():
        raise UsageError(f"{file} exists; name a new file, or remove it first")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file}: the folder {file.parent} does not exist")
    with part_of(file) as part:
        source = copying.sqlite_path(url)
        if source is None:
            _copy_database(url, part)
        else:
            copying.check_is_store(source, "--store")
            copying.copy_pages(source, part)
        copying.finish_file(part)
        made = _checked(part, file)
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(file)
    return made


@contextmanager
def part_of(file: Path) -> Iterator[Path]:
    """Yield the file beside another in which it is made; whatever is left of it is removed."""
    part = file.with_name(file.name + PART)
    remove_database(part)
    try:
        yield part
    finally:
        remove_database(part)


def remove_database(file: Path) -> None:
    """Remove an SQLite database and the files beside it."""
    for suffix in _SIDES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _copy_database(url: str, part: Path) -> None:
    source, target = open_engine(url), open_engine(f"sqlite:///{part}")
    try:
        one_moment = source.connect().execution_options(isolation_level="REPEATABLE READ")
        with one_moment as old, target.begin() as new:
            copying.copy_rows(old, new)
            copying.set_numbers(new, copying.last_numbers(old))
    except sa.exc.OperationalError as error:
        raise UsageError(f"the store could not be copied: {error.orig}") from None
    finally:
        source.dispose()
        target.dispose()


def _checked(part: Path, file: Path) -> Backup:
    version = copying.check_is_store(part, "the backup")
    engine = sa.create_engine(f"sqlite:///{part}")
    try:
        with engine.connect() as connection:
            count = sa.select(sa.func.count()).select_from(scores.join(runs))
            return Backup(
                str(file),
                part.stat().st_size,
                version,
                copying.published_count(connection),
                int(connection.scalar(count.where(runs.c.published_at.is_not(None))) or 0),
                copying.check_ledger(connection),
            )
    finally:
        engine.dispose()

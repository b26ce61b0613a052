"""The restore of a backup: upgraded, erased again, put in place in one transaction, checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.store.deleting import customer_tables, delete_rows
from stagecast.serving.store.erased import Notes, matching, read_notes, write_notes
from stagecast.serving.store.lists import building
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.tables import VERSION
from stagecast.serving.upkeep import copying
from stagecast.serving.upkeep.backup import part_of

NOBODY = Notes(None, {})
IDS = 500
"""Customers who are deleted by one statement."""


@dataclass(frozen=True)
class Restored:
    """A restore that was done and checked.

    Parameters
    ----------
    runs, scores, settled
        How many published runs the store holds now, scores, and rows of the ledger.
    replaced_runs
        How many published runs it held before.
    upgraded_from
        Version of the store in the backup, if it was an earlier one.
    erased_again
        Customers of the backup who were erased after it was made, and are not in the store.
    """

    runs: int
    scores: int
    settled: int
    replaced_runs: int
    upgraded_from: int | None
    erased_again: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class _Before:
    """What of the store outlives the restore: notes of erasures, numbers given, runs held."""

    notes: Notes
    numbers: dict[str, int]
    runs: int


def restore(
    file: Path, url: str, *, overwrite: bool = False, erased: Sequence[str] = ()
) -> Restored:
    """Put a backup in the place of a store.

    Customers who were erased from the store since the backup was made are erased from what is
    restored: the store notes keyed hashes of their ids. Numbers of runs and plans that were given
    since are not given again.

    Parameters
    ----------
    file
        What ``stagecast store backup`` wrote.
    url
        The store: it may be new, and of the other database than the backup was made of.
    overwrite
        Whether a store that holds runs may be replaced.
    erased
        Ids of customers to erase as well, for a store that was lost with its notes.

    Raises
    ------
    UsageError
        There is no such file, the store holds runs, or one of them cannot be used.
    DataRefusedError
        The backup is damaged, or its ledger was edited; the store is as it was.
    """
    version = copying.check_is_store(file, "the backup")
    target = open_engine(url)
    try:
        before = _look(target, overwrite, url)
        with _work_file(file, url) as work:
            copying.copy_pages(file, work)
            erased_again, counts = _prepare(work, before, erased)
            _put_in_place(work, target, url)
        building.build_missing(target)
        with target.connect() as connection:
            if copying.row_counts(connection) != counts:
                raise DataRefusedError(
                    "the store does not hold what was restored: another program wrote it "
                    "meanwhile; stop it, and restore again with --overwrite"
                )
            return Restored(
                copying.published_count(connection),
                counts["scores"],
                copying.check_ledger(connection),
                before.runs,
                version if version < VERSION else None,
                erased_again,
            )
    finally:
        target.dispose()


def _look(target: sa.Engine, overwrite: bool, url: str) -> _Before:
    with target.connect() as connection:
        count = copying.published_count(connection)
        if count and not overwrite:
            shown = sa.make_url(url).render_as_string(hide_password=True)
            raise UsageError(
                f"the store '{shown}' holds {count} published run(s), which a restore would "
                "replace: back it up, then say --overwrite, or name another --store"
            )
        return _Before(read_notes(connection), copying.last_numbers(connection), count)


@contextmanager
def _work_file(file: Path, url: str) -> Iterator[Path]:
    """Yield a place for a copy that is changed: beside the store, which has the space."""
    store = copying.sqlite_path(url)
    if store is not None:
        with part_of(store.with_name(store.name + ".restore")) as part:
            yield part
        return
    with tempfile.TemporaryDirectory(prefix="stagecast-restore-") as folder:
        yield Path(folder) / file.name


def _prepare(work: Path, before: _Before, erased: Sequence[str]) -> tuple[int, dict[str, int]]:
    """Upgrade a copy of the backup and erase from it; return how many, and its rows by table."""
    engine = open_engine(f"sqlite:///{work}")
    try:
        with engine.connect() as connection:
            copying.check_ledger(connection)
            notes = read_notes(connection)
        ids = _to_erase(engine, before.notes, notes, erased)
        with engine.begin() as connection:
            write_notes(connection, _joined(before.notes, notes))
        for start in range(0, len(ids), IDS):
            delete_rows(engine, ids[start : start + IDS])
        with engine.begin() as connection:
            last_numbers = copying.last_numbers(connection)
            names = {*last_numbers, *before.numbers}
            copying.set_numbers(
                connection,
                {
                    name: max(last_numbers.get(name, 0), before.numbers.get(name, 0))
                    for name in names
                },
            )
            counts = copying.row_counts(connection)
    finally:
        engine.dispose()
    copying.finish_file(work)
    return len(ids), counts


def _to_erase(engine: sa.Engine, store: Notes, backup: Notes, erased: Sequence[str]) -> list[str]:
    """Return the ids in the backup of customers who must not come back."""
    since = [row["customer_hash"] for id_, row in store.rows.items() if id_ not in backup.rows]
    listed = set(erased)
    if not since and not listed:
        return []
    with engine.connect() as connection:
        columns = [table.c["customer_id"] for table in customer_tables(connection)]
        everybody = {
            str(value)
            for column in columns
            for value in connection.scalars(sa.select(column).distinct())
            if value is not None
        }
    again = set() if store.secret is None else set(matching(store.secret, since, everybody))
    return sorted(again | (listed & everybody))


def _joined(store: Notes, backup: Notes) -> Notes:
    """Return the notes of both; those keyed by another secret than the store's say nothing."""
    if store.secret is None:
        return backup
    if backup.secret != store.secret:
        return store
    return Notes(store.secret, {**backup.rows, **store.rows})


def _put_in_place(work: Path, target: sa.Engine, url: str) -> None:
    store = copying.sqlite_path(url)
    if store is not None:
        target.dispose()
        copying.match_pages(work, store)
        copying.copy_pages(work, store)
        copying.empty_log(store)
        return
    source = sa.create_engine(f"sqlite:///{work}")
    try:
        with source.connect() as old, target.begin() as new:
            copying.copy_rows(old, new)
            copying.set_numbers(new, copying.last_numbers(old))
    except sa.exc.OperationalError as error:
        raise UsageError(f"the store cannot be written: {error.orig}; it is as it was") from None
    finally:
        source.dispose()

"""One file as a place where a customer may stand: how it is counted, rewritten and searched, by
its kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.intake.sources import PARQUET_ENDINGS
from stagecast.features.intake.textfiles import TEXT_ENDINGS, open_text
from stagecast.serving.erasure import csv_logs, parquet_files, run_files
from stagecast.serving.erasure.csv_logs import How
from stagecast.serving.erasure.customer_column import OWN_NAME
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import (
    Hits,
    in_bytes,
    in_gzip,
    in_json,
    in_parquet,
    in_stream,
)
from stagecast.serving.erasure.replacing import clear_draft, draft_of, replace_file
from stagecast.serving.runs.files import DATA_REPORT, REJECTED
from stagecast.training.bundle import MANIFEST

STALE_SECONDS = 3_600
"""A half-written file of ours that has not grown for so long has nobody who writes it."""


@dataclass(frozen=True)
class Place:
    """Where the customer may stand.

    Parameters
    ----------
    kind
        ``log``, ``run``, ``model``, ``mlflow``, ``store`` or ``leftover``.
    count
        rows that would go; changes nothing, and refuses what cannot be done.
    remove
        removes them, and returns how many there were.
    search
        what is there of the customer now.
    hint
        what to try if something is left.
    close
        gives back what the others hold open.
    """

    name: str
    kind: str
    count: Callable[[], int]
    remove: Callable[[], int]
    search: Callable[[], Hits]
    hint: str = ""
    close: Callable[[], object] = lambda: None


def _file(
    path: Path,
    kind: str,
    count: Callable[[], int],
    rewrite: Callable[[Path], int],
    search: Callable[[], Hits],
    customer: Customer,
    hint: str = "",
) -> Place:
    counted = cache(count)

    def remove() -> int:
        clear_draft(path)
        if not counted():
            return 0
        gone: list[int] = []
        replace_file(path, lambda draft: gone.append(rewrite(draft)))
        return gone[0]

    def searched() -> Hits:
        draft = draft_of(path.resolve())
        return search() + (in_bytes(draft, customer) if draft.exists() else Hits())

    return Place(str(path), kind, counted, remove, searched, hint)


def log(con: duckdb.DuckDBPyConnection, path: Path, how: How, kind: str = "log") -> Place:
    """Return an event log, or another table of ours with a column of customers."""
    if path.name.lower().endswith(PARQUET_ENDINGS):
        return _parquet(con, path, how.column, how.customer, kind, whole_counts=False)

    def count() -> int:
        found = csv_logs.scan(con, path, how)
        return found.rows + (len(found.named) if how.include_malformed else 0)

    def search() -> Hits:
        encodings = {"utf-16": [], "utf-32": ["utf-32-le", "utf-32-be"]}.get(
            how.encoding, [how.encoding]
        )
        packed = path.suffix.lower() in (".gz", ".zst")
        with open_text(str(path)) as stream:
            hits = in_stream(stream, how.customer, encodings, "unpacked byte" if packed else "byte")
        found = csv_logs.scan(con, path, how)
        first = hits.first or (
            f"line {found.named[0]}, malformed" if found.named else "the customer column"
        )
        known = found.rows + len(found.named)
        return Hits(max(hits.count, known), first if hits.count or known else None, hits.alike)

    hint = (
        "a malformed line that names the customer goes with --include-malformed; rows of "
        "other customers that name "
        "this one in another column are theirs: change them in the log"
    )

    def rewrite(draft: Path) -> int:
        return csv_logs.copy_without(con, path, draft, how)

    return _file(path, kind, count, rewrite, search, how.customer, hint)


def _parquet(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    column: str | None,
    customer: Customer,
    kind: str,
    *,
    whole_counts: bool,
) -> Place:
    @cache
    def judge() -> parquet_files.ByColumn:
        return parquet_files.ByColumn(con, path, column, customer)

    def search() -> Hits:
        hits = in_parquet(path, customer, id_column=column, whole_counts=whole_counts)
        rows = judge().count()
        return Hits(max(hits.count, rows), hits.first or ("the customer column" if rows else None))

    return _file(
        path,
        kind,
        lambda: judge().count(),
        lambda draft: parquet_files.copy_without(path, draft, judge()),
        search,
        customer,
        (
            "rows of other customers that name this one in another column are theirs: change "
            "them in the file"
        ),
    )


def of_run(
    con: duckdb.DuckDBPyConnection, path: Path, customer: Customer, kind: str = "run"
) -> Place:
    """Return one file of a run's folder, or of what MLflow keeps of it."""
    lower = path.name.lower()
    if path.is_symlink() or (path.parent / MANIFEST).exists():
        return _only_searched(path, customer, "model" if not path.is_symlink() else kind)
    if path.name == DATA_REPORT:
        return _data_report(path, customer, kind)
    if path.name == REJECTED:
        return _rejected(path, customer, kind)
    if lower.endswith(".html"):
        return _page(path, customer, kind)
    if lower.endswith((*PARQUET_ENDINGS, *TEXT_ENDINGS)) and OWN_NAME in _columns(path):
        how = How(customer)
        return (
            _parquet(con, path, None, customer, kind, whole_counts=True)
            if lower.endswith(PARQUET_ENDINGS)
            else log(con, path, how, kind)
        )
    return _only_searched(path, customer, kind)


def _columns(path: Path) -> list[str]:
    from stagecast.features.intake.sources import open_file

    try:
        return [column.name for column in open_file(str(path)).columns]
    except StagecastError:
        return []


def _data_report(path: Path, customer: Customer, kind: str) -> Place:
    def without() -> tuple[dict[str, object], int]:
        judge = run_files.judge_rejected(customer, run_files.customer_column(path))
        gone = run_files.gone_rows(path.with_name(REJECTED), judge)
        return run_files.without_entries(run_files.read_report(path), customer, gone)

    def rewrite(draft: Path) -> int:
        report, count = without()
        draft.write_text(run_files.written(report), "utf-8")
        return count

    return _file(
        path, kind, lambda: without()[1], rewrite, lambda: in_json(path, customer), customer
    )


def _rejected(path: Path, customer: Customer, kind: str) -> Place:
    judge = run_files.judge_rejected(
        customer, run_files.customer_column(path.with_name(DATA_REPORT))
    )

    def search() -> Hits:
        hits, rows = (
            in_parquet(path, customer, whole_counts=False),
            parquet_files.rows_of(path, judge),
        )
        return Hits(max(hits.count, rows), hits.first or ("column raw" if rows else None))

    return _file(
        path,
        kind,
        lambda: parquet_files.rows_of(path, judge),
        lambda draft: parquet_files.copy_without(path, draft, judge),
        search,
        customer,
    )


def _page(path: Path, customer: Customer, kind: str) -> Place:
    def read() -> str:
        try:
            return path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataRefusedError(
                f"{path} is not UTF-8 text ({error.reason}); remove it or run again"
            ) from None

    def rewrite(draft: Path) -> int:
        page, count = run_files.without_rows(read(), customer)
        draft.write_bytes(page.encode("utf-8"))
        return count

    return _file(
        path,
        kind,
        lambda: run_files.without_rows(read(), customer)[1],
        rewrite,
        lambda: run_files.in_page(path, customer),
        customer,
    )


def _only_searched(path: Path, customer: Customer, kind: str) -> Place:
    lower = path.name.lower()

    def search() -> Hits:
        if lower.endswith(".json"):
            return in_json(path, customer)
        if lower.endswith(PARQUET_ENDINGS):
            return in_parquet(path, customer)
        return in_gzip(path, customer) if lower.endswith(".gz") else in_bytes(path, customer)

    hint = "it is not changed by an erasure"
    if kind == "model":
        hint = (
            "a model's files are hashed and are not changed: train again on the log "
            "without the customer"
        )
    return Place(str(path), kind, lambda: 0, lambda: 0, search, hint)


def leftover(con: duckdb.DuckDBPyConnection, path: Path, customer: Customer) -> Place:
    """Return a file that a killed process of ours left: cleaned as the finished one would be. A
    broken one goes.

    Raises
    ------
    UsageError
        On removal: it is broken, and changed within the last hour, so somebody may be writing it.
    """
    inner = of_run(con, path, customer, "leftover")

    def whole(do: Callable[[], int]) -> int | None:
        if path.suffix == ".draft":
            return None
        try:
            return do()
        except (StagecastError, OSError, ValueError):
            return None

    def broken() -> int:
        age = time.time() - path.stat().st_mtime
        if age < STALE_SECONDS:
            raise UsageError(
                f"{path} is half-written, {age / 60:.0f} minutes old: somebody may be "
                "writing it. Wait for that run "
                "and erase again, or remove it"
            )
        path.unlink()
        return 1

    def count() -> int:
        rows = whole(inner.count)
        return 1 if rows is None else rows

    def remove() -> int:
        rows = whole(inner.remove)
        return broken() if rows is None else rows

    def search() -> Hits:
        if not path.exists():
            return Hits()
        try:
            return inner.search()
        except (StagecastError, OSError, ValueError):
            return in_bytes(path, customer)

    return Place(str(path), "leftover", count, remove, search)

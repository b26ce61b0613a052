"""Files as places of an erasure: how each kind of file is counted, rewritten and searched."""

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
from stagecast.serving.erasure.csv_logs import LogOptions
from stagecast.serving.erasure.customer_column import DEFAULT_COLUMN
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import (
    Hits,
    search_bytes,
    search_gzip,
    search_json,
    search_parquet,
    search_stream,
)
from stagecast.serving.erasure.replacing import clear_draft, draft_of, replace_file
from stagecast.serving.runs.files import DATA_REPORT, REJECTED
from stagecast.training.bundle import MANIFEST

STALE_SECONDS = 3_600
"""After this time without a change, no process is considered to be writing a half-written file."""


@dataclass(frozen=True)
class Place:
    """A place that may contain the customer.

    Parameters
    ----------
    name
        Path or URL.
    kind
        ``log``, ``run``, ``model``, ``mlflow``, ``store`` or ``leftover``.
    count
        Returns the number of rows to remove, without changing anything; raises an error if the
        place cannot be changed.
    remove
        Removes the rows, and returns their number.
    search
        Returns the present occurrences of the customer.
    hint
        What to try if an occurrence is left.
    close
        Releases resources of the other functions.
    """

    name: str
    kind: str
    count: Callable[[], int]
    remove: Callable[[], int]
    search: Callable[[], Hits]
    hint: str = ""
    close: Callable[[], object] = lambda: None


def _rewritable_place(
    path: Path,
    kind: str,
    count: Callable[[], int],
    rewrite: Callable[[Path], int],
    search: Callable[[], Hits],
    customer: Customer,
    hint: str = "",
) -> Place:
    """Return the place of a file that can be rewritten without the customer.

    ``rewrite`` writes the draft and returns the number of removed rows.
    """
    cached_count = cache(count)

    def remove() -> int:
        clear_draft(path)
        if not cached_count():
            return 0
        removed: list[int] = []
        replace_file(path, lambda draft: removed.append(rewrite(draft)))
        return removed[0]

    def search_with_draft() -> Hits:
        draft = draft_of(path.resolve())
        return search() + (search_bytes(draft, customer) if draft.exists() else Hits())

    return Place(str(path), kind, cached_count, remove, search_with_draft, hint)


def log_place(
    con: duckdb.DuckDBPyConnection, path: Path, options: LogOptions, kind: str = "log"
) -> Place:
    """Return the place of an event log, or of another table with a column of customers.

    Parameters
    ----------
    con
        DuckDB connection that evaluates the customer column.
    path
        CSV or Parquet file.
    options
        The customer, and how to read the file.
    kind
        Kind of the place.
    """
    if path.name.lower().endswith(PARQUET_ENDINGS):
        return _parquet_place(con, path, options.column, options.customer, kind, whole_counts=False)

    def count() -> int:
        scan = csv_logs.scan(con, path, options)
        return scan.rows + (len(scan.malformed_lines) if options.include_malformed else 0)

    def search() -> Hits:
        encodings = {"utf-16": [], "utf-32": ["utf-32-le", "utf-32-be"]}.get(
            options.encoding, [options.encoding]
        )
        compressed = path.suffix.lower() in (".gz", ".zst")
        unit = "unpacked byte" if compressed else "byte"
        with open_text(str(path)) as stream:
            hits = search_stream(stream, options.customer, encodings, unit)
        scan = csv_logs.scan(con, path, options)
        first = hits.first or (
            f"line {scan.malformed_lines[0]}, malformed"
            if scan.malformed_lines
            else "the customer column"
        )
        records = scan.rows + len(scan.malformed_lines)
        return Hits(max(hits.count, records), first if hits.count or records else None, hits.alike)

    hint = (
        "a malformed line that names the customer goes with --include-malformed; rows of "
        "other customers that name "
        "this one in another column are theirs: change them in the log"
    )

    def rewrite(draft: Path) -> int:
        return csv_logs.copy_without(con, path, draft, options)

    return _rewritable_place(path, kind, count, rewrite, search, options.customer, hint)


def _parquet_place(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    column: str | None,
    customer: Customer,
    kind: str,
    *,
    whole_counts: bool,
) -> Place:
    @cache
    def row_filter() -> parquet_files.CustomerColumnFilter:
        return parquet_files.CustomerColumnFilter(con, path, column, customer)

    def search() -> Hits:
        hits = search_parquet(path, customer, id_column=column, whole_counts=whole_counts)
        rows = row_filter().count()
        return Hits(max(hits.count, rows), hits.first or ("the customer column" if rows else None))

    return _rewritable_place(
        path,
        kind,
        lambda: row_filter().count(),
        lambda draft: parquet_files.copy_without(path, draft, row_filter()),
        search,
        customer,
        (
            "rows of other customers that name this one in another column are theirs: change "
            "them in the file"
        ),
    )


def run_file_place(
    con: duckdb.DuckDBPyConnection, path: Path, customer: Customer, kind: str = "run"
) -> Place:
    """Return the place of a file in a run's folder, or in the artefacts of MLflow.

    Parameters
    ----------
    con
        DuckDB connection that evaluates customer columns.
    path
        The file.
    customer
        The customer.
    kind
        Kind of the place; a file of a bundle becomes ``model``.
    """
    name = path.name.lower()
    if path.is_symlink() or (path.parent / MANIFEST).exists():
        return _search_only_place(path, customer, "model" if not path.is_symlink() else kind)
    if path.name == DATA_REPORT:
        return _data_report_place(path, customer, kind)
    if path.name == REJECTED:
        return _rejected_place(path, customer, kind)
    if name.endswith(".html"):
        return _page_place(path, customer, kind)
    if name.endswith((*PARQUET_ENDINGS, *TEXT_ENDINGS)) and DEFAULT_COLUMN in _columns(path):
        return (
            _parquet_place(con, path, None, customer, kind, whole_counts=True)
            if name.endswith(PARQUET_ENDINGS)
            else log_place(con, path, LogOptions(customer), kind)
        )
    return _search_only_place(path, customer, kind)


def _columns(path: Path) -> list[str]:
    from stagecast.features.intake.sources import open_file

    try:
        return [column.name for column in open_file(str(path)).columns]
    except StagecastError:
        return []


def _data_report_place(path: Path, customer: Customer, kind: str) -> Place:
    def remaining_report() -> tuple[dict[str, object], int]:
        row_filter = run_files.rejected_row_filter(customer, run_files.customer_column(path))
        positions = run_files.removed_row_positions(path.with_name(REJECTED), row_filter)
        return run_files.remove_entries(run_files.read_report(path), customer, positions)

    def rewrite(draft: Path) -> int:
        report, removed = remaining_report()
        draft.write_text(run_files.report_text(report), "utf-8")
        return removed

    return _rewritable_place(
        path,
        kind,
        lambda: remaining_report()[1],
        rewrite,
        lambda: search_json(path, customer),
        customer,
    )


def _rejected_place(path: Path, customer: Customer, kind: str) -> Place:
    row_filter = run_files.rejected_row_filter(
        customer, run_files.customer_column(path.with_name(DATA_REPORT))
    )

    def search() -> Hits:
        hits = search_parquet(path, customer, whole_counts=False)
        rows = parquet_files.count_rows(path, row_filter)
        return Hits(max(hits.count, rows), hits.first or ("column raw" if rows else None))

    return _rewritable_place(
        path,
        kind,
        lambda: parquet_files.count_rows(path, row_filter),
        lambda draft: parquet_files.copy_without(path, draft, row_filter),
        search,
        customer,
    )


def _page_place(path: Path, customer: Customer, kind: str) -> Place:
    def read() -> str:
        try:
            return path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataRefusedError(
                f"{path} is not UTF-8 text ({error.reason}); remove it or run again"
            ) from None

    def rewrite(draft: Path) -> int:
        page, removed = run_files.remove_page_rows(read(), customer)
        draft.write_bytes(page.encode("utf-8"))
        return removed

    return _rewritable_place(
        path,
        kind,
        lambda: run_files.remove_page_rows(read(), customer)[1],
        rewrite,
        lambda: run_files.search_page(path, customer),
        customer,
    )


def _search_only_place(path: Path, customer: Customer, kind: str) -> Place:
    name = path.name.lower()

    def search() -> Hits:
        if name.endswith(".json"):
            return search_json(path, customer)
        if name.endswith(PARQUET_ENDINGS):
            return search_parquet(path, customer)
        return search_gzip(path, customer) if name.endswith(".gz") else search_bytes(path, customer)

    hint = "it is not changed by an erasure"
    if kind == "model":
        hint = (
            "a model's files are hashed and are not changed: train again on the log "
            "without the customer"
        )
    return Place(str(path), kind, lambda: 0, lambda: 0, search, hint)


def leftover_place(con: duckdb.DuckDBPyConnection, path: Path, customer: Customer) -> Place:
    """Return the place of a file that a killed process of stagecast left behind.

    A complete file is rewritten without the customer; a half-written one is deleted, and counts as
    one row. Its removal raises a UsageError if the file was changed within the last hour, since
    another process may be writing it.

    Parameters
    ----------
    con
        DuckDB connection that evaluates customer columns.
    path
        The file.
    customer
        The customer.
    """
    complete_place = run_file_place(con, path, customer, "leftover")

    def rows_if_complete(action: Callable[[], int]) -> int | None:
        if path.suffix == ".draft":
            return None
        try:
            return action()
        except (StagecastError, OSError, ValueError):
            return None

    def delete() -> int:
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
        rows = rows_if_complete(complete_place.count)
        return 1 if rows is None else rows

    def remove() -> int:
        rows = rows_if_complete(complete_place.remove)
        return delete() if rows is None else rows

    def search() -> Hits:
        if not path.exists():
            return Hits()
        try:
            return complete_place.search()
        except (StagecastError, OSError, ValueError):
            return search_bytes(path, customer)

    return Place(str(path), "leftover", count, remove, search)

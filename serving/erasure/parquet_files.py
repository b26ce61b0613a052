"""Removal of rows from a Parquet file; schema, compression, metadata and row groups remain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.sources import open_file
from stagecast.serving.erasure.customer_column import Matcher, compile_customer
from stagecast.serving.erasure.identity import Customer

Mask = NDArray[np.bool_]
RowFilter = Callable[[Any], Mask]
"""Takes an Arrow table with columns of the file; returns which of its rows to remove."""


def count_rows(path: Path, row_filter: RowFilter, columns: list[str] | None = None) -> int:
    """Return the number of rows that a filter removes from a file.

    Parameters
    ----------
    path
        The file.
    row_filter
        The filter.
    columns
        Columns that the filter reads; None: all.

    Raises
    ------
    DataRefusedError
        The file cannot be read.
    """
    return sum(int(row_filter(table).sum()) for table in _row_groups(path, columns))


class CustomerColumnFilter:
    """Row filter for the customer in the customer column, as the reader of logs reads it.

    Parameters
    ----------
    con
        DuckDB connection that evaluates the column.
    path
        The file.
    column
        Column of customers, or an expression; None: ``customer_id``.
    customer
        The customer.

    Raises
    ------
    DataRefusedError, UsageError
        The file cannot be read as Parquet, or has no such column.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, path: Path, column: str | None, customer: Customer
    ) -> None:
        self.path = path
        self._matcher = Matcher(
            con, compile_customer(column, open_file(str(path)).columns, str(path)), customer
        )

    def __call__(self, table: Any) -> Mask:
        """Return which rows of a table are the customer's."""
        columns = {
            source.sql: _without_dictionary(table.column(source.name))
            for source in self._matcher.columns
        }
        block = pa.table(columns) if columns else table.select([])
        return self._matcher.mask(block, table.num_rows)

    def count(self) -> int:
        """Return the number of rows that are the customer's."""
        names = [source.name for source in self._matcher.columns]
        # Arrow reads a dot as a path into a nested column, so such a name cannot be selected
        return count_rows(self.path, self, None if any("." in name for name in names) else names)


def _without_dictionary(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def copy_without(path: Path, draft: Path, row_filter: RowFilter) -> int:
    """Write a file without the rows that a filter removes, and return their number.

    Raises
    ------
    DataRefusedError
        The file cannot be written again with exactly the same schema.
    """
    removed_rows = remaining_rows = 0
    with pq.ParquetFile(path) as file:
        with pq.ParquetWriter(draft, file.schema_arrow, **_settings(file)) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                removed = row_filter(table)
                removed_rows += int(removed.sum())
                remaining = table.filter(pa.array(~removed)) if removed.any() else table
                remaining_rows += remaining.num_rows
                if remaining.num_rows:
                    writer.write_table(remaining, row_group_size=remaining.num_rows)
        _check(path, file, draft, remaining_rows)
    return removed_rows


def _row_groups(path: Path, columns: list[str] | None) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns)
    except (pa.ArrowException, OSError) as error:
        raise DataRefusedError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}"
        ) from None


def _settings(file: Any) -> dict[str, Any]:
    """Return the writer's settings of a file, as far as its footer contains them."""
    metadata = file.metadata
    settings: dict[str, Any] = {
        "version": metadata.format_version
        if metadata.format_version in ("1.0", "2.4", "2.6")
        else "2.6",
        "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
        "use_deprecated_int96_timestamps": any(
            file.schema.column(i).physical_type == "INT96" for i in range(len(file.schema))
        ),
    }
    if not metadata.num_row_groups:
        return settings
    group = metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    codecs = {column.path_in_schema: column.compression for column in columns}
    settings["compression"] = {
        path: "NONE" if codec == "UNCOMPRESSED" else codec for path, codec in codecs.items()
    }
    settings["use_dictionary"] = [
        column.path_in_schema for column in columns if column.has_dictionary_page
    ]
    settings["write_statistics"] = [
        column.path_in_schema for column in columns if column.is_stats_set
    ]
    if group.sorting_columns:
        settings["sorting_columns"] = group.sorting_columns
    return settings


def _check(path: Path, old: Any, draft: Path, rows: int) -> None:
    with pq.ParquetFile(draft) as new:
        same = new.schema.equals(old.schema) and new.schema_arrow.equals(
            old.schema_arrow, check_metadata=True
        )
        if not same or new.metadata.num_rows != rows:
            raise DataRefusedError(
                f"{path} cannot be written again with the schema it has (made by "
                f"{old.metadata.created_by}); it is "
                "left as it is: write it anew with the program that made it, without the customer"
            )

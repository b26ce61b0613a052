"""A Parquet file without some of its rows: the same schema, compression and metadata, row group
by row group.
"""

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
Judge = Callable[[Any], Mask]
"""Takes a table of the file's columns, and says of each row whether it goes."""


def rows_of(path: Path, judge: Judge, columns: list[str] | None = None) -> int:
    """Return how many rows would go; ``columns`` are those that the judge looks at, None: all."""
    return sum(int(judge(table).sum()) for table in _groups(path, columns))


class ByColumn:
    """Judges by the customer column, as the log's reader reads it.

    Raises
    ------
    DataRefusedError, UsageError
        The file is no Parquet, or has no such column.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, path: Path, column: str | None, customer: Customer
    ) -> None:
        self.path = path
        self._matcher = Matcher(
            con, compile_customer(column, open_file(str(path)).columns, str(path)), customer
        )

    def __call__(self, table: Any) -> Mask:
        """Tell of each row whether it goes."""
        chosen = {source.sql: _plain(table.column(source.name)) for source in self._matcher.columns}
        return self._matcher.mask(pa.table(chosen) if chosen else table.select([]), table.num_rows)

    def count(self) -> int:
        """Return how many rows would go."""
        names = [source.name for source in self._matcher.columns]
        # a dot leads into a nested column, so a name with one cannot be asked for alone
        return rows_of(self.path, self, None if any("." in name for name in names) else names)


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def copy_without(path: Path, draft: Path, judge: Judge) -> int:
    """Write the file without the rows that go, and return how many went.

    Raises
    ------
    DataRefusedError
        The file cannot be written again with the very schema it has.
    """
    gone = kept = 0
    with pq.ParquetFile(path) as file:
        with pq.ParquetWriter(draft, file.schema_arrow, **_settings(file)) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                goes = judge(table)
                gone += int(goes.sum())
                rest = table.filter(pa.array(~goes)) if goes.any() else table
                kept += rest.num_rows
                if rest.num_rows:
                    writer.write_table(rest, row_group_size=rest.num_rows)
        _check(path, file, draft, kept)
    return gone


def _groups(path: Path, columns: list[str] | None) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns)
    except (pa.ArrowException, OSError) as error:
        raise DataRefusedError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}"
        ) from None


def _settings(file: Any) -> dict[str, Any]:
    """Return how the file was written, as far as its footer tells."""
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
    packed = {column.path_in_schema: column.compression for column in columns}
    settings["compression"] = {
        path: "NONE" if name == "UNCOMPRESSED" else name for path, name in packed.items()
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

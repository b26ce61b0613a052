"""Writing of a table in parts: into one file, or into a folder that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write, write_text
from stagecast.features.files.in_order import Range, map_in_order

MANIFEST = "_parts.json"
FORMATS = (".parquet", ".csv")

MakeTable = Callable[[Range], pa.Table | None]
"""Function that returns the rows of one range, None where there are none."""


def write_parts(
    path: Path,
    ranges: Sequence[Range],
    make_table: MakeTable,
    schema: pa.Schema,
    run_inputs: Mapping[str, Any],
    as_csv: Callable[[pa.Table], pa.Table] = lambda table: table,
    ahead: int = 0,
) -> int:
    """Write the tables of all ranges, in their order.

    Parameters
    ----------
    path
        ``.parquet`` or ``.csv``: one file, whole or not at all. Without an ending: a folder with a
        Parquet file for each part; parts that an earlier, interrupted run has written are kept.
    ranges
        Ranges of rows, one for each part.
    make_table
        Returns the table of a range.
    schema
        Schema of the tables.
    run_inputs
        Everything that the rows depend on; a folder with the parts of a run whose inputs differ is
        refused.
    as_csv
        Converts a table before it is written as CSV.
    ahead
        Number of ranges computed while one is written, each in a thread of its own; memory grows
        with it.

    Returns
    -------
    The number of rows.

    Raises
    ------
    UsageError
        The name has another ending, the path cannot be written, or the folder holds other files.
    """
    if path.suffix == "":
        return sum(_write_folder(path, ranges, make_table, schema, run_inputs, ahead))
    check_ending(path)
    row_count = 0
    with atomic_write(path) as draft, _writer(draft, path.suffix, schema, as_csv) as writer:
        for table in map_in_order(make_table, ranges, ahead):
            if table is not None:
                writer.write_table(table if path.suffix == ".parquet" else as_csv(table))
                row_count += len(table)
    return row_count


def check_ending(path: Path, option: str = "--out") -> None:
    """Refuse a path that ends in neither ``.parquet`` nor ``.csv`` and is no folder's either.

    Raises
    ------
    UsageError
        The path has another ending.
    """
    if path.suffix not in ("", *FORMATS):
        raise UsageError(
            f"{option} {path}: the name must end in .parquet or .csv; without an ending "
            "it is a folder"
        )


def _writer(
    path: Path, ending: str, schema: pa.Schema, as_csv: Callable[[pa.Table], pa.Table]
) -> pq.ParquetWriter | pacsv.CSVWriter:
    if ending == ".csv":
        return pacsv.CSVWriter(path, as_csv(schema.empty_table()).schema)
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=_text_columns(schema))


def _text_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that dictionary encoding makes smaller."""
    # numbers only get slower to write, and ids hardly ever repeat
    return [
        field.name
        for field in schema
        if pa.types.is_string(field.type) and field.name != "customer_id"
    ]


def _write_folder(
    folder: Path,
    ranges: Sequence[Range],
    make_table: MakeTable,
    schema: pa.Schema,
    run_inputs: Mapping[str, Any],
    ahead: int,
) -> Iterator[int]:
    """Write the missing parts; yield the number of rows of every part."""
    run_text = json.dumps(
        {**run_inputs, "parts": len(ranges), "schema": schema.to_string()},
        sort_keys=True,
        default=str,
    )
    _prepare_folder(folder, hashlib.sha256(run_text.encode()).hexdigest())
    paths = {part: folder / f"part-{number:05}.parquet" for number, part in enumerate(ranges)}
    # a part that exists is complete: it gets its name only after it was written
    missing = [part for part, path in paths.items() if not path.is_file()]
    yield from (
        pq.read_metadata(path).num_rows for part, path in paths.items() if part not in set(missing)
    )
    for part, table in zip(missing, map_in_order(make_table, missing, ahead), strict=True):
        path = paths[part]
        table = schema.empty_table() if table is None else table
        with atomic_write(path) as draft:
            pq.write_table(table, draft, compression="zstd", use_dictionary=_text_columns(schema))
        yield len(table)


def _prepare_folder(folder: Path, run_digest: str) -> None:
    """Make the folder of a run, or check that it holds parts of the same run."""
    manifest = folder / MANIFEST
    try:
        folder.mkdir(exist_ok=True)
        old_digest = (
            json.loads(manifest.read_text("utf-8")).get("run") if manifest.is_file() else None
        )
        has_other_files = not manifest.is_file() and any(folder.iterdir())
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"--out {folder} cannot be written as a folder of parts: {error}"
        ) from None
    if has_other_files or (manifest.is_file() and old_digest != run_digest):
        raise UsageError(
            f"--out {folder} holds something else (other events, another date, other "
            "columns, or no parts at all); "
            "name a new folder, or delete it"
        )
    write_text(manifest, json.dumps({"run": run_digest}) + "\n")

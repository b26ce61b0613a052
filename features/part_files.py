"""A table made part by part: one file that appears whole, or a folder of parts that a later run
goes on with.
"""

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
from stagecast.features.files import replaced, write_text
from stagecast.features.in_order import Range, in_order

MANIFEST = "_parts.json"
FORMATS = (".parquet", ".csv")

Make = Callable[[Range], pa.Table | None]
"""What makes the rows of one range; None where there are none."""


def write_parts(
    path: Path,
    ranges: Sequence[Range],
    make: Make,
    schema: pa.Schema,
    run: Mapping[str, Any],
    as_csv: Callable[[pa.Table], pa.Table] = lambda table: table,
    ahead: int = 0,
) -> int:
    """Write the tables of all ranges, in their order.

    Parameters
    ----------
    path
        ``.parquet`` or ``.csv``: one file, whole or not at all. Without an ending: a folder with a
        Parquet file for each part; parts that an earlier, interrupted run has written are kept.
    run
        What the rows depend on; a folder that holds parts of another run is refused.
    as_csv
        What becomes of a table before it is written as CSV.
    ahead
        How many ranges are made beside the one that is written, each in a thread of its own; memory
        grows with it.

    Returns
    -------
    The number of rows.

    Raises
    ------
    UsageError
        The name ends in something else, it cannot be written, or the folder holds something else.
    """
    if path.suffix == "":
        return sum(_write_folder(path, ranges, make, schema, run, ahead))
    check_ending(path)
    written = 0
    with replaced(path) as draft, _writer(draft, path.suffix, schema, as_csv) as writer:
        for table in in_order(make, ranges, ahead):
            if table is not None:
                writer.write_table(table if path.suffix == ".parquet" else as_csv(table))
                written += len(table)
    return written


def check_ending(path: Path, option: str = "--out") -> None:
    """Refuse a name that says neither Parquet nor CSV nor, without an ending, a folder of parts."""
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
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=_texts(schema))


def _texts(schema: pa.Schema) -> list[str]:
    """Return the columns that a dictionary makes smaller; numbers it only makes slower to write."""
    return [
        field.name
        for field in schema
        if pa.types.is_string(field.type) and field.name != "customer_id"
    ]


def _write_folder(
    folder: Path,
    ranges: Sequence[Range],
    make: Make,
    schema: pa.Schema,
    run: Mapping[str, Any],
    ahead: int,
) -> Iterator[int]:
    known = json.dumps(
        {**run, "parts": len(ranges), "schema": schema.to_string()}, sort_keys=True, default=str
    )
    _begin(folder, hashlib.sha256(known.encode()).hexdigest())
    paths = {part: folder / f"part-{number:05}.parquet" for number, part in enumerate(ranges)}
    # a file is whole, since it took its name when it was
    missing = [part for part, path in paths.items() if not path.is_file()]
    yield from (
        pq.read_metadata(path).num_rows for part, path in paths.items() if part not in set(missing)
    )
    for part, table in zip(missing, in_order(make, missing, ahead), strict=True):
        path = paths[part]
        table = schema.empty_table() if table is None else table
        with replaced(path) as draft:
            pq.write_table(table, draft, compression="zstd", use_dictionary=_texts(schema))
        yield len(table)


def _begin(folder: Path, run: str) -> None:
    """Make the folder of a run, or find that it is one."""
    manifest = folder / MANIFEST
    try:
        folder.mkdir(exist_ok=True)
        there = json.loads(manifest.read_text("utf-8")).get("run") if manifest.is_file() else None
        others = not manifest.is_file() and any(folder.iterdir())
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"--out {folder} cannot be written as a folder of parts: {error}"
        ) from None
    if others or (manifest.is_file() and there != run):
        raise UsageError(
            f"--out {folder} holds something else (other events, another date, other "
            "columns, or no parts at all); "
            "name a new folder, or delete it"
        )
    write_text(manifest, json.dumps({"run": run}) + "\n")

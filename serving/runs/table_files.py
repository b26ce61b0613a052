"""Scores and stages written to files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write
from stagecast.serving.scoring import score_schema


def check_targets(**paths: Path | None) -> None:
    """Check that files can be written as tables and differ from each other, before any work.

    Parameters
    ----------
    paths
        Option -> its file, or None where the option is not set. ``learn`` is no table, and may have
        any name.

    Raises
    ------
    UsageError
        A file is not named ``.parquet`` or ``.csv``, or two options name the same.
    """
    named = {option: path for option, path in paths.items() if path is not None}
    for option, path in named.items():
        if option != "learn":
            _check_suffix(path, f"--{option}")
    resolved = {option: path.resolve() for option, path in named.items()}
    for option, path in resolved.items():
        for other, other_path in resolved.items():
            if option < other and path == other_path:
                raise UsageError(
                    f"--{option} and --{other} are both {named[option]}: name two files"
                )


def _check_suffix(path: Path, option: str) -> None:
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(
            f"{option} {path}: tables are written as .parquet or .csv; name the file so"
        )


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write a table as Parquet, or as CSV where the name ends in ``.csv``.

    The file is written whole or not at all.

    Raises
    ------
    UsageError
        The name ends in neither, or the folder does not exist.
    """
    _check_suffix(path, "--out")
    with atomic_write(path) as draft:
        if path.suffix == ".csv":
            pc.write_csv(score_schema.csv_table(scores), draft)
        else:
            pq.write_table(scores, draft, compression="zstd")

"""Writing scores and stages to files so that nobody ever sees half of one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write
from stagecast.serving.scoring import score_schema


def check_targets(**paths: Path | None) -> None:
    """Refuse files that cannot be written as tables, or that are one and the same, before any work
    is done.

    Parameters
    ----------
    paths
        By the option that named them; None: not asked for. ``learn`` is no table, and may have any
        name.

    Raises
    ------
    UsageError
        The message names the option and the file.
    """
    named = {option: path for option, path in paths.items() if path is not None}
    for option, path in named.items():
        if option != "learn":
            _check_suffix(path, f"--{option}")
    places = {option: path.resolve() for option, path in named.items()}
    for option, place in places.items():
        for other, elsewhere in places.items():
            if option < other and place == elsewhere:
                raise UsageError(
                    f"--{option} and --{other} are both {named[option]}: name two files"
                )


def _check_suffix(path: Path, option: str) -> None:
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(
            f"{option} {path}: tables are written as .parquet or .csv; name the file so"
        )


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write a table as Parquet, or as CSV where the name ends so; the file appears whole.

    Raises
    ------
    UsageError
        The name ends in neither, or the folder is not there.
    """
    _check_suffix(path, "--out")
    with atomic_write(path) as draft:
        if path.suffix == ".csv":
            pc.write_csv(score_schema.csv_table(scores), draft)
        else:
            pq.write_table(scores, draft, compression="zstd")

"""Writing scores and stages to files so that nobody ever sees half of one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from features.errors import UsageError
from features.files import replaced
from serving import contract


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write scores as Parquet, or as CSV where the name ends so; the file appears whole.

    Raises
    ------
    UsageError
        The name ends in neither, or the folder is not there.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out {path}: scores are written as .parquet or .csv; name the file so")
    with replaced(path) as draft:
        if path.suffix == ".csv":
            pc.write_csv(contract.csv_table(scores), draft)
        else:
            pq.write_table(scores, draft, compression="zstd")

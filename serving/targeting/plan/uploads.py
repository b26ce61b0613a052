"""Small tables of customers that are uploaded: who was contacted, outcomes, profiles."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.serving.quoting import quote

ID = "customer_id"


def read_upload(file: Path, *, required: Sequence[str] = (ID,)) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file; ids are texts, and texts of CSV are stripped.

    Parameters
    ----------
    file
        ``.csv`` in UTF-8 with a header line, or ``.parquet``.
    required
        Columns that must be there.

    Raises
    ------
    UsageError
        The file does not exist, or is of another kind.
    DataRefusedError
        A column is missing, a customer's id is empty, or a text has a character of code 0.
    """
    if not file.is_file():
        raise UsageError(f"there is no file '{file}'")
    rows, names = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    for name in required:
        if name not in names:
            raise DataRefusedError(
                f"'{file}' has no column {name}; it has {', '.join(names) or 'none'}"
                f".{did_you_mean(name, names)}"
            )
    for number, row in enumerate(rows, start=2 if file.suffix != ".parquet" else 1):
        if ID in names and not str(row[ID] if row[ID] is not None else "").strip():
            raise DataRefusedError(f"'{file}', row {number}: the customer_id is empty")
        if ID in names:
            row[ID] = str(row[ID])
        for name, value in row.items():
            if isinstance(value, str) and "\0" in value:
                raise DataRefusedError(
                    f"'{file}', row {number}: {name} has a character of code 0; take it out"
                )
    return rows


def check_distinct(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Check that no customer stands twice.

    Raises
    ------
    DataRefusedError
        One does.
    """
    seen_ids: set[str] = set()
    for row in rows:
        if row[ID] in seen_ids:
            raise DataRefusedError(
                f"'{file}': customer '{quote(row[ID])}' stands more than once; add up the rows of "
                "each customer"
            )
        seen_ids.add(row[ID])


def number(row: dict[str, Any], name: str, file: Path) -> float | None:
    """Return a number of a row; None where it is empty.

    Raises
    ------
    DataRefusedError
        It is no number, or above that of any amount.
    """
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = float("nan")
    if not abs(result) <= LARGEST_AMOUNT:
        raise DataRefusedError(
            f"'{file}': {name} of customer '{quote(row[ID])}' is '{quote(str(value))}', no number"
        )
    return result


def flag(row: dict[str, Any], name: str, file: Path) -> bool | None:
    """Return true or false of a row; None where it is empty.

    Raises
    ------
    DataRefusedError
        It is neither.
    """
    value = row.get(name)
    if value is None or value == "":
        return None
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "y", "t"):
        return True
    if text in ("false", "0", "no", "n", "f"):
        return False
    raise DataRefusedError(
        f"'{file}': {name} of customer '{quote(row[ID])}' is '{quote(str(value))}'; write true or "
        "false"
    )


def _csv(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restkey="")
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [
                {name: (value or "").strip() for name, value in row.items() if name}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataRefusedError(f"'{file}' cannot be read as CSV in UTF-8: {error}") from None
    return rows, names


def _parquet(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataRefusedError(f"'{file}' cannot be read as Parquet: {error}") from None
    return table.to_pylist(), table.column_names

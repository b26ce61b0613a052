"""Tables that a caller hands over: pandas, polars and Arrow, as pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from stagecast.features.arguments.values import refuse

_GIVE = "a pandas, polars or Arrow table"


def is_table(value: object) -> bool:
    """Return whether a value is a table: rows with names of columns."""
    is_stream = hasattr(value, "__arrow_c_stream__") and hasattr(value, "schema")
    return isinstance(value, pd.DataFrame) or is_stream


def as_frame(value: Any, name: str, give: str = _GIVE) -> pd.DataFrame:
    """Return a table as a DataFrame; one of pandas as it is, with its index.

    Parameters
    ----------
    value
        A table of pandas; or any with ``__arrow_c_stream__``, such as one of polars or Arrow; or a
        mapping from names of columns to their values.
    name
        Name of the argument, for errors.
    give
        What is right, for errors.

    Raises
    ------
    UsageError
        It is no table.

    >>> as_frame({"a": [1, 2]}, "table")["a"].sum().item()
    3
    """
    if isinstance(value, pd.DataFrame):
        return value
    if is_table(value):
        import pyarrow as pa

        frame: pd.DataFrame = pa.RecordBatchReader.from_stream(value).read_all().to_pandas()
        return frame
    if isinstance(value, Mapping):
        try:
            return pd.DataFrame(dict(value))
        except (TypeError, ValueError):
            refuse(value, name, give)
    if hasattr(value, "collect") and hasattr(value, "collect_schema"):
        refuse(value, name, f"{give}; call collect() first")
    return refuse(value, name, give)


def as_times(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of periods of at most a day as their starts, any other as it is."""
    if not isinstance(column.dtype, pd.PeriodDtype):
        return column
    spans = column.dt.end_time - column.dt.start_time
    return column.dt.to_timestamp() if (spans < pd.Timedelta(days=1)).all() else column

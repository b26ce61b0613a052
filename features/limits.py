"""What DuckDB says when memory or disk are at an end, as an error that says what to give more
of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from stagecast.features.errors import UsageError

_DISK = (
    "could not write",
    "no space left",
    "failed to write",
    "max_temp_directory_size",
    "failed to offload",
)


@contextmanager
def explained_limits() -> Iterator[None]:
    """Turn DuckDB's errors about memory and disk into ours; others pass.

    Raises
    ------
    UsageError
        With DuckDB's first line, and the option to turn.
    """
    try:
        yield
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if any(sign in reason.lower() for sign in _DISK):
            raise UsageError(
                f"the disk is full, or --spill too small: {reason}. Name another --temp-dir"
            ) from None
        if isinstance(error, duckdb.OutOfMemoryException):
            raise UsageError(f"--memory is too small for this log: {reason}. Give more") from None
        raise

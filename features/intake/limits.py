"""DuckDB's errors about memory and disk, turned into errors that name the option to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from stagecast.features.errors import UsageError

_DISK_SIGNS = (
    "could not write",
    "no space left",
    "failed to write",
    "max_temp_directory_size",
    "failed to offload",
)


@contextmanager
def explain_resource_errors() -> Iterator[None]:
    """Raise DuckDB's errors about memory and disk as ``UsageError``; pass all others on.

    Raises
    ------
    UsageError
        Memory or disk space ran out; the message holds the first line of DuckDB's message and the
        option to change.
    """
    try:
        yield
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if any(sign in reason.lower() for sign in _DISK_SIGNS):
            raise UsageError(
                f"the disk is full, or --spill too small: {reason}. Name another --temp-dir"
            ) from None
        if isinstance(error, duckdb.OutOfMemoryException):
            raise UsageError(f"--memory is too small for this log: {reason}. Give more") from None
        raise

"""A format for times that could not be read, proposed from examples of them."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y %m %d")
_TIMES = (" %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S")
CANDIDATES = (
    *_DATES,
    *(date + time for date in _DATES for time in _TIMES),
    *("%Y-%m", "%Y/%m", "%Y.%m", "%Y%m"),
    *("%m-%Y", "%m/%Y", "%m.%Y"),
)
"""Formats whose parts cannot be confused: with the year first, or of a month and a year. Which
number of ``01/02/2025`` is the day, no example can tell.
"""


def proposed_time_format(
    con: duckdb.DuckDBPyConnection, values: Sequence[str | None]
) -> str | None:
    """Return the first of :data:`CANDIDATES` that reads all values; None where there is none.

    Parameters
    ----------
    con
        Any connection; the format is tried by its ``strptime``, which reads the log.
    values
        Texts of times.

    >>> proposed_time_format(duckdb.connect(), ["2016-2-01", "2016-11-01"])
    '%Y-%m-%d'
    >>> proposed_time_format(duckdb.connect(), ["2016-2"])
    '%Y-%m'
    >>> proposed_time_format(duckdb.connect(), ["01/02/2025"]) is None
    True
    """
    texts = [value.strip() for value in values if value is not None and value.strip()]
    if not texts:
        return None
    with con.cursor() as cursor:
        for candidate in CANDIDATES:
            fits = cursor.execute(
                "SELECT bool_and(coalesce(year(try_strptime(text, ?)) BETWEEN ? AND ?, false)) "
                "FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS text)",
                [candidate, FIRST_YEAR, LAST_YEAR, texts],
            ).fetchall()[0][0]
            if fits:
                return candidate
    return None

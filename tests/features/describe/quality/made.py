"""Logs for the tests of :mod:`stagecast.features.describe.quality`: a clean shop to alter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd

from stagecast.features.describe.quality import Quality, describe
from stagecast.features.events import COLUMNS

START = pd.Timestamp("2021-01-04")  # a Monday
INPUT_COLUMNS = [name for name in COLUMNS if name != "customer"]


@contextmanager
def table_of(frame: pd.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection whose table ``events`` holds the rows; missing columns are null."""
    with duckdb.connect(config={"threads": "2"}) as con:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        con.execute(
            f"CREATE TABLE events ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
        )
        frame = frame.assign(**{name: None for name in INPUT_COLUMNS if name not in frame})[
            INPUT_COLUMNS
        ]
        con.register("rows", frame)
        con.execute(
            "INSERT INTO events SELECT *, dense_rank() OVER (ORDER BY customer_id) - 1 "
            "FROM rows ORDER BY ALL"
        )
        con.unregister("rows")
        yield con


def described(frame: pd.DataFrame) -> Quality:
    """Return the description of a log."""
    with table_of(frame) as con:
        return describe(con)


def shop(
    days: int = 500,
    per_day: float = 60.0,
    *,
    closed: tuple[int, ...] = (6,),
    growth: float = 2.0,
    december: float = 3.0,
    lines: float = 1.5,
    seed: int = 1,
) -> pd.DataFrame:
    """Return purchases of a clean shop: busy Saturdays, closed Sundays, growth, a busy December."""
    random = np.random.default_rng(seed)
    number = np.arange(days)
    dates = START + pd.to_timedelta(number, unit="D")
    week = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.6, 1.1])
    week[list(closed)] = 0.0
    day_of_year = dates.day_of_year.to_numpy()
    season = 1 + (december - 1) * np.clip((day_of_year - 325) / 30, 0, 1) * (day_of_year <= 358)
    customers = random.poisson(per_day * week[number % 7] * season * growth ** (number / days))
    day_of_visit = np.repeat(number, customers)
    visit_of_line = np.repeat(
        np.arange(len(day_of_visit)), random.geometric(1 / lines, len(day_of_visit))
    )
    seconds = random.integers(9 * 3600, 18 * 3600, len(day_of_visit))
    visit_time = dates[day_of_visit] + pd.to_timedelta(seconds, unit="s")
    names = random.integers(0, 4_000, len(day_of_visit)).astype(str)
    return pd.DataFrame(
        {
            "customer_id": names[visit_of_line],
            "timestamp": visit_time[visit_of_line],
            "event": "purchase",
            "amount": 10.0,
        }
    )


def day(number: int) -> pd.Timestamp:
    """Return the midnight at which a day begins."""
    return START + timedelta(days=number)


def on(frame: pd.DataFrame, first: int, last: int | None = None) -> pd.Series:
    """Return which rows lie on the days from ``first`` to ``last``, both included."""
    return frame["timestamp"].between(
        day(first), day((first if last is None else last) + 1), inclusive="left"
    )


def kinds(quality: Quality) -> dict[str, list[str]]:
    """Return the days of the findings by kind."""
    days_by_kind: dict[str, list[str]] = {}
    for finding in quality.odd_days:
        days_by_kind.setdefault(finding.kind, []).append(finding.day)
    return days_by_kind


def date(number: int) -> str:
    """Return the ISO date of a day."""
    return day(number).date().isoformat()


CLEAN = shop()
"""500 days; day 0 is a Monday, so day 6 is a Sunday and day 15 a Tuesday."""

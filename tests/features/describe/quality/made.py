"""Logs for the tests of :mod:`stagecast.features.describe.quality`: a clean shop, into which they
plant what is to be found.
"""

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
GIVEN = [name for name in COLUMNS if name != "customer"]


@contextmanager
def table_of(frame: pd.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection whose table ``events`` holds the rows; columns that are missing are
    null.
    """
    with duckdb.connect(config={"threads": "2"}) as con:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        con.execute(
            f"CREATE TABLE events ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
        )
        frame = frame.assign(**{name: None for name in GIVEN if name not in frame})[GIVEN]
        con.register("given", frame)
        con.execute(
            "INSERT INTO events SELECT *, dense_rank() OVER (ORDER BY customer_id) - 1 "
            "FROM given ORDER BY ALL"
        )
        con.unregister("given")
        yield con


def described(frame: pd.DataFrame) -> Quality:
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
    """Return the purchases of a clean shop: busy Saturdays, closed Sundays, growth, a December,
    times of day.
    """
    random = np.random.default_rng(seed)
    number = np.arange(days)
    dates = START + pd.to_timedelta(number, unit="D")
    week = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.6, 1.1])
    week[list(closed)] = 0.0
    of_year = dates.day_of_year.to_numpy()
    season = 1 + (december - 1) * np.clip((of_year - 325) / 30, 0, 1) * (of_year <= 358)
    customers = random.poisson(per_day * week[number % 7] * season * growth ** (number / days))
    who = np.repeat(number, customers)
    bought = np.repeat(np.arange(len(who)), random.geometric(1 / lines, len(who)))
    seconds = random.integers(9 * 3600, 18 * 3600, len(who))
    at = dates[who] + pd.to_timedelta(seconds, unit="s")
    names = random.integers(0, 4_000, len(who)).astype(str)
    return pd.DataFrame(
        {"customer_id": names[bought], "timestamp": at[bought], "event": "purchase", "amount": 10.0}
    )


def day(number: int) -> pd.Timestamp:
    return START + timedelta(days=number)


def on(frame: pd.DataFrame, first: int, last: int | None = None) -> pd.Series:
    """Say which rows stand on the days from ``first`` to ``last``, both included."""
    return frame["timestamp"].between(
        day(first), day((first if last is None else last) + 1), inclusive="left"
    )


def kinds(quality: Quality) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for odd in quality.odd_days:
        found.setdefault(odd.kind, []).append(odd.day)
    return found


def date(number: int) -> str:
    return day(number).date().isoformat()


CLEAN = shop()
"""500 days; 15 is a Tuesday, as is every number that leaves 1 when divided by 7; 6 is a Sunday."""

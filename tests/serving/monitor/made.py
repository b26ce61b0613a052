"""A shop that goes on as before after its training, and the same with a fault."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

import pandas as pd

from stagecast.features.events import EventLog, ReadOptions, from_frame
from tests.training.made import Row, day, frame_of, simulated_rows

TRAINED, LATER = 730, 120
AS_OF = day(TRAINED + LATER)
BROKEN = 790
"""Day from which a fault holds."""


@cache
def rows() -> tuple[Row, ...]:
    """Return the rows that ``shop`` was trained on, and the 120 days before its as_of once more.

    So the customers of these days do the same again, and no rate changes.
    """
    known = simulated_rows(1_200, TRAINED, seed=1)
    again = [
        (name, at + timedelta(days=LATER), event, amount)
        for name, at, event, amount in known
        if at >= day(TRAINED - LATER)
    ]
    return (*known, *again)


def renamed(log: Sequence[Row]) -> list[Row]:
    """Return rows in which purchases have another name."""
    return [
        (name, at, "Purchases" if event == "purchase" and at >= day(BROKEN) else event, amount)
        for name, at, event, amount in log
    ]


def in_cents(log: Sequence[Row]) -> list[Row]:
    """Return rows whose amounts are 100 times as large."""
    return [
        (name, at, event, amount if amount is None or at < day(BROKEN) else round(100 * amount, 2))
        for name, at, event, amount in log
    ]


def halved(log: Sequence[Row]) -> list[Row]:
    """Return rows from which every second customer is missing altogether."""
    drawn = random.Random(3)
    names = {name for name, *_ in log}
    lost = {name for name in sorted(names) if drawn.random() < 0.5}
    return [row for row in log if row[0] not in lost]


def log_with(log: Sequence[Row] | pd.DataFrame) -> EventLog:
    """Return the checked log of rows; close it."""
    frame = log if isinstance(log, pd.DataFrame) else frame_of(log)
    return from_frame(frame, ReadOptions(duplicates="keep"))

"""Coverage of the 90 % ranges of clv by fifths of size and by stages: ``python -m bench.ranges``.

Each training sees the events before a date and tells the value of the next 180 days, which the
logs hold. Judged is what came, discounted, less refunds. As in `stagecast train`, the level of a
new date is learned from the past dates, and from a training 180 days before the date.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.accuracy import simulated
from bench.real_lists import ONLINE_RETAIL, online_retail
from stagecast.features.arrays import Array
from stagecast.features.clock import day_number
from stagecast.features.demo import cdnow_frame
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import ReadOptions, from_frame
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.past_value import value_intervals
from stagecast.training.judging.value_evaluation import evaluate_value
from stagecast.training.panel import build
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.spans import Purchases

DAYS = 180


@dataclass(frozen=True)
class Log:
    """A log, and the dates that it is judged at."""

    read: Callable[[], pd.DataFrame]
    dates: tuple[str, ...]
    file: Path | None = None


LOGS = {
    "CDNOW": Log(
        lambda: cdnow_frame()[["customer_id", "timestamp", "amount"]], ("1997-10-01", "1998-01-01")
    ),
    "Online Retail II": Log(
        lambda: online_retail(ONLINE_RETAIL),
        ("2010-12-01", "2011-03-01", "2011-06-01"),
        ONLINE_RETAIL,
    ),
    # nothing drifts in it
    "steady": Log(
        lambda: simulated(3_000, 1.0, 1 / 40, 400.0, 900.0, 5), ("2023-06-01", "2023-12-01")
    ),
}


def fifths(expected: Array) -> NDArray[np.int64]:
    """Return the fifth of each customer by size, 1 the smallest, shape (n,)."""
    rank = np.argsort(np.argsort(expected, kind="stable"), kind="stable")
    return np.asarray(rank * 5 // len(expected) + 1, dtype=np.int64)


def by_group(
    group: NDArray[Any], outcome: Array, expected: Array, low: Array, high: Array
) -> pd.DataFrame:
    """Return coverage, misses on each side and the width over the mean expectation of each group.

    Parameters
    ----------
    group
        Of each customer, shape (n,), as all arrays here.
    outcome
        What came; below 0 counts as 0.
    expected, low, high
        The expectation, and the ends of its range.
    """
    came = np.maximum(outcome, 0.0)
    known = np.isfinite(low) & np.isfinite(high)
    table = pd.DataFrame(
        {
            "group": group,
            "customers": 1.0,
            "covered": (came >= low) & (came <= high),
            "below": came < low,
            "above": came > high,
            "two_sided": low > 0,
            "expected": expected,
            "came": came,
            "width": high - low,
        }
    )[known]
    means = table.groupby("group").agg(
        {name: "sum" if name == "customers" else "mean" for name in table.columns[1:]}
    )
    means["width"] /= means["expected"]
    return means.round(3).reset_index()


def judged(events: pd.DataFrame, date: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables of one date, by fifths and by stages."""
    as_of = pd.Timestamp(date)
    config = TrainConfig(horizon_days=90, value_horizon_days=DAYS)
    options = ReadOptions(duplicates="keep")
    with single_threaded_blas(), from_frame(events[events["timestamp"] < as_of], options) as log:
        table = DailyTable(log.con, as_of.to_pydatetime().replace(tzinfo=UTC))
        panel, purchase_days = build(table, config), table.purchase_days()
        models, predicted = fit_models(panel, purchase_days, config, True)
        value = evaluate_value(log.con, table, config, True, {})
        intervals = value_intervals(
            panel,
            models,
            Purchases(purchase_days, day_number(table.anchor)),
            None if value is None else value.level_error,
        )
    if intervals is None:
        return
    low, high = predicted.value_range(intervals)
    after = events["timestamp"] - as_of
    ahead = events[(after >= pd.Timedelta(0)) & (after < pd.Timedelta(days=DAYS))]
    weight = (1.0 + config.annual_discount) ** (-(after[ahead.index].dt.days) / 365.0)
    came = (ahead["amount"] * weight).groupby(ahead["customer_id"]).sum()
    outcome = came.reindex(panel.now.ids[panel.now.customer]).fillna(0.0).to_numpy(float)
    names = np.array([stage.id for stage in panel.scheme.stages])
    for name, group in (("fifths", fifths(predicted.clv)), ("stages", names[panel.now.stage])):
        yield name, by_group(group, outcome, predicted.clv, low, high)


def main() -> None:
    """Print the tables of each log and date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=LOGS, action="append", help="only these logs")
    for name in parser.parse_args().log or LOGS:
        log = LOGS[name]
        if log.file is not None and not log.file.is_file():
            click.echo(f"{name}: there is no {log.file.name}")
            continue
        events = log.read()
        for date in log.dates:
            for kind, table in judged(events, date):
                click.echo(f"{name} {date} by {kind}\n{table.to_string(index=False)}")


if __name__ == "__main__":
    main()

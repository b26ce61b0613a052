"""P(cancelled) of open contracts, out of time, on real subscriptions: ``python -m
bench.cancellation [FILE]``.

The monthly subscriptions of the Maven Analytics data playground (creation and cancellation dates;
2,877 customers, 185 of whom came back). At each as_of the models see what was known then; judged
are the contracts open at it, on whether they were cancelled within 30 and within 90 days. Nothing
but the dates is told of a customer, so the age of a contract, the number of earlier ones and what
it says of the monthly renewal is all that there is to learn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS, iso, parse_instant
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import Spells
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog, from_frame
from stagecast.training.baselines import contracts as baselines
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import current, past
from stagecast.training.learners import metrics

FILE = Path(__file__).parents[2] / "shared" / "data" / "maven_subscriptions.csv"
AS_OFS = ("2023-04-01", "2023-05-01", "2023-06-01")
HORIZONS = (30, 90)
SEED = 20110901


@contextmanager
def subscriptions(file: Path = FILE) -> Iterator[EventLog]:
    """Give the subscriptions as an event log: ``subscribe`` at the creation, ``cancel`` at the
    cancellation.
    """
    table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    cancelled = table[table["canceled_date"] != ""]
    events = [
        {
            "customer_id": table["customer_id"],
            "timestamp": table["created_date"],
            "event": "subscribe",
        },
        {
            "customer_id": cancelled["customer_id"],
            "timestamp": cancelled["canceled_date"],
            "event": "cancel",
        },
    ]
    with from_frame(pd.concat([pd.DataFrame(rows) for rows in events])) as log:
        yield log


def predictions(known: Spells, horizon_days: int, seed: int = SEED) -> dict[str, Array]:
    """Return P(cancelled within the horizon) of the contracts open at the as_of, by model."""
    landmarks, now = past(known, horizon_days, seed), current(known)
    model = fit_cancellation(known, horizon_days, landmarks, seed=seed)
    alone = fit_cancellation(known, horizon_days, seed=seed)
    return {
        "pool": model.probability(now),
        "life table": alone.probability(now),
        **{
            baselines.LABELS[name]: p
            for name, p in baselines.fit_and_predict(known, horizon_days, landmarks, now).items()
        },
    }


def results(file: Path = FILE, as_ofs: Sequence[str] = AS_OFS) -> pd.DataFrame:
    """Return one row per as_of, horizon and model."""
    rows = []
    with subscriptions(file) as log:
        everything = spells(DailyTable(log.con, log.choose_as_of()))
        for text in as_ofs:
            known = spells(DailyTable(log.con, parse_instant(text)))
            # the same contract has the same customer and beginning, whenever one looks
            ends = dict(zip(_keys(everything), everything.end.tolist(), strict=True))
            now = current(known)
            keys = np.array(_keys(known), dtype=object)[now.spell] if len(now) else []
            for horizon in HORIZONS:
                until = known.as_of + horizon * DAY_MICROSECONDS
                if until > everything.as_of:
                    raise ValueError(
                        f"{horizon} days after {text} are not over at {iso(log.choose_as_of())}"
                    )
                cancelled = np.array([ends[key] < until for key in keys])
                for name, p in predictions(known, horizon).items():
                    rows.append(
                        {
                            "as_of": text,
                            "horizon": horizon,
                            "n": len(now),
                            "model": name,
                            **judged(p, cancelled),
                        }
                    )
    return pd.DataFrame(rows)


def _keys(contracts: Spells) -> list[str]:
    return [
        f"{contracts.customers[c]} {start}"
        for c, start in zip(contracts.customer, contracts.start.tolist(), strict=True)
    ]


def judged(p: Array, cancelled: NDArray[np.bool_]) -> dict[str, float]:
    """Return log loss, AUC, mean gap over deciles, mean of p and the share that came."""
    return {
        "log_loss": metrics.log_loss(cancelled, p),
        "auc": metrics.auc(cancelled, p),
        "calibration": metrics.calibration_error(cancelled, p),
        "mean_p": float(p.mean()),
        "share": float(cancelled.mean()),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, help="the subscriptions as CSV")
    file = parser.parse_args(arguments).file
    if not file.is_file():
        if file != FILE:
            parser.error(
                f"{file} is not there; take the file from the Maven Analytics data playground"
            )
        click.echo(f"{file} is not there: the subscriptions are left out", err=True)
        return
    table = results(file)
    click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    click.echo("\nmeans over the dates")
    means = (
        table.drop(columns=["as_of", "n"])
        .groupby(["horizon", "model"], sort=False)
        .mean()
        .reset_index()
    )
    click.echo(means.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main(sys.argv[1:])

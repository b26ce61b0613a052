"""Simulated logs, and one training on each: what the tests of this folder share.

    rows -> :func:`log_of` -> :func:`trained` -> :func:`scored`

Customers buy at rates of their own and leave at random, so a model has something to learn; some
only visit, some give goods back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stagecast.features.events import EventLog, ReadOptions, from_frame
from stagecast.serving.reports.summary import card
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import Bundle, load_bundle, save_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.panel import Frame
from stagecast.training.train import Training, train

START = datetime(2020, 1, 1, tzinfo=UTC)
Row = tuple[str, datetime, str, float | None]


def day(number: float) -> datetime:
    """Return the instant ``number`` days after the logs begin."""
    return START + timedelta(days=number)


def simulated_rows(
    customers: int, days: int, seed: int, *, prospects: float = 0.25, refunds: float = 0.04
) -> list[Row]:
    """Return the events of customers who arrive over the first 80 % of the log.

    Rates are gamma distributed (mean one order in 30 days), each order is the last one with the
    customer's own probability; a share of ``prospects`` begins with visits, and not all of them
    ever buy.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        name = f"c{k:05d}"
        at = float(random.uniform(0, 0.8 * days))
        rate, leaves = random.gamma(1.2, 1 / 36), random.beta(0.8, 4.0)
        each = random.gamma(4.0, 10.0)
        if random.random() < prospects:
            visits = at + np.sort(random.exponential(12.0, int(random.integers(1, 6))))
            rows += [(name, day(v), "visit", None) for v in visits if v < days]
            at = float(visits[-1])
            if random.random() < 0.5:
                continue
        while at < days:
            amount = round(float(each * random.lognormal(0.0, 0.5)), 2)
            rows.append((name, day(at), "purchase", amount))
            if random.random() < refunds and at + 3 < days:
                rows.append((name, day(at + 3), "refund", round(amount / 2, 2)))
            if random.random() < leaves:
                break
            at += 1.0 + float(random.exponential(1 / rate))
    return rows


def frame_of(rows: Sequence[Row], *, amounts: bool = True) -> pd.DataFrame:
    """Return rows as a frame, without amounts if so told."""
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "amount"])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True).dt.tz_localize(None)
    return frame if amounts else frame.drop(columns="amount")


@contextmanager
def log_of(rows: Sequence[Row] | pd.DataFrame, *, amounts: bool = True) -> Iterator[EventLog]:
    """Give the checked log of some rows; every one of them is sound and kept."""
    frame = rows if isinstance(rows, pd.DataFrame) else frame_of(rows, amounts=amounts)
    with from_frame(frame, ReadOptions(duplicates="keep")) as log:
        if log.report.rows_loaded != len(frame):
            raise ValueError(
                f"{log.report.rows_rejected} simulated rows were refused: "
                f"{log.report.rejected_by_reason}"
            )
        yield log


@dataclass(frozen=True)
class Trained:
    """A training with the bundle that was saved of it."""

    training: Training
    bundle: Bundle
    folder: Path
    as_of: datetime

    def reloaded(self) -> Bundle:
        return load_bundle(self.folder)

    def scores(self) -> pa.Table:
        """Return the scores of the training's own snapshot, by the bundle that was saved."""
        return Scorer(self.reloaded()).score(self.training.panel.now, self.training.data_cutoff)


@contextmanager
def unevaluated() -> Iterator[None]:
    """Leave the evaluation out of trainings, which fits all models once or twice more.

    The models are the same but for their intervals, which are learned from it: enough for a test
    that reads neither.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stagecast.training.train._train_earlier", lambda *given: None)
        yield


def trained(
    rows: Sequence[Row] | pd.DataFrame,
    folder: Path,
    as_of: datetime,
    config: TrainConfig | None = None,
    *,
    amounts: bool = True,
    threads: int | None = None,
    evaluated: bool = True,
) -> Trained:
    """Train on a log and save the bundle into ``folder``; ``threads`` are DuckDB's.

    With ``evaluated=False`` it is done :func:`unevaluated`.
    """
    with log_of(rows, amounts=amounts) as log, nullcontext() if evaluated else unevaluated():
        if threads is not None:
            log.con.execute(f"set threads = {threads}")
        training = train(log.con, as_of, config or TrainConfig())
    return Trained(
        training,
        save_bundle(folder, training.models, as_of, training.data_cutoff, card(training)),
        folder,
        as_of,
    )


def check_contract(table: pa.Table) -> None:
    """Fail where scores break what the contract says of every row: nulls, sums, ranges, order of
    the ends.
    """
    for field in table.schema:
        column = table[field.name]
        assert field.nullable or column.null_count == 0, field.name
        if pa.types.is_floating(field.type):
            known = column.drop_null().to_numpy()
            assert np.isfinite(known).all(), field.name
    rows = table.to_pandas()
    stages = [name for name in table.column_names if name.startswith("p_stage_")]
    assert np.abs(rows[stages].sum(axis=1) - 1).max() <= 1e-12
    assert (rows[stages] >= 0).all(axis=None)
    buyers = rows["state"] != "prospect"
    assert (rows["p_inactive"].notna() == buyers).all()
    assert (rows["p_convert"].notna() == ~buyers).all()
    for name in ("p_inactive", "churn_probability", "p_return", "p_convert"):
        known = rows[name].dropna()
        assert ((known > 0) & (known < 1)).all(), name
    assert (rows["churn_probability"].notna() == (rows["state"] == "active")).all()
    assert (rows["expected_orders"] > 0).all()
    for name in ("expected_spend", "clv"):
        known = rows.dropna(subset=[f"{name}_low"])
        assert (known[f"{name}_low"] >= 0).all()
        assert (known[f"{name}_low"] <= known[name]).all()
        assert (known[name] <= known[f"{name}_high"]).all()
    sides = rows["reasons"].map(lambda mine: [reason["direction"] for reason in mine])
    assert sides.map(lambda mine: mine.count("raises")).max() <= 3
    assert sides.map(lambda mine: mine.count("lowers")).max() <= 2
    effects = rows["reasons"].map(lambda mine: sum(r["effect"] or 0.0 for r in mine))
    total = (rows["risk_base"] + rows["risk_rest"] + effects).dropna()
    risk = np.clip(rows["p_inactive"][total.index], 1e-9, 1 - 1e-9)
    assert np.allclose(1 / (1 + np.exp(-total)), risk, atol=1e-9)


def a_frame(
    columns: Mapping[str, Sequence[float]],
    *,
    orders: Sequence[float],
    spend: Sequence[float] | None = None,
    stage: Sequence[int] | None = None,
    stage_after: Sequence[int] | None = None,
    back: int = 90,
) -> Frame:
    """Return a frame of the panel with these columns and outcomes; the rest is 0."""
    rows = len(orders)
    return Frame(
        as_of=START,
        back=back,
        customer=np.arange(rows),
        columns={name: np.asarray(values, dtype=np.float64) for name, values in columns.items()},
        stage=np.zeros(rows, dtype=np.int64)
        if stage is None
        else np.asarray(stage, dtype=np.int64),
        orders=np.asarray(orders, dtype=np.float64),
        spend=np.zeros(rows) if spend is None else np.asarray(spend, dtype=np.float64),
        stage_after=np.zeros(rows, dtype=np.int64)
        if stage_after is None
        else np.asarray(stage_after, dtype=np.int64),
        silent=np.zeros(rows, dtype=np.int64)
        if stage is None
        else np.asarray(stage, dtype=np.int64),
    )

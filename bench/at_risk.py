"""Value at risk and value gone against customers whose truth is known: ``python -m bench.at_risk``.

For each kind of business `stagecast run` sees the log before the as_of. Judged are the totals of
the two parts, and how well each ranks the customers, against simple rankings: churn times clv,
churn times the spend of the last year or of a year, clv alone, and the longest silence among the
best fifth by spend. The ranges of clv are judged on what came in the year, within fifths of clv and
within stages. Exits with 1 where a total is more than a tenth off on average over the draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from bench.at_risk_customers import BUSINESSES, Truth, draw
from bench.ranges import by_group, fifths
from stagecast.features.arrays import Array
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving import pipeline
from stagecast.serving.runs.files import SCORES
from stagecast.training.config import TrainConfig
from stagecast.training.learners import metrics

CUSTOMERS, SEEDS = 4_000, (1, 2, 3)
SHARES = (0.02, 0.05, 0.10)
OFF = 0.10
COLUMNS = [
    "customer_id", "p_inactive", "clv", "clv_low", "clv_high", "value_at_risk", "value_gone",
    "spend", "tenure_days", "recency_days", "stage",
]  # fmt: skip


def scores_of(truth: Truth, kind: str) -> pd.DataFrame:
    """Return the scores of the customers of the truth, one row each, in its order."""
    churn = "cancellation" if kind == "contracts" else "inactivity"
    config = TrainConfig(horizon_days=90, churn=churn)
    with (
        TemporaryDirectory() as folder,
        from_frame(truth.log, ReadOptions(duplicates="keep")) as log,
    ):
        done = pipeline.run(
            log, Path(folder) / "run", config, as_of=truth.as_of.to_pydatetime().replace(tzinfo=UTC)
        )
        scores = pq.read_table(done.folder / SCORES, columns=COLUMNS).to_pandas()
    return scores.set_index("customer_id").reindex(truth.customer)


def simple_rankings(scores: pd.DataFrame, truth: Truth) -> dict[str, Array]:
    """Return what one would rank by without a model of leaving, shape (n,) each."""
    log = truth.log
    recent = log[log["timestamp"] >= truth.as_of - pd.Timedelta(days=365)]
    last_year = recent.groupby("customer_id")["amount"].sum().reindex(scores.index).fillna(0.0)
    churn, clv = scores["p_inactive"], scores["clv"]
    a_year = scores["spend"] / np.maximum(scores["tenure_days"], 30.0) * 365.0
    best = scores["spend"] >= scores["spend"].quantile(0.8)
    rankings = {
        "churn x clv": churn * clv,
        "churn x last year": churn * last_year,
        "churn x spend a year": churn * a_year,
        "clv": clv,
        "silence of the best fifth": scores["recency_days"] * best,
    }
    return {name: values.fillna(0.0).to_numpy(float) for name, values in rankings.items()}


def figures(score: Array, truth: Array) -> dict[str, float]:
    """Return the rank correlation with the truth, and the share of it that each first part has."""
    order = np.argsort(-score, kind="stable")
    first = {
        f"first {share:.0%}": float(truth[order[: int(share * len(order))]].sum() / truth.sum())
        for share in SHARES
    }
    return {"rank": metrics.rank_correlation(score, truth), **first}


def judge(kind: str, seed: int, customers: int) -> list[dict[str, object]]:
    """Return a row for each part and ranking of one draw."""
    truth = draw(kind, customers, seed)
    scores = scores_of(truth, kind)
    rows: list[dict[str, object]] = []
    simple = simple_rankings(scores, truth)
    parts: Mapping[str, tuple[str, Array]] = {
        "at risk": ("value_at_risk", truth.lost), "gone": ("value_gone", truth.gone)
    }  # fmt: skip
    for part, (column, true) in parts.items():
        if not true.any():
            continue
        ours = scores[column].fillna(0.0).to_numpy(float)
        total = ours.sum() / true.sum() - 1.0
        for name, score in {"stagecast": ours, **simple}.items():
            is_ours = name == "stagecast"
            rows.append(
                {"kind": kind, "seed": seed, "part": part, "ranking": name,
                 **figures(score, true), "total": total if is_ours else np.nan}
            )  # fmt: skip
    clv = scores["clv"].to_numpy(float)
    low, high = (scores[f"clv_{end}"].to_numpy(float) for end in ("low", "high"))
    click.echo(f"{kind} {seed}: clv {clv.sum() / truth.spent.sum() - 1.0:+.1%} of what came")
    for name, group in (("fifths", fifths(clv)), ("stages", scores["stage"].to_numpy(str))):
        table = by_group(group, truth.spent, clv, low, high)
        click.echo(f"  ranges of clv by {name}\n{table.to_string(index=False)}")
    return rows


def main() -> int:
    """Judge every kind, and print the means over the draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=BUSINESSES, action="append")
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    rows = [
        row
        for kind in options.kind or BUSINESSES
        for seed in options.seeds
        for row in judge(kind, seed, options.customers)
    ]
    table = pd.DataFrame(rows).drop(columns="seed")
    means = table.groupby(["kind", "part", "ranking"], sort=False).mean().round(3)
    click.echo(means.to_string())
    return int((means["total"].abs() > OFF).any())


if __name__ == "__main__":
    sys.exit(main())

"""Plans for many customers: ``python -m bench.plans [--customers 1000000]``.

Scores are drawn at random and inserted into an SQLite store; a plan with equal and with unequal
costs, with and without a budget, is worked out, each in a process of its own. What is printed is
the processor time of the plan and the peak memory of its process.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.store.publishing import scheme_to_json
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.terms import Costs, Effects, Terms

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
EFFECTS = Effects(0.1, 0.1)
CASES = {
    "equal costs": Terms(costs=Costs(contact=0.5), effects=EFFECTS),
    "equal costs, budget": Terms(costs=Costs(contact=0.5), effects=EFFECTS, budget=50_000.0),
    "unequal costs": Terms(costs=Costs(0.5, 1.0), effects=EFFECTS),
    "unequal costs, budget": Terms(costs=Costs(0.5, 1.0), effects=EFFECTS, budget=50_000.0),
    "unequal costs, budget, contacts": Terms(
        costs=Costs(0.5, 1.0), effects=EFFECTS, budget=50_000.0, contacts=50_000
    ),
}


def rows(customers: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows of the table ``scores``, half of them of lapsed customers."""
    rng = np.random.default_rng(1)
    lapsed = (rng.random(customers) < 0.5).tolist()
    p_inactive = rng.beta(4, 2, customers).tolist()
    clv = rng.gamma(1.2, 80.0, customers).tolist()
    for k in range(customers):
        p, value = p_inactive[k], clv[k]
        yield (
            1,
            f"c{k:08d}",
            "lapsed" if lapsed[k] else "active",
            "lost" if lapsed[k] else "at_risk",
            None if lapsed[k] else ("low", "medium", "high")[int(2.99 * p)],
            p,
            "lost",
            None if lapsed[k] else p * value / 4,
            value / 3,
            value,
            1.1 - p,
            value / 4,
            400.0,
            3,
            "blend",
        )


def fill(path: Path, customers: int) -> None:
    """Make a store with one run of many customers."""
    store = Store.open(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        connection.execute(
            runs.insert().values(
                **dict.fromkeys(("as_of", "data_cutoff", "created_at", "published_at"), AS_OF),
                **dict.fromkeys(("model_version", "model_path"), "bench"),
                horizon_days=90,
                scheme_id="retail",
                scheme=scheme_to_json(load_scheme("retail")),
                customers=customers,
            )
        )
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma synchronous=off")
        connection.executemany(
            "insert into scores (run_id, customer_id, state, stage, churn_band, p_inactive, "
            "next_stage, value_at_risk, value_gone, clv, expected_orders, expected_spend, "
            f"tenure_days, orders, method) values ({', '.join('?' * 15)})",
            rows(customers),
        )
    connection.close()


def measure(path: Path, case: str) -> dict[str, Any]:
    """Work out a plan, and return its figures with the seconds and the memory that it took."""
    store = Store.open(f"sqlite:///{path}")
    run = store.current_run()
    if run is None:
        raise SystemExit("the store has no scores")
    begin = time.process_time()
    forecast = PlanBook(store.engine).propose(run, CASES[case]).forecast
    seconds = time.process_time() - begin
    store.close()
    expected = forecast.contacts.gain + forecast.holdout_cost
    return {
        "seconds": round(seconds, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "contacts": forecast.contacts.contacts,
        "of_bound": round(expected / forecast.bound, 6),
    }


def main() -> None:
    """Print a line of each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--case", nargs=2, metavar=("STORE", "CASE"))
    arguments = parser.parse_args()
    if arguments.case:
        click.echo(json.dumps(measure(Path(arguments.case[0]), arguments.case[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stagecast.db"
        fill(path, arguments.customers)
        for case in CASES:
            command = [sys.executable, "-m", "bench.plans", "--case", str(path), case]
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
            result = json.loads(ran.stdout)
            click.echo(
                f"{case:<32} {result['seconds']:6.1f} s of processor, "
                f"{result['megabytes']:,} MB, {result['contacts']:,} contacts, "
                f"{result['of_bound']:.4%} of the bound"
            )


if __name__ == "__main__":
    main()

"""Every speed that is claimed, as a ratio to a peer in the same run: ``python -m bench [--customers
100000]``.

    simulated log -> customer-base fit | batch of scores | one score over HTTP | memory

Features have a bench of their own, :mod:`bench.features`. The log is drawn from BG/NBD with CDNOW's
parameters, so it has the shape of a real one and any size. Each figure is the best of a few
repetitions; the two sides of a ratio are measured one after the other, so that what else runs on
the machine meets both. A ratio below 1 means that stagecast takes less.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi import FastAPI, Request

from bench.simulation import AS_OF, START, simulate
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import day_number
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog, ReadOptions, from_frame
from stagecast.features.stages.thresholds import catalog_parameters, derive
from stagecast.serving.commands.console import table

TRAINING_CUSTOMERS = 5_000
RFM = ("frequency", "t_x_days", "T_days", "monetary")


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, our figure and the peer's, and what the peer is."""

    what: str
    ours: float
    peer: float
    unit: str
    peer_is: str

    def cells(self) -> list[str]:
        figures = [f"{value:,.3g} {self.unit}" for value in (self.ours, self.peer)]
        return [self.what, *figures, f"{self.ours / self.peer:.2f}", self.peer_is]


def read(frame: pd.DataFrame) -> EventLog:
    """Return the frame as a log; in a simulation the same row twice is two purchases."""
    return from_frame(frame, ReadOptions(duplicates="keep"))


def best(function: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """Return the shortest of a few durations in seconds, and the last result."""
    shortest, result = float("inf"), None
    for _ in range(times):
        began = time.perf_counter()
        result = function()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest, result


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what lifetimes prints and warns of to itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def catalogues(log: EventLog) -> tuple[Catalog, Catalog]:
    """Return the whole catalogue, and the part of it that RFM needs."""
    days = DailyTable(log.con, AS_OF).purchase_days()
    thresholds = derive(days, day_number(AS_OF))
    whole = standard(90).with_parameters(**catalog_parameters(thresholds))
    needed = {"orders", "first_day", "last_day", "spend_first", "spend", *RFM}
    return whole, Catalog(tuple(f for f in whole.features if f.name in needed), whole.parameters)


def features_of(log: EventLog, catalog: Catalog) -> dict[str, np.ndarray]:
    """Return the features of every customer, from the events on."""
    return DailyTable(log.con, AS_OF).features(catalog, [0])


def lifetimes_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return lifetimes' frequency, recency, T and monetary value."""
    with quiet():
        from lifetimes.utils import summary_data_from_transaction_data

        summary: pd.DataFrame = summary_data_from_transaction_data(
            frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None)),
            "customer_id",
            "timestamp",
            "amount",
            observation_period_end=AS_OF.replace(tzinfo=None),
            freq="D",
        )
    return summary


def fit_line(snapshot: dict[str, np.ndarray]) -> Line:
    """Measure a customer-base fit on all customers."""
    from stagecast.training.learners.btyd import Model
    from stagecast.training.learners.btyd.fit import fit

    x, t_x, T = (snapshot[name] for name in RFM[:3])

    def plain() -> Any:
        with quiet():
            from lifetimes import BetaGeoFitter

            return BetaGeoFitter().fit(x, t_x, T)

    fit("bg_nbd", x[:500], t_x[:500], T[:500])  # nor is it here
    ours, model = best(lambda: fit("bg_nbd", x, t_x, T), 1)
    peer, other = best(plain, 1)
    r, alpha, a, b = (float(other.params_[name]) for name in ("r", "alpha", "a", "b"))
    theirs = Model("bg_nbd", (r, alpha, a, b), 0.0, len(x)).log_likelihood_of(x, t_x, T).sum()
    reached = float(model.log_likelihood - theirs)
    return Line(
        f"BG/NBD fit (log-likelihood {reached:+.2f})",
        ours,
        peer,
        "s",
        "lifetimes BetaGeoFitter, row by row",
    )


def trained(folder: Path) -> Any:
    """Return a scorer of a model that was trained on a small simulated log."""
    from stagecast.serving.scoring.scorer import load_scorer
    from stagecast.training.bundle import save_bundle
    from stagecast.training.config import TrainConfig
    from stagecast.training.train import train

    with read(simulate(TRAINING_CUSTOMERS, seed=1)) as log:
        done = train(log.con, AS_OF, TrainConfig())
    save_bundle(folder, done.models, AS_OF, done.data_cutoff, {})
    return load_scorer(folder, threads=0)


def batch_line(scorer: Any, log: EventLog) -> Line:
    """Measure a batch of whole scores, reasons included."""
    from stagecast.serving.scoring.batch import snapshot
    from stagecast.training.columns import buyer_columns

    now, cutoff = snapshot(log, scorer.bundle, AS_OF)
    ours, scores = best(lambda: scorer.score(now, cutoff), 1)
    models = scorer.bundle.models
    columns = buyer_columns(now.features, np.flatnonzero(now.buyers), models.base, 90)
    rows = models.churn.trees.matrix(columns)
    peer, _ = best(lambda: models.churn.trees.booster.predict(rows, num_threads=2))
    return Line(
        f"{scores.num_columns} columns of a score, per 1,000",
        ours / len(now) * 1e6,
        peer / len(now) * 1e6,
        "ms",
        "Booster.predict of the churn trees alone",
    )


def own_service(scorer: Any) -> Any:
    """Return the service that one writes in ten lines: features in the body, one probability in
    the answer.
    """
    trees = scorer.bundle.models.churn.trees
    app = FastAPI()

    @app.post("/v1/score")
    async def score(request: Request) -> dict[str, float]:
        row = np.array([(await request.json())["features"]])
        return {"probability": float(trees.booster.predict(row, num_threads=1)[0])}

    return app


def durations(app: Any, body: dict[str, Any], requests: int) -> list[float]:
    """Return how long each request took, in ms; in this process and without a socket."""
    import httpx

    async def ask() -> list[float]:
        taken = []
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport) as client,
        ):
            for _ in range(requests):
                began = time.perf_counter()
                answer = await client.post("http://127.0.0.1/v1/score", json=body)
                taken.append((time.perf_counter() - began) * 1e3)
                answer.raise_for_status()
        return taken[20:]  # the first few meet cold caches

    return asyncio.run(ask())


def request_lines(scorer: Any, folder: Path, requests: int = 300) -> list[Line]:
    """Measure POST /v1/score with one customer of ten purchases."""
    from stagecast.serving.http.app import create_app
    from stagecast.serving.settings import Settings
    from stagecast.serving.store.store import Store

    scorer.threads = 1
    events = [
        {"timestamp": (START + timedelta(days=40 * k)).isoformat(), "amount": 20.0 + k}
        for k in range(10)
    ]
    body = {"as_of": AS_OF.isoformat(), "customers": [{"customer_id": "a", "events": events}]}
    # a store in memory is another one in each thread
    store = Store.open(f"sqlite:///{folder / 'bench.db'}")
    ours = durations(
        create_app(Settings(model=Path("loaded")), scorer_loader=lambda _: scorer, store=store),
        body,
        requests,
    )
    store.close()
    columns = len(scorer.bundle.models.churn.trees.columns)
    peer = durations(own_service(scorer), {"features": [0.0] * columns}, requests)
    return [
        Line(
            f"POST /v1/score of one customer, p{share:.0%}".rstrip("%"),
            float(np.quantile(ours, share)),
            float(np.quantile(peer, share)),
            "ms",
            "a bare FastAPI route with Booster.predict of given features",
        )
        for share in (0.5, 0.99)
    ]


def peak_mb(side: str, customers: int) -> float:
    """Return the peak memory in MB of a process that makes the log and the RFM of every
    customer.
    """
    frame = simulate(customers)
    if side == "ours":
        with read(frame) as log:
            features_of(log, catalogues(log)[0])
    else:
        lifetimes_summary(frame)
    status = Path("/proc/self/status")
    if status.is_file():  # unlike ru_maxrss, it knows nothing of the process that started this one
        return float(re.findall(r"VmHWM:\s+(\d+)", status.read_text("utf-8"))[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_line(customers: int) -> Line:
    """Measure peak memory, each side in a process of its own."""

    def alone(side: str) -> float:
        command = [sys.executable, "-m", "bench", "--peak", side, "--customers", str(customers)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return Line(
        "peak memory, log to features",
        alone("ours"),
        alone("peer"),
        "MB",
        "lifetimes summary, RFM only",
    )


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--customers", type=int, default=100_000, help="size of the simulated log (default 100,000)"
    )
    parser.add_argument(
        "--peak",
        choices=["ours", "peer"],
        help="print the peak memory in MB of one side, and no more",
    )
    chosen = parser.parse_args()
    customers = chosen.customers
    if chosen.peak is not None:
        sys.stdout.write(f"{peak_mb(chosen.peak, customers)}\n")
        return
    began = time.monotonic()
    frame = simulate(customers)
    with read(frame) as log, tempfile.TemporaryDirectory(prefix="stagecast-bench-") as folder:
        sys.stdout.write(f"{customers:,} customers, {len(frame):,} purchases, simulated\n\n")
        _, rfm = catalogues(log)
        lines = [fit_line(features_of(log, rfm))]
        scorer = trained(Path(folder) / "model")
        lines += [batch_line(scorer, log), *request_lines(scorer, Path(folder))]
        lines.append(memory_line(customers))
    rows = [
        ["what", "stagecast", "peer", "ratio", "the peer is"],
        *(line.cells() for line in lines),
    ]
    sys.stdout.write("\n".join(table(rows, {1, 2, 3})) + f"\n\n{time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()

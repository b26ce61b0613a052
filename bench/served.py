"""The server over sockets, beside `mlflow models serve`: ``python -m bench.served [--rounds 5]``.

    30 raw events of one customer -> stagecast serve: 1, 8 and 32 clients, with reasons and without
    1,000 customers in a body, 50 customers with reasons
    ready-made features           -> mlflow models serve of the three boosters of the same bundle

Each server is one worker in a process of its own on one thread of LightGBM; the clients are a third
process's (:mod:`bench.clients`). The sides alternate. Times by the clock hold on a quiet machine
alone; processor time per request, and the ratios of it, hold on a busy one too.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.clients import Load, load, processor_seconds, request_of, resident_mb
from bench.requests import bodies
from stagecast.serving.commands.console import table
from stagecast.serving.scoring.scorer import load_scorer
from tests.waiting import free_port

ROOT = Path(__file__).parents[1]
READY_SECONDS = 300.0


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Parameters
    ----------
    pid, port
        Its process, and where it listens.
    ready_seconds, ready_processor
        From its start until it was ready: by the clock, and processor time with its children.
    """

    pid: int
    port: int
    ready_seconds: float
    ready_processor: float


@dataclass
class Side:
    """A kind of request, and what was measured of it."""

    name: str
    server: Server
    requests: Sequence[bytes]
    clients: int
    count: int
    customers: int = 1
    loads: list[Load] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Send the requests once."""
        begin = processor_seconds(self.server.pid)
        result = asyncio.run(load(self.server.port, self.requests, self.clients, self.count))
        spent = processor_seconds(self.server.pid) - begin
        self.loads.append(result)
        self.processor.append(spent / len(result.latencies) / self.customers * 1e3)

    @property
    def per_second(self) -> float:
        """Customers per second by the clock, the median over the rounds."""
        return float(np.median([load.per_second for load in self.loads])) * self.customers

    def row(self, peer: float) -> list[str]:
        """Return the cells of the table; medians over the rounds."""
        middle = float(np.median(self.processor))
        p50, p99 = (
            float(np.median([load.percentile(percent) for load in self.loads]))
            for percent in (50, 99)
        )
        figures = [f"{min(self.processor):.3f} ms", f"{middle:.3f} ms", f"{peer / middle:.2f}"]
        return [self.name, *figures, f"{self.per_second:,.0f}", f"{p50:.1f} ms", f"{p99:.1f} ms"]


@contextmanager
def serving(command: Sequence[str], port: int, path: str) -> Iterator[Server]:
    """Run a server until it is not needed any more.

    Parameters
    ----------
    command
        Starts it.
    port
        Where it listens then.
    path
        What answers 200 when it is ready.
    """
    # MLflow looks for uvicorn on the path
    path_of_programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path_of_programs}
    begin = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not _is_ready(port, path):
            if process.poll() is not None or time.monotonic() - begin > READY_SECONDS:
                raise RuntimeError(f"{command[1:4]} does not serve")
            time.sleep(0.01)
        seconds = time.monotonic() - begin
        pid = _listener(process.pid)
        spent = sum(processor_seconds(number) for number in {process.pid, pid})
        yield Server(pid, port, seconds, spent)
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _listener(pid: int) -> int:
    """Return the last of the processes that a process has started, or itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _listener(int(children[-1])) if children else pid


def mlflow_folder(scorer: Any, folder: Path) -> tuple[Path, bytes]:
    """Return a model of MLflow with the boosters of a scorer, and a body of ready-made columns."""
    import mlflow

    models = scorer.bundle.models
    ensembles = [
        trees
        for trees in (
            models.churn.trees,
            models.next_stage.trees,
            models.value.orders.trees,
        )
        if trees is not None
    ]
    artifacts = {}
    for number, trees in enumerate(ensembles):
        path = folder / f"booster-{number}.txt"
        path.write_text(trees.text)
        artifacts[f"booster{number}"] = str(path)
    mlflow.pyfunc.save_model(
        folder / "mlflow", python_model=str(ROOT / "bench/mlflow_boosters.py"), artifacts=artifacts
    )
    names = sorted({name for trees in ensembles for name in trees.columns})
    row = {"columns": names, "data": [[float(k % 7) for k in range(len(names))]]}
    return folder / "mlflow", json.dumps({"dataframe_split": row}).encode()


def sides_of(own: Server, peer: Server, body: bytes) -> list[Side]:
    """Return what is measured; first the peer."""
    without, with_reasons = "/v1/score?reasons=false", "/v1/score"
    single, fifty, thousand = bodies(40), bodies(4, 50), bodies(1, 1_000)
    features = [request_of("/invocations", body)]

    def of(path: str, contents: Sequence[bytes]) -> list[bytes]:
        return [request_of(path, content) for content in contents]

    return [
        *(
            Side(f"mlflow models serve, {clients} clients", peer, features, clients, count)
            for clients, count in ((1, 200), (8, 400), (32, 640))
        ),
        *(
            Side(f"stagecast, {clients} clients", own, of(without, single), clients, count)
            for clients, count in ((1, 400), (8, 800), (32, 1_600))
        ),
        *(
            Side(f"with reasons, {clients} clients", own, of(with_reasons, single), clients, count)
            for clients, count in ((1, 200), (32, 640))
        ),
        Side("50 customers with reasons", own, of(with_reasons, fifty), 1, 8, 50),
        Side("1,000 customers in a body", own, of(without, thousand), 1, 4, 1_000),
    ]


def capacities(sides: Sequence[Side]) -> str:
    """Return a sentence on the requests that each server answers at most, without reasons.

    Each is asked by the number of clients at which it answers most.
    """
    peer = max(sides[:3], key=lambda side: side.per_second)
    own = max(sides[3:6], key=lambda side: side.per_second)
    return (
        f"most requests per second: {own.per_second:,.0f} ({own.name}), "
        f"{peer.per_second:,.0f} ({peer.name}): {own.per_second / peer.per_second:.1f} times"
    )


def main() -> None:
    """Measure and print the tables."""
    from bench.__main__ import trained

    parser = argparse.ArgumentParser(prog="python -m bench.served")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parser.add_argument("--model", type=Path, help="a bundle; default: one is trained")
    chosen = parser.parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        scorer = trained(folder / "model") if chosen.model is None else load_scorer(chosen.model)
        bundle = chosen.model or folder / "model"
        model, body = mlflow_folder(scorer, folder)
        port = free_port()
        command = ["stagecast", "serve", "--model", str(bundle), "--port", str(port)]
        store = ["--store", str(folder / "bench.db")]
        own = stack.enter_context(serving([python, "-m", *command, *store], port, "/readyz"))
        port = free_port()
        command = ["mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
        options = ["--workers", "1", "--port", str(port)]
        peer = stack.enter_context(serving([python, "-m", *command, *options], port, "/ping"))
        before = resident_mb(own.pid)
        sides = sides_of(own, peer, body)
        for number in range(chosen.rounds + 1):
            for side in sides:
                side.measure()
                if not number:  # the first round meets cold caches
                    side.loads.clear()
                    side.processor.clear()
        after = resident_mb(own.pid), resident_mb(peer.pid)
    head = ["processor time per customer", "least", "median", "mlflow / this", "customers/s"]
    rows = [[*head, "p50", "p99"]]
    middles = {side.clients: float(np.median(side.processor)) for side in sides[:3]}
    rows += [side.row(middles[side.clients]) for side in sides]
    sys.stdout.write("\n".join(table(rows, {1, 2, 3, 4, 5, 6})) + "\n\n")
    sys.stdout.write(f"{capacities(sides)}\n")
    for title, server in (("stagecast serve", own), ("mlflow models serve", peer)):
        sys.stdout.write(
            f"{title}: ready after {server.ready_seconds:.1f} s, of which {os.cpu_count()} cores "
            f"worked {server.ready_processor:.1f} s\n"
        )
    sys.stdout.write(
        f"memory: {before:.0f} MB when ready, {after[0]:.0f} MB after the requests; "
        f"mlflow models serve {after[1]:.0f} MB\n"
    )


if __name__ == "__main__":
    main()

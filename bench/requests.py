"""Requests for scores: ``python -m bench.requests [--rounds 20]``.

    30 raw events of one customer -> POST /v1/score?reasons=false | the same of 8 and 32 at once
    ready-made features           -> a bare route | the application of `mlflow models serve`

Each side is an ASGI application that is called in this process without a socket, in turns, so that
what else runs on the machine meets all of them. Figures are processor time per request, which a
busy machine changes less than the time by the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.simulation import AS_OF, START
from stagecast.serving.commands.console import table

EVENTS, BODIES = 30, 40
KINDS = ("purchase", "visit", "email_open")


def bodies(count: int, customers: int = 1, seed: int = 5) -> list[bytes]:
    """Return bodies with customers of 30 events each, a third of them purchases."""
    draw = np.random.default_rng(seed)

    def event(number: int) -> dict[str, Any]:
        at = START + timedelta(seconds=int(draw.uniform(0, 500 * 86_400)))
        kind = KINDS[number % len(KINDS)]
        amount = {"amount": round(float(draw.gamma(2.0, 20.0)), 2)} if kind == "purchase" else {}
        return {"timestamp": at.isoformat().replace("+00:00", "Z"), "event": kind, **amount}

    return [
        json.dumps(
            {
                "as_of": AS_OF.isoformat(),
                "customers": [
                    {"customer_id": f"c{k}", "events": [event(n) for n in range(EVENTS)]}
                    for k in range(customers)
                ],
            }
        ).encode()
        for _ in range(count)
    ]


async def call(app: Any, path: str, body: bytes) -> bytes:
    """Send a body to an application, and return the body of the answer."""
    content, status = bytearray(), 0
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        content.extend(message.get("body", b""))

    target, _, query = path.partition("?")
    headers = {"host": "127.0.0.1", "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [
            *((name.encode(), value.encode()) for name, value in headers.items()),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }
    await app(scope, receive, send)
    if status != 200:
        raise RuntimeError(f"{path} answered {status}: {bytes(content[:300])!r}")
    return bytes(content)


def bare_application() -> Starlette:
    """Return the least that an application does: a body decoded, an object encoded."""

    async def route(request: Request) -> Response:
        decoded = msgspec.json.decode(await request.body())
        content = msgspec.json.encode({"customers": len(decoded["customers"])})
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/v1/score", route, methods=["POST"])])


def mlflow_application(booster: Any, folder: Path) -> Any:
    """Return what `mlflow models serve` runs, with one booster on ready-made features."""
    import mlflow
    from mlflow.pyfunc.scoring_server import init

    mlflow.lightgbm.save_model(booster, str(folder))
    return init(mlflow.pyfunc.load_model(str(folder)))


def own_application(scorer: Any, folder: Path) -> Any:
    """Return our server with a scorer and an empty store."""
    from stagecast.serving.http.app import create_app
    from stagecast.serving.settings import Settings

    settings = Settings(model=folder, store=f"sqlite:///{folder / 'bench.db'}")
    return create_app(settings, scorer_loader=lambda _: scorer)


async def measured(scorer: Any, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the processor time per request or customer of each side, in ms, one per round."""
    own, bare, single = own_application(scorer, folder), bare_application(), bodies(BODIES)
    many = bodies(1, customers=1_000)[0]
    trees = scorer.bundle.models.churn.trees
    row = {"columns": list(trees.columns), "data": [[0.0] * len(trees.columns)]}
    features = json.dumps({"dataframe_split": row}).encode()
    peer = mlflow_application(trees.booster, folder / "mlflow")
    hot = "/v1/score?reasons=false"

    async def one_after_the_other(app: Any, path: str, contents: list[bytes]) -> int:
        for content in contents:
            await call(app, path, content)
        return len(contents)

    async def at_once(count: int) -> int:
        await asyncio.gather(*(call(own, hot, content) for content in single[:count]))
        return count

    async def thousand() -> int:
        await call(own, hot, many)
        return 1_000

    sides: dict[str, Callable[[], Awaitable[int]]] = {
        "a bare route": lambda: one_after_the_other(bare, "/v1/score", single),
        "mlflow": lambda: one_after_the_other(peer, "/invocations", [features] * 10),
        "one client": lambda: one_after_the_other(own, hot, single),
        "one client, with reasons": lambda: one_after_the_other(own, "/v1/score", single[:10]),
        "8 at once": lambda: at_once(8),
        "32 at once": lambda: at_once(32),
        "1,000 customers in a body": thousand,
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    async with own.router.lifespan_context(own):
        for number in range(rounds + 1):
            for name, side in sides.items():
                began = time.process_time()
                count = await side()
                if number:  # the first round meets cold caches
                    taken[name].append((time.process_time() - began) / count * 1e3)
    return taken


def main() -> None:
    """Measure and print the table."""
    from bench.__main__ import trained

    parser = argparse.ArgumentParser(prog="python -m bench.requests")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each side (default 20)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = Path(name) / "model"
        scorer = trained(folder)
        scorer.threads = 1
        taken = asyncio.run(measured(scorer, folder, rounds))
    bare, peer = (float(np.median(taken[name])) for name in ("a bare route", "mlflow"))
    rows = [["processor time per customer", "least", "median", "bare routes", "mlflow / this"]]
    for side, values in taken.items():
        middle = float(np.median(values))
        figures = [f"{min(values):.3f} ms", f"{middle:.3f} ms"]
        rows.append([side, *figures, f"{middle / bare:.1f}", f"{peer / middle:.2f}"])
    sys.stdout.write("\n".join(table(rows, {1, 2, 3, 4})) + "\n")


if __name__ == "__main__":
    main()

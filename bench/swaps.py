"""Swap the model of a server again and again while it answers: ``python -m bench.swaps``.

a link that is turned between two bundles      -> the server that follows it
clients that wait for their answers, no pause  -> each answer is held to the score that the
                                                  version which it names gives without a server
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.served import serving
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.training.config import TrainConfig
from tests.training.made import day, simulated_rows, trained
from tests.waiting import free_port

CUSTOMERS, DAYS, ASKED = 1_200, 730, 300
AS_OF = day(DAYS + 1)
SWAP_SECONDS = 120.0
Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Version of a model -> id of a customer -> score, without the warnings."""


@dataclass
class Answered:
    """What clients saw.

    Parameters
    ----------
    versions
        Version of a model -> right answers by it.
    problems
        What was wrong, at most a few of each client.
    wrong
        How many answers were no 200, or other scores.
    """

    versions: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    wrong: int = 0

    def refuse(self, problem: str) -> None:
        """Count a wrong answer."""
        self.wrong += 1
        if len(self.problems) < 3:
            self.problems.append(problem)


def customers() -> list[CustomerEvents]:
    """Return customers whom no model has seen."""
    events: dict[str, list[Event]] = {}
    for name, at, kind, amount in simulated_rows(ASKED, DAYS, seed=99):
        events.setdefault(name, []).append(Event(at, kind, amount))
    return [CustomerEvents(name, tuple(own)) for name, own in events.items()]


def body_of(customer: CustomerEvents) -> bytes:
    """Return the body of a request for the score of a customer."""
    events = [
        {"timestamp": event.timestamp, "event": event.event}
        | ({} if event.amount is None else {"amount": event.amount})
        for event in customer.events
    ]
    asked = {"customer_id": customer.customer_id, "events": events}
    return msgspec.json.encode({"as_of": AS_OF, "customers": [asked]})


def offline(models: Sequence[Path], asked: Sequence[CustomerEvents]) -> Scores:
    """Return the scores of all customers by each bundle, in one batch without a server."""
    scores = {}
    for model in models:
        scorer = load_scorer(model)
        rows = scorer.score_objects(asked, AS_OF, with_reasons=False)
        rows = json.loads(msgspec.json.encode(rows))
        scores[scorer.model_version] = {row["customer_id"]: row for row in rows}
    return scores


def ask(
    port: int,
    requests: Sequence[bytes],
    expected: Scores,
    until: threading.Event,
    answered: Answered,
) -> None:
    """Ask for one score after the other, and hold each to what it has to be."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers, number = {"Content-Type": "application/json"}, 0
    while not until.is_set():
        number += 1
        try:
            connection.request(
                "POST", "/v1/score?reasons=false", requests[number % len(requests)], headers
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            answered.refuse(f"no answer: {error!r}")
            connection.close()
            continue
        if answer.status != 200:
            answered.refuse(f"{answer.status} {content[:200]!r}")
            continue
        whole = msgspec.json.decode(content)
        (row,) = whole["scores"]
        row.pop("warnings", None)
        version = row["model_version"]
        if (
            row != expected.get(version, {}).get(row["customer_id"])
            or whole["model_version"] != version
        ):
            answered.refuse(f"another score of {row['customer_id']} by {version}")
        else:
            answered.versions[version] += 1
    connection.close()


def turn(link: Path, model: Path) -> None:
    """Have a link point to another folder, without a moment at which it points to none."""
    draft = link.with_name("draft")
    draft.symlink_to(model)
    draft.replace(link)


def ready(port: int) -> dict[str, Any]:
    """Return what readiness says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/readyz")
    content: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return content


def main() -> int:
    """Swap and ask; return 1 where an answer was wrong or a swap did not come."""
    parser = argparse.ArgumentParser(prog="python -m bench.swaps")
    parser.add_argument("--swaps", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=86_400, help="stop then at the latest")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--models", type=Path, nargs=2, help="bundles; default: two are trained")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder, config = Path(name), TrainConfig(max_dates=3)
        models = chosen.models or [folder / "one", folder / "two"]
        for seed, model in enumerate(() if chosen.models else models, 1):
            trained(simulated_rows(CUSTOMERS, DAYS, seed=seed), model, day(DAYS), config)
        asked = customers()
        expected, requests = offline(models, asked), [body_of(customer) for customer in asked]
        versions = list(expected)
        link, port = folder / "current", free_port()
        link.symlink_to(models[0].resolve())
        command = [sys.executable, "-m", "stagecast", "serve", "--port", str(port)]
        command += ["--model", str(link), "--follow-seconds", "1"]
        command += ["--workers", str(chosen.workers), "--store", f"sqlite:///{folder / 'x.db'}"]
        until = threading.Event()
        everyone = [Answered() for _ in range(chosen.clients)]
        swaps, problem = 0, None
        with serving(command, port, "/readyz"):
            threads = [
                threading.Thread(target=ask, args=(port, requests, expected, until, answered))
                for answered in everyone
            ]
            for thread in threads:
                thread.start()
            begin = time.monotonic()
            while swaps < chosen.swaps and time.monotonic() - begin < chosen.seconds:
                wanted, since = (swaps + 1) % 2, time.monotonic()
                turn(link, models[wanted].resolve())
                while ready(port)["model_version"] != versions[wanted]:
                    if time.monotonic() - since > SWAP_SECONDS:
                        problem = f"no swap within {SWAP_SECONDS:g} s: {ready(port)}"
                        break
                    time.sleep(0.02)
                if problem is not None:
                    break
                swaps += 1
            spent = time.monotonic() - begin
            until.set()
            for thread in threads:
                thread.join()
    right = sum((answered.versions for answered in everyone), Counter[str]())
    wrong = sum(answered.wrong for answered in everyone)
    sys.stdout.write(
        f"{swaps} swaps in {spent:.0f} s under {right.total() + wrong:,} requests of "
        f"{chosen.clients} clients to {chosen.workers} worker(s): {right.total():,} answers are "
        f"the scores of the version that they name {dict(right)}; {wrong} are not\n"
    )
    for line in (*(p for answered in everyone for p in answered.problems), problem):
        if line is not None:
            sys.stdout.write(f"{line}\n")
    return 1 if wrong or problem is not None or not swaps else 0


if __name__ == "__main__":
    sys.exit(main())

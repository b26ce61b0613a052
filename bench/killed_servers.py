"""End a server at random moments, again and again: ``python -m bench.killed_servers``.

    SIGTERM while clients ask  -> no answer that has begun is torn, the server ends in time
    SIGKILL while clients ask and a run is published -> the next server serves the last whole run

A server is started again on the same store after each; it must serve within five seconds of a quiet
machine, which are told by the clock and in processor time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.requests import bodies
from bench.served import READY_SECONDS, serving
from stagecast.training.bundle import MANIFEST
from tests.serving import published
from tests.waiting import free_port

CUSTOMERS, CLIENTS = 200, 4
STOP_SECONDS = 30.0
PUBLISH = """
import sys
from datetime import timedelta
from stagecast.serving.store.store import Store
from stagecast.training.bundle import MANIFEST
from tests.serving import published
store = Store.open(sys.argv[1])
for number in range(1, 10_000):
    table = published.scores(int(sys.argv[2]), as_of=published.AS_OF + timedelta(days=number))
    published.publish(store, table)
    print("published", flush=True)
"""


@dataclass
class Clients:
    """What clients saw of a server that was ended.

    Parameters
    ----------
    right
        Answers that are what they were before.
    refused
        Requests that nobody took: the connection was refused or closed before a byte was answered.
    torn
        Answers that broke off.
    wrong
        Answers that are no 200, or others than before.
    """

    right: int = 0
    refused: int = 0
    torn: int = 0
    wrong: list[str] = field(default_factory=list)


def ask(port: int, asked: Sequence[bytes], expected: Sequence[bytes], seen: Clients) -> None:
    """Ask for one score after the other until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers, number = {"Content-Type": "application/json"}, 0
    while True:
        number = (number + 1) % len(asked)
        try:
            connection.request("POST", "/v1/score?reasons=false", asked[number], headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            seen.refused += 1
            return
        try:
            content = answer.read()
        except (OSError, http.client.HTTPException):
            seen.torn += 1
            return
        if answer.status == 503 and b"draining" in content:
            return
        if answer.status != 200 or content != expected[number]:
            seen.wrong.append(f"{answer.status} {content[:200]!r}")
        else:
            seen.right += 1
        if answer.will_close:
            return


def answers(port: int, asked: Sequence[bytes]) -> list[bytes]:
    """Return the answers to bodies, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = []
    for body in asked:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/score?reasons=false", body, headers)
        content.append(connection.getresponse().read())
    connection.close()
    return content


def bodies_at(model: Path, count: int) -> list[bytes]:
    """Return bodies at the as_of of a bundle."""
    as_of = json.loads((model / MANIFEST).read_text())["as_of"]
    return [json.dumps(json.loads(body) | {"as_of": as_of}).encode() for body in bodies(count)]


def newest_run(port: int) -> tuple[int, int]:
    """Return the id of the newest run, and how many customers the list of it has."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(path: str) -> bytes:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
        return content

    run = json.loads(get("/v1/runs"))["runs"][0]["id"]
    lines = get(f"/v1/customers?run={run}&limit=all&format=ndjson").splitlines()
    connection.close()
    return run, len(lines)


def main() -> int:
    """End servers and look at what is left; return 1 where something was lost."""
    from bench.__main__ import trained

    parser = argparse.ArgumentParser(prog="python -m bench.killed_servers")
    parser.add_argument("--kills", type=int, default=100, help="with each signal (default 100)")
    parser.add_argument("--seconds", type=float, default=86_400, help="stop then at the latest")
    parser.add_argument("--model", type=Path, help="a bundle; default: one is trained")
    chosen = parser.parse_args()
    chance = random.Random(5)
    ready, processor, stops, problems = [], [], [], []
    counts = {"SIGTERM": 0, "SIGKILL": 0}
    total, expected, last_run = Clients(), None, 0
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = Path(name)
        if chosen.model is None:
            trained(folder / "model")
        model = chosen.model or folder / "model"
        asked = bodies_at(model, 40)
        store = published.open_store(folder)
        published.publish(store, published.scores(CUSTOMERS))
        store.close()
        address = f"sqlite:///{folder / 'stagecast.db'}"
        begin = time.monotonic()
        while sum(counts.values()) < 2 * chosen.kills:
            if time.monotonic() - begin > chosen.seconds:
                break
            how = min(counts, key=lambda each: counts[each])
            port = free_port()
            command = [sys.executable, "-m", "stagecast", "serve", "--port", str(port)]
            command += ["--model", str(model), "--store", address]
            seen, publisher = [Clients() for _ in range(CLIENTS)], None
            with serving(command, port, "/readyz") as server:
                ready.append(server.ready_seconds)
                processor.append(server.ready_processor)
                expected = expected or answers(port, asked)
                run, customers = newest_run(port)
                if customers != CUSTOMERS or run < last_run:
                    problems.append(f"run {run} after {last_run} has {customers} customers")
                last_run = run
                threads = [
                    threading.Thread(target=ask, args=(port, asked, expected, each))
                    for each in seen
                ]
                if how == "SIGKILL":
                    words = [sys.executable, "-c", PUBLISH, address, str(CUSTOMERS)]
                    publisher = subprocess.Popen(words, stdout=subprocess.PIPE)
                for thread in threads:
                    thread.start()
                if publisher is not None and publisher.stdout is not None:
                    publisher.stdout.readline()  # from here on one run follows the other
                time.sleep(chance.uniform(0.1, 1.0))
                since = time.monotonic()
                code = _end(server.pid, signal.Signals[how], publisher)
                for thread in threads:
                    thread.join(READY_SECONDS)
                if how == "SIGTERM":
                    stops.append(time.monotonic() - since)
                    if code is not None:
                        problems.append(code)
            counts[how] += 1
            for each in seen:
                total.right += each.right
                total.refused += each.refused
                total.wrong += each.wrong
                total.torn += each.torn if how == "SIGTERM" else 0
    sys.stdout.write(
        f"{counts['SIGTERM']} SIGTERM, {counts['SIGKILL']} SIGKILL under load: {total.right:,} "
        f"answers as before, {len(total.wrong)} others, {total.torn} torn by a SIGTERM; "
        f"{last_run} runs in the store, each list whole\n"
        f"gone after a SIGTERM within {max(stops, default=0):.1f} s (median "
        f"{float(np.median(stops or [0])):.1f}); ready after a median of {np.median(ready):.1f} s, "
        f"at most {max(ready):.1f} s ({max(processor):.1f} s of processor time)\n"
    )
    for line in (*problems, *total.wrong)[:10]:
        sys.stdout.write(f"{line}\n")
    return 1 if problems or total.wrong or total.torn else 0


def _end(pid: int, how: signal.Signals, publisher: subprocess.Popen[bytes] | None) -> str | None:
    """End a server, and who publishes; return what is wrong with how it ended."""
    import psutil

    process = psutil.Process(pid)
    process.send_signal(how)
    if publisher is not None:
        publisher.kill()
        publisher.communicate()
    if how is signal.SIGKILL:
        return None
    try:
        code = process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        return f"the server has not ended within {STOP_SECONDS:g} s"
    # when it has stopped, uvicorn ends the process by the signal that it was sent
    return None if code in (0, -how) else f"the server ended with code {code}"


if __name__ == "__main__":
    sys.exit(main())

"""Ten times the load that a server can bear: ``python -m bench.overload [--seconds 60]``.

    8 clients, each of which waits for its answer  -> what the server can bear
    that rate times 10, whatever is answered        -> who is answered, how soon; who is refused
    8 clients again, at once                        -> whether it has recovered
    the same 40 requests before and after           -> whether it answers as before

The offered load is an open loop over many connections: a request is sent when its time has come,
and not when an earlier one is answered. The time of an answer is that from the first byte sent. The
clients are this process, the server is one worker in a process of its own. Times by the clock hold
on a quiet machine alone; the load average stands beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.clients import (
    head_of_whole,
    load,
    processor_seconds,
    request_of,
    resident_mb,
)
from bench.requests import bodies
from bench.served import serving
from tests.waiting import free_port

CLIENTS, WARM, COUNT = 8, 200, 1_600
PATH = "/v1/score?reasons=false"
RECOVERY_SECONDS = 5.0
BAR_MS, BAR_MB = 250.0, 50.0


@dataclass
class Offered:
    """What came of the requests that were offered.

    Parameters
    ----------
    statuses
        Status of an answer -> how many there were.
    seconds
        Seconds of each answer of status 200.
    refused_seconds
        Seconds of each refusal.
    without_retry_after
        Refusals that do not say when to come back.
    unsent
        Requests whose time had come while each connection waited for an answer.
    broken
        Connections that the server closed.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    unsent: int = 0
    broken: int = 0


class _Connection(asyncio.Protocol):
    def __init__(self, offered: Offered, free: deque[_Connection]) -> None:
        self._offered, self._free = offered, free
        self._buffer, self._begin = bytearray(), 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._offered.broken += 1
        if self in self._free:
            self._free.remove(self)

    def close(self) -> None:
        self._transport.abort()

    def send(self, request: bytes) -> None:
        self._begin = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = head_of_whole(self._buffer)
        if head is None:
            return
        spent, status = time.perf_counter() - self._begin, int(head.split(b" ", 2)[1])
        self._offered.statuses[status] += 1
        (self._offered.seconds if status == 200 else self._offered.refused_seconds).append(spent)
        self._offered.without_retry_after += status != 200 and b"\r\nretry-after:" not in head
        self._buffer.clear()
        self._free.append(self)


async def offer(
    port: int, requests: Sequence[bytes], rate: float, seconds: float, connections: int
) -> Offered:
    """Offer requests at a rate, whatever is answered.

    Parameters
    ----------
    port
        Where the server listens on this machine.
    requests
        Requests as they are sent, in turns.
    rate
        Requests per second.
    seconds
        For how long.
    connections
        Most requests that are under way.
    """
    loop, offered = asyncio.get_running_loop(), Offered()
    free: deque[_Connection] = deque()
    everyone = [
        (await loop.create_connection(lambda: _Connection(offered, free), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    begin, sent = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < seconds:
        due = int(spent * rate)
        while sent < due:
            sent += 1
            if free:
                free.popleft().send(requests[sent % len(requests)])
            else:
                offered.unsent += 1
        await asyncio.sleep(0.001)
    until = time.perf_counter() + RECOVERY_SECONDS
    while len(free) + offered.broken < connections and time.perf_counter() < until:
        await asyncio.sleep(0.01)
    broken = offered.broken
    for connection in everyone:
        connection.close()
    await asyncio.sleep(0)
    offered.broken = broken
    return offered


async def recovery(port: int, requests: Sequence[bytes]) -> float:
    """Return after how many seconds each of eight clients has one answer of status 200."""
    begin = time.perf_counter()
    while True:
        try:
            await load(port, requests, CLIENTS, CLIENTS)
        except ConnectionError:
            if time.perf_counter() - begin > 10 * RECOVERY_SECONDS:
                return float("inf")
            await asyncio.sleep(0.1)
        else:
            return time.perf_counter() - begin


def answers(port: int, received: Sequence[bytes]) -> list[bytes]:
    """Return the answers to bodies, one after the other, without the head."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = []
    for body in received:
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        content.append(connection.getresponse().read())
    connection.close()
    return content


def peak_mb(pid: int) -> float:
    """Return the most memory of a process that was resident so far, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024 / 1e6


def main() -> int:
    """Measure and print; return 1 where a bar is missed."""
    from bench.__main__ import trained

    parser = argparse.ArgumentParser(prog="python -m bench.overload")
    parser.add_argument("--seconds", type=float, default=60, help="of overload (default 60)")
    parser.add_argument("--times", type=float, default=10, help="what it can bear (default 10)")
    parser.add_argument("--connections", type=int, default=400, help="at once (default 400)")
    parser.add_argument("--model", type=Path, help="a bundle; default: one is trained")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = Path(name)
        if chosen.model is None:
            trained(folder / "model")
        port = free_port()
        command = [sys.executable, "-m", "stagecast", "serve", "--port", str(port)]
        command += ["--model", str(chosen.model or folder / "model")]
        command += ["--store", str(folder / "bench.db")]
        asked = bodies(40)
        requests = [request_of(PATH, body) for body in asked]
        with serving(command, port, "/readyz") as server:
            asyncio.run(load(port, requests, CLIENTS, WARM))
            quiet = asyncio.run(load(port, requests, CLIENTS, COUNT))
            answered_before = answers(port, asked)
            before, spent = resident_mb(server.pid), processor_seconds(server.pid)
            rate = chosen.times * quiet.per_second
            offered = asyncio.run(offer(port, requests, rate, chosen.seconds, chosen.connections))
            back = asyncio.run(recovery(port, requests))
            spent = processor_seconds(server.pid) - spent
            after = asyncio.run(load(port, requests, CLIENTS, COUNT))
            is_as_before = answers(port, asked) == answered_before
            memory, peak = resident_mb(server.pid), peak_mb(server.pid)
    answered, refused = offered.statuses[200], len(offered.refused_seconds)
    p99 = float(np.percentile(offered.seconds, 99)) * 1e3 if offered.seconds else float("inf")
    p50 = float(np.percentile(offered.seconds, 50)) * 1e3 if offered.seconds else float("inf")
    of_refused = float(np.percentile(offered.refused_seconds or [0.0], 99)) * 1e3
    sys.stdout.write(
        f"alone, {CLIENTS} clients: {quiet.per_second:,.0f} requests/s, p99 "
        f"{quiet.percentile(99):.0f} ms\n"
        f"offered {chosen.times:g} times as many for {chosen.seconds:g} s, {rate:,.0f}/s over "
        f"{chosen.connections} connections: {(answered + refused) / chosen.seconds:,.0f}/s sent, "
        f"{offered.unsent:,} had no free connection\n"
        f"answered {answered:,} ({answered / chosen.seconds:,.0f}/s): p50 {p50:.0f} ms, p99 "
        f"{p99:.0f} ms (bar {BAR_MS:g})\n"
        f"refused {refused / max(answered + refused, 1):.1%} {dict(offered.statuses)}: p99 "
        f"{of_refused:.0f} ms; {offered.without_retry_after} without Retry-After; "
        f"{offered.broken} connections closed\n"
        f"processor time of the server {spent:.1f} s; memory {before:.0f} MB before, "
        f"at most {peak:.0f} MB, {memory:.0f} MB after (bar {BAR_MB:g} more)\n"
        f"answers each of {CLIENTS} clients {back:.2f} s after (bar {RECOVERY_SECONDS:g}); then "
        f"{after.per_second:,.0f} requests/s, p99 {after.percentile(99):.0f} ms, "
        f"{'the same' if is_as_before else 'OTHER'} answers as before\n"
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
    )
    is_kept = p99 <= BAR_MS and back <= RECOVERY_SECONDS and peak <= before + BAR_MB
    is_kept = is_kept and is_as_before and not offered.without_retry_after and not offered.broken
    return 0 if is_kept and set(offered.statuses) <= {200, 429, 503} else 1


if __name__ == "__main__":
    sys.exit(main())

"""Clients over sockets: each sends its next request when it has its last answer.

A little of asyncio without a library of HTTP, so that the clients cost less than what they measure.
The time is that from the first byte sent to the last byte of the answer.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LIMIT_SECONDS = 300
_HEAD_END = b"\r\n\r\n"
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Load:
    """What several clients saw.

    Parameters
    ----------
    seconds
        From the first request to the last answer, by the clock.
    latencies
        Seconds of each request.
    """

    seconds: float
    latencies: Sequence[float]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return a percentile of the time of a request, in ms."""
        return float(np.percentile(self.latencies, percent)) * 1e3


def request_of(path: str, body: bytes | None = None) -> bytes:
    """Return a request as it is sent: POST with a body of JSON, GET without a body."""
    head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


def head_of_whole(buffer: bytearray) -> bytes | None:
    """Return the head of an answer in lower case; None: the answer is not all there yet."""
    end = buffer.find(_HEAD_END)
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return head if len(buffer) >= end + len(_HEAD_END) + length else None


class _Client(asyncio.Protocol):
    def __init__(self, requests: Sequence[bytes], share: int, latencies: list[float]) -> None:
        self._requests, self._left, self._latencies = requests, share, latencies
        self._buffer, self._begin = bytearray(), 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = head_of_whole(self._buffer)
        if head is None:
            return
        if not head.startswith(b"http/1.1 200"):
            self._fail(f"the server answered {bytes(self._buffer[:400])!r}")
            return
        self._latencies.append(time.perf_counter() - self._begin)
        self._buffer.clear()
        self._left -= 1
        if self._left:
            self._next()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection ({error})")

    def _next(self) -> None:
        self._begin = time.perf_counter()
        self._transport.write(self._requests[self._left % len(self._requests)])

    def _fail(self, problem: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(problem))
            self._transport.close()


async def load(port: int, requests: Sequence[bytes], clients: int, count: int) -> Load:
    """Send requests to a server of this machine from several clients at once.

    Parameters
    ----------
    port
        Where the server listens.
    requests
        Requests as they are sent; each client takes them in turns.
    clients
        Number of connections.
    count
        Requests of all clients together.

    Raises
    ------
    ConnectionError
        An answer is not 200, a connection was closed, or the answers take minutes.
    """
    loop, latencies = asyncio.get_running_loop(), list[float]()
    begin = time.perf_counter()

    async def client() -> None:
        share = max(1, count // clients)
        _, protocol = await loop.create_connection(
            lambda: _Client(requests, share, latencies), "127.0.0.1", port
        )
        await protocol.done

    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(*(client() for _ in range(clients)))
    except TimeoutError:
        problem = f"{len(latencies)} of {count} requests were answered in {LIMIT_SECONDS} s"
        raise ConnectionError(problem) from None
    return Load(time.perf_counter() - begin, latencies)


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far, that of its dead children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def resident_mb(pid: int) -> float:
    """Return the memory of a process that is resident, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE / 1e6

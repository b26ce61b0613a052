"""Connections of slow or silent clients: each has a time for its head, its body and its answer.

uvicorn waits without end for the rest of a request that has begun, and for a client who does not
read. A few hundred such sockets would hold a server up, and one of them its stop.
"""

from __future__ import annotations

import asyncio
import logging.config
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stagecast.serving.http.json_lines import LOG_CONFIG

DRAIN_SECONDS, GRACEFUL_SECONDS = 5.0, 20
"""After the signal to stop: for the rest of a body, and for all requests to be answered."""
HEAD_BYTES_MAX = 65_536
"""Length of the request line and the headers of a request, at most; the parser has no limit."""
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_HEAD = b"HTTP/1.1 "
_ABORT_AFTER = 2.0
"""The application answers a slow body with 408; so much later the connection is closed anyway."""


@dataclass(frozen=True)
class Patience:
    """How long a client may take, in seconds.

    Parameters
    ----------
    head
        From the connection, or the first byte of a further request, to the end of the headers.
    body
        From there to the end of the body.
    reading
        Without reading anything of an answer.
    """

    head: float = 10.0
    body: float = 30.0
    reading: float = 30.0


class JoinedWrites:
    """A transport that holds the head of an answer back until its body comes, or for a round of the
    event loop.

    uvicorn writes the head by itself. The first write wakes the client, who may take the processor
    from the server, finds no body, and sleeps again; with one write, all of it is there.

    Parameters
    ----------
    transport
        The transport; whatever is not defined here is asked of it.
    loop
        Its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._head = transport, loop, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write bytes, a head together with what follows."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD):
            self._head = data
            # a body that is long in coming does not hold its head up
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Write what is held back, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class TimedProtocol(HttpToolsProtocol):
    """uvicorn's protocol that closes connections which take too long."""

    patience = Patience()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._part: str | None = None
        """Part of a request of which some bytes are here: ``head``, ``body``, or none."""
        self._head_bytes = 0
        self._phase: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        self._enter("head")

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and wait for what is still missing, from when it was first missed."""
        if self._part != "body":
            self._head_bytes += len(data)
        super().data_received(data)
        if self._part == "head" and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.write(_TOO_LONG)
            self.transport.close()
        self._enter(self._missing())

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        self._part = "head"

    def on_headers_complete(self) -> None:
        """Note that a body is to follow, which may be empty."""
        super().on_headers_complete()
        self._part, self._head_bytes = "body", 0

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        super().on_message_complete()
        self._part = None

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody read; further requests have another timeout."""
        super().on_response_complete()
        self._enter("body" if self._missing() == "body" else None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._enter(None)
        self.resume_writing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Finish the request that is being handled; a body must be here soon."""
        super().shutdown()
        if self._phase == "body":
            self._start(DRAIN_SECONDS)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        if self._reading_timer is None:
            self._reading_timer = self.loop.call_later(self.patience.reading, self._abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _missing(self) -> str | None:
        if self._part == "body":
            return "body"
        is_working = self.cycle is not None and not self.cycle.response_complete
        return None if is_working else "head"

    def _enter(self, phase: str | None) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase is not None:
            patience = self.patience
            self._start(patience.head if phase == "head" else patience.body + _ABORT_AFTER)

    def _start(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        # close() would wait until the client has read what is still to be sent
        self.transport.abort()


def protocol_with(patience: Patience) -> type[TimedProtocol]:
    """Return a protocol with this patience, for ``uvicorn.Config(http=...)``."""
    return type("PatientProtocol", (TimedProtocol,), {"patience": patience})


class DrainingServer(uvicorn.Server):
    """A server that says it is not ready any more before it stops to listen.

    Parameters
    ----------
    config
        Configuration of uvicorn.
    draining
        Called once when the server is told to stop.
    seconds
        How long it listens after that, so that load balancers notice.
    ready
        Called once requests are answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        draining: Any,
        seconds: float = 0.0,
        ready: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config)
        self._draining, self._seconds, self._ready = draining, seconds, ready
        self._signal: tuple[int, float] | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal; from here on the log of this process has lines of JSON."""
        logging.config.dictConfig(LOG_CONFIG)
        super().run(sockets=sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets=sockets)
        if self._ready is not None and self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain at the first signal, stop at the second."""
        if self._signal is None:
            self._signal = sig, time.monotonic()
            self._draining()
            if self._seconds:
                return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop to listen when the time to drain is over."""
        if self._signal is not None and not self.should_exit:
            sig, since = self._signal
            if time.monotonic() - since >= self._seconds:
                super().handle_exit(sig, None)
        return await super().on_tick(counter)

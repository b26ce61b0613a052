"""A server in a process of its own: slow and silent clients, its stop, and too much load."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import time

import anyio
import httpx
import pytest

from stagecast.serving.http.admission import Admission, Places
from stagecast.serving.http.connections import HEAD_BYTES_MAX
from tests.serving import published
from tests.waiting import LIMIT_SECONDS, free_port

HEAD = (
    b"POST /v1/customers/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
BODY = b'{"customer_ids": ["c0001"]}'


class Server:
    def __init__(self, folder, **settings):
        self.port = free_port()
        environment = {f"STAGECAST_{name.upper()}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stagecast", "serve", "--port", str(self.port), "--json"],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            try:
                self.connect().close()
                return
            except OSError:
                assert self.process.poll() is None, self.process.stderr.read()
                time.sleep(0.05)

    def connect(self, sent: bytes = b"") -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_SECONDS)
        opened.sendall(sent)
        return opened

    def stop(self) -> None:
        """Stop the server as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT_SECONDS)


def ended(sock: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    pieces = []
    try:
        while piece := sock.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def closed_meanwhile(connect, waited_for):
    """Return how many connections, one after the other, the server closes before another one.

    A second of the server is told by what it closes after a second. However busy the machine is,
    no more of them fit into the time that the other one is given.
    """
    count = 0
    while not select.select([waited_for], [], [], 0)[0]:
        with connect() as opened:
            ended(opened)
        count += 1
    return count


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    store = published.open_store(folder, published.scores(20))
    store.close()
    return folder


@pytest.fixture
def server(folder):
    started = Server(folder, head_seconds=1.0, body_seconds=1.0)
    yield started
    started.process.kill()
    started.process.wait()
    started.process.stderr.close()


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.long)])
def test_clients_who_do_not_finish_are_closed_and_others_are_answered(server, count):
    begin = time.monotonic()
    silent, head = server.connect(), server.connect(HEAD[:50])
    body = server.connect(HEAD + b"Content-Length: 27\r\n\r\n" + BODY[:5])
    unread = server.connect(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1")
    more = [server.connect(HEAD[:9]) for _ in range(count)]
    # a head without an end is no reason to keep it in memory
    long = server.connect(HEAD + b"X-A: " + b"a" * 2 * HEAD_BYTES_MAX)
    assert ended(long).startswith(b"HTTP/1.1 431 ")
    address = f"http://127.0.0.1:{server.port}"
    answer = httpx.post(f"{address}/v1/customers/lookup", json=json.loads(BODY))
    assert answer.json()["missing"] == []
    assert (ended(silent), ended(head)) == (b"", b"")
    text = ended(body)
    assert text.startswith(b"HTTP/1.1 408 ")
    assert b"body-too-slow" in text
    assert b"connection: close" in text.lower()
    assert b"alive" in ended(unread)
    assert [ended(sock) for sock in more] == [b""] * count
    assert time.monotonic() - begin >= 1
    gone = server.connect(HEAD + b"Content-Length: 27\r\n\r\n" + BODY[:5])
    gone.close()
    for sock in (silent, head, body, unread, long, *more):
        sock.close()
    server.stop()
    lines = server.process.stderr.read().splitlines()
    assert len(lines) <= 2, lines  # one for the client who went away
    assert not any("c0001" in line or "Traceback" in line for line in lines)


@pytest.mark.slow
def test_heads_and_bodies_are_waited_for_as_long_as_was_set(server):
    def slow_head():
        return server.connect(HEAD[:50])

    def slow_body():
        return server.connect(HEAD + b"Content-Length: 27\r\n\r\n" + BODY[:5])

    # a second each; by default, a head is waited for 10 and a body 30
    for waited_for, connect in ((slow_head, slow_body), (slow_body, slow_head)):
        with waited_for() as opened:
            assert closed_meanwhile(connect, opened) <= 2


@pytest.mark.slow
def test_a_half_sent_body_does_not_keep_the_server_from_stopping(folder):
    # a body is waited for longer than this test waits for the end of the server
    server = Server(folder, body_seconds=6 * LIMIT_SECONDS, drain_seconds=1.5)
    half = server.connect(HEAD + b"Content-Length: 27\r\n\r\n" + BODY[:5])
    slow = server.connect(HEAD + b"Content-Length: 27\r\n\r\n" + BODY[:5])
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    ready = httpx.get(f"http://127.0.0.1:{server.port}/readyz")
    assert (ready.status_code, ready.json()["detail"]) == (503, "the server was told to stop")
    assert ready.headers["connection"] == "close"
    slow.sendall(BODY[5:])  # begun before the signal, and answered
    assert b"c0001" in ended(slow)
    server.process.wait(LIMIT_SECONDS)
    assert b"200" not in ended(half)
    text = server.process.stderr.read()
    assert "Traceback" not in text
    for sock in (half, slow):
        sock.close()
    server.process.stderr.close()


def test_requests_beyond_the_limit_are_refused_at_once_and_those_inside_are_answered():
    release = anyio.Event()

    async def app(scope, receive, send):
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run():
        inside = Admission(app, Places(3))
        transport = httpx.ASGITransport(inside)
        statuses: list[int] = []
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:

            async def ask(path="/"):
                answer = await http.get(path)
                statuses.append(answer.status_code)
                if answer.status_code == 503:
                    assert answer.headers["retry-after"] == "1"

            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                assert statuses == [503] * 7
                tasks.start_soon(ask, "/livez")
                await anyio.wait_all_tasks_blocked()
                assert statuses == [503] * 7
                release.set()
            await ask()
        return statuses

    assert anyio.run(run) == [503] * 7 + [200] * 5

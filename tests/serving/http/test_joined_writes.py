"""The head of an answer goes out with its body, and never waits for one that is long in coming."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stagecast.serving.http.connections import JoinedWrites

HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


class Transport:
    """A transport that notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


def calls_of(use: Callable[[Any], None], *, rounds: int = 0) -> list[bytes | str]:
    """Return what reached the transport after some rounds of the event loop."""

    async def run() -> list[bytes | str]:
        transport = Transport()
        use(JoinedWrites(transport, asyncio.get_running_loop()))  # type: ignore[arg-type]
        for _ in range(rounds):
            await asyncio.sleep(0)
        return list(transport.calls)

    return asyncio.run(run())


def test_a_head_and_the_first_part_of_its_body_are_one_write() -> None:
    def answers(joined: Any) -> None:
        for data in (HEAD, BODY, b"more", HEAD, BODY):
            joined.write(data)

    assert calls_of(answers, rounds=3) == [HEAD + BODY, b"more", HEAD + BODY]


def test_a_head_without_a_body_goes_out_in_the_next_round() -> None:
    assert calls_of(lambda joined: joined.write(HEAD)) == []
    assert calls_of(lambda joined: joined.write(HEAD), rounds=1) == [HEAD]


def test_what_is_held_back_is_written_before_the_connection_is_closed() -> None:
    def refuse(joined: Any) -> None:
        joined.write(HEAD)
        assert not joined.is_closing()
        joined.close()
        assert joined.is_closing()

    assert calls_of(refuse, rounds=3) == [HEAD, "close"]


def test_two_heads_in_a_row_lose_nothing() -> None:
    def continued(joined: Any) -> None:
        joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        joined.write(HEAD)
        joined.write(BODY)

    calls = calls_of(continued, rounds=3)
    assert b"".join(call for call in calls if isinstance(call, bytes)) == (
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + BODY
    )

"""Waiting for processes and servers: for what they do, and never for the clock.

Every limit here is there to end a test that hangs. It is minutes long, so that no busy machine
comes near it.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

LIMIT_SECONDS = 600


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lives(address: str) -> bool:
    """Return whether a `stagecast serve` answers there; a proxy of the machine has no say."""
    try:
        return httpx.get(f"{address}/livez", trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    """Return once a server answers.

    Parameters
    ----------
    answers
        Asks the server, and returns whether it is ready.
    output
        The file that the process writes to.

    Raises
    ------
    AssertionError
        The process ended, or said nothing within the limit; the message holds its output.
    """
    until = time.monotonic() + LIMIT_SECONDS
    while not answers():
        code = process.poll()
        if code is not None or time.monotonic() > until:
            state = "runs, and does not answer" if code is None else f"ended with code {code}"
            raise AssertionError(f"the server {state}:\n{output.read_text('utf-8')[-3_000:]}")
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and wait until it is gone."""
    process.terminate()
    process.wait(LIMIT_SECONDS)


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once something of this process holds.

    Raises
    ------
    AssertionError
        It did not within the limit.
    """
    until = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < until, "what was waited for did not come"
        time.sleep(0.02)

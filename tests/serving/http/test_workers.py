"""Several processes at one address: one that is killed comes back, and all stop together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.waiting import LIMIT_SECONDS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def parent(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "stagecast", "serve", "--workers", "2", "--port", "0", "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    for child in psutil.Process(process.pid).children() if process.poll() is None else ():
        child.kill()
    process.kill()
    process.wait(LIMIT_SECONDS)
    process.stdout.close()


def answering(address):
    """Return the workers that have counted requests."""
    text = httpx.get(f"{address}/metrics", trust_env=False).text
    return set(re.findall(r'requests_total{.*route="/livez".*worker="(\d)"', text))


def both_answer(address):
    try:
        httpx.get(f"{address}/livez", trust_env=False)
        return answering(address) == {"0", "1"}
    except httpx.TransportError:
        return False  # the connection was that of the worker that was killed


def test_sigterm_stops_all_before_they_answer(parent, tmp_path):
    wait_until(lambda: len(psutil.Process(parent.pid).children()) == 2)
    workers = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(LIMIT_SECONDS) == 0
    assert list((tmp_path / "temporary").glob("stagecast-*")) == []
    assert not any(worker.is_running() for worker in workers)


def test_a_killed_worker_comes_back_and_sigterm_stops_all(parent, tmp_path):
    summary = json.loads(parent.stdout.readline())
    assert summary["workers"] == 2
    address = summary["address"]
    wait_until(lambda: both_answer(address))
    before = psutil.Process(parent.pid).children()
    assert len(before) == 2
    before[0].kill()
    wait_until(
        lambda: (
            {child.pid for child in psutil.Process(parent.pid).children()}
            - {child.pid for child in before}
        )
    )
    wait_until(lambda: both_answer(address))
    workers = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(LIMIT_SECONDS) == 0
    left = [path.name for path in (tmp_path / "temporary").glob("stagecast-*")]
    assert len(left) == 1  # of the worker that was killed
    assert left[0].startswith("stagecast-reports-")
    assert not any(worker.is_running() for worker in workers)


def test_workers_stop_when_their_parent_is_killed(parent):
    assert json.loads(parent.stdout.readline())["workers"] == 2
    workers = psutil.Process(parent.pid).children()
    parent.kill()
    wait_until(
        lambda: (
            not any(
                worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
                for worker in workers
            )
        )
    )

"""What is told to stop in the ordinary way leaves no temporary files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import LIMIT_SECONDS

TAKES_A_MODEL = """
import time
from pathlib import Path
from stagecast.serving.stopping import ending_in_order
from stagecast.training.tracking import fetching

class Version:
    source = "somewhere"

fetching.registered_version = lambda uri, model: Version
fetching.fetch_into = lambda folder, uri, source: folder
with ending_in_order():
    print(fetching.fetch_bundle("uri", "models:/m/1"), flush=True)
    if {waits}:
        time.sleep(60)
"""


def started(folder: Path, *command: str) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder.parent,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_puts_its_folders_away(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "temporary"
    with started(folder, "-m", "stagecast", "serve", "--port", "0", "--json") as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        process.send_signal(number)
        code = process.wait(LIMIT_SECONDS)
    assert code == (-signal.SIGTERM if number == signal.SIGTERM else 130)
    assert list(folder.glob("stagecast-*")) == []


@pytest.mark.parametrize("waits", [True, False])
def test_a_model_that_was_fetched_goes_with_the_process(tmp_path: Path, waits: bool) -> None:
    folder = tmp_path / "temporary"
    with started(folder, "-c", TAKES_A_MODEL.format(waits=waits)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(str(folder))
        if waits:
            process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_SECONDS) == (-signal.SIGTERM if waits else 0)
    assert list(folder.iterdir()) == []

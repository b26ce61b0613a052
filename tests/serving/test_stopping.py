"""What is told to stop in the ordinary way leaves no temporary files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.waiting import LIMIT_SECONDS, wait_until

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

ASKS_WITHOUT_END = """
import duckdb
from stagecast.serving import cli

def ask(standalone_mode):
    con = duckdb.connect(config={{"threads": {threads}}})
    print("asks", flush=True)
    # DuckDB looks for signals between parts of a query, which are short here
    numbers = "range(1_000_000_000) a, range(2000) b"
    con.execute("SELECT count(*) FROM " + numbers + " WHERE hash(a.range, b.range) = 1")

cli.cli = ask
cli.main()
"""


@contextmanager
def started(folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    folder.mkdir()
    with folder.with_name("errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder.parent,
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


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


# after Ctrl-C DuckDB waits for the threads of a query, and a process that SIGTERM ends must not
@pytest.mark.slow
@pytest.mark.parametrize(("number", "threads"), [(signal.SIGTERM, 4), (signal.SIGINT, 1)])
def test_a_signal_during_a_query_is_no_error(
    tmp_path: Path, number: signal.Signals, threads: int
) -> None:
    command = ["-c", ASKS_WITHOUT_END.format(threads=threads)]
    with started(tmp_path / "temporary", *command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asks\n"
        times = psutil.Process(process.pid).cpu_times
        begun = times().user
        wait_until(lambda: times().user > begun + 0.5)
        process.send_signal(number)
        code = process.wait(LIMIT_SECONDS)
    errors = (tmp_path / "errors").read_text("utf-8")
    if number == signal.SIGTERM:
        assert (code, errors) == (-signal.SIGTERM, "")
    else:
        assert (code, errors) == (130, "stopped; nothing was left half-written\n")

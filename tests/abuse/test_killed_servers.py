"""Servers that are ended under load: a few here, hundreds in `make prove`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stagecast.training.bundle import FORMAT
from tests.training.bundle.formats import FOLDER
from tests.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_a_server_that_is_ended_under_load_tears_no_answer_and_loses_no_run() -> None:
    words = ["--kills", "1", "--model", str(FOLDER / f"format-{FORMAT}")]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.killed_servers", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2_000:]
    assert ran.stdout.startswith("1 SIGTERM, 1 SIGKILL under load")

"""Requests made from the OpenAPI document, to a real server: a hundred here, ten thousand in
`make prove`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.generated_checks import texts
from stagecast.training.bundle import FORMAT
from tests.training.bundle.formats import FOLDER
from tests.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_no_generated_request_brings_the_server_to_an_answer_that_it_does_not_promise() -> None:
    words = ["--cases", "60", "--phases", "fuzzing", "--model", str(FOLDER / f"format-{FORMAT}")]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.generated", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-2_000:]
    (cases,) = re.findall(
        r"^([\d,]+) requests made from the OpenAPI document: 0 faults$", ran.stdout
    )
    assert int(cases.replace(",", "")) >= 60


def test_texts_are_looked_for_in_all_that_was_sent() -> None:
    sent = [{"name": "a"}, {"page": ["b", 3, None]}, [{"rows": [{"id": "c"}]}], "d", b"e"]
    assert list(texts(sent)) == ["a", "b", "c", "d"]

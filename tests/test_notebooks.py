"""The notebooks run from top to bottom, and are kept clean of the machine they ran on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks import FOLDER, notebooks
from tests.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[1]
LARGEST_BYTES = 400_000

EACH = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)


def test_there_are_notebooks() -> None:
    assert [path.name for path in notebooks()], f"no notebook in {FOLDER}"


@pytest.mark.slow
@EACH
def test_a_notebook_runs_from_top_to_bottom(path: Path) -> None:
    before = path.read_bytes()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("STAGECAST_")
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.notebooks", str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert path.read_bytes() == before


@EACH
def test_a_notebook_is_saved_with_its_outputs_and_nothing_else(path: Path) -> None:
    text = path.read_text("utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), (
        "run make notebooks"
    )
    assert len(text) < LARGEST_BYTES
    for cell in cells:
        assert not cell["metadata"], f"cell {cell['id']}: run make notebooks"
        assert all(output["output_type"] != "error" for output in cell["outputs"]), cell["id"]
    report = [re.sub(r'"image/png": "[^"]*"', "", json.dumps(cell["outputs"])) for cell in cells]
    for place in (str(ROOT), str(Path.home()) + "/", "/tmp/", "Traceback"):
        assert not any(place in output for output in report), place


@EACH
def test_cells_are_short(path: Path) -> None:
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert len("".join(cell["source"]).splitlines()) <= 20, cell["id"]

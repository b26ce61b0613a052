"""The notebooks run from top to bottom, and are kept clean of the machine they ran on."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import stagecast as sc
from tests.notebooks import FOLDER, differences, main, notebooks

ROOT = Path(__file__).parents[1]
LARGEST_BYTES = 400_000

IMPORTS = {
    ("altair", "alt"),
    ("numpy", "np"),
    ("pandas", "pd"),
    ("stagecast", "sc"),
}

LONG = ("3", "4", "5", "7")
"""Notebooks that `make prove` executes; the others run in `make test`, and train each part.

Of these `make test` checks every call of the public API against its signature.
"""

EACH = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the cells of a kind."""
    return [
        cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind
    ]


def test_the_notebooks_are_numbered() -> None:
    assert [path.name[:2] for path in notebooks()] == [f"{k}-" for k in range(1, 8)], FOLDER


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] if path.name[0] in LONG else [])
        for path in notebooks()
    ],
    ids=lambda path: path.name,
)
def test_a_notebook_runs_and_displays_what_is_stored(path: Path) -> None:
    before = path.read_bytes()
    main([str(path)])  # the kernel is a process of its own, without our settings
    assert path.read_bytes() == before


def test_outputs_that_differ_are_noticed() -> None:
    def notebook(text: str) -> str:
        cell = {"cell_type": "code", "outputs": [{"name": "stdout", "text": [text]}]}
        return json.dumps({"cells": [cell]})

    stored = notebook("model aa8b03055f37: loss 0.3486 of 2,357, promote")
    for alike in ("model 0123456789ab: loss 0.3487 of 2,357, promote",):
        assert not differences(stored, notebook(alike))
    for other in (
        "model aa8b03055f37: loss 0.3686 of 2,357, promote",
        "model aa8b03055f37: loss -0.3486 of 2,357, promote",
        "model aa8b03055f37: loss 0.3486 of 2,357, keep",
        "model aa8b03055f37: loss 0.3486 of 2,357, promote it",
    ):
        assert len(differences(stored, notebook(other))) == 1, other


@EACH
def test_only_the_public_api_is_used(path: Path) -> None:
    for cell in cells_of(path, "code"):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Import):
                names = {(alias.name, alias.asname) for alias in node.names}
                assert names <= IMPORTS, cell["id"]
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in {"sklearn", "pathlib"}, cell["id"]
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_") or node.attr == "__name__", (
                    f"{cell['id']}: {node.attr}"
                )
                if isinstance(node.value, ast.Name) and node.value.id == "sc":
                    assert node.attr in sc.__all__, f"{cell['id']}: sc.{node.attr}"


def called(node: ast.expr) -> object | None:
    """Return the object of the public API that an expression names (``sc.plot.stages``)."""
    if isinstance(node, ast.Name):
        return sc if node.id == "sc" else None
    parent = called(node.value) if isinstance(node, ast.Attribute) else None
    return getattr(parent, node.attr) if isinstance(node, ast.Attribute) and parent else None


@EACH
def test_calls_give_arguments_that_the_public_api_takes(path: Path) -> None:
    checked = 0
    for cell in cells_of(path, "code"):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            function = called(node.func) if isinstance(node, ast.Call) else None
            if not isinstance(node, ast.Call) or function is None:
                continue
            assert callable(function), cell["id"]
            positional = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
            names = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
            inspect.signature(function).bind_partial(*positional, **dict.fromkeys(names))
            checked += 1
    assert checked


@EACH
def test_texts_leave_numbers_to_the_code(path: Path) -> None:
    # a number in a text is right once; code displays the number of today
    for cell in cells_of(path, "markdown"):
        text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", "".join(cell["source"]))
        text = re.sub(r"\b(19|20)\d\d(-\d\d(-\d\d)?)?\b", "", text)
        assert not re.findall(r".{0,20}\d.{0,20}", text), cell["id"]


@EACH
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    for cell in cells_of(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)", "".join(cell["source"])):
            assert (path.parent / target).is_file(), target


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

"""The page about customer-base models: its examples run from top to bottom, in a notebook's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import ROOT, blocks


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    examples = blocks(ROOT / "docs" / "customer-base-models.md", "python")
    for text in examples:
        exec(compile(text, "customer-base-models.md", "exec"), names)
    assert len(examples) == 10
    assert (tmp_path / "pareto.json").exists()

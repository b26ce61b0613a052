"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.calling import Stagecast, call


@pytest.fixture
def stagecast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Stagecast:
    """Call the command line from an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: call(capsys, monkeypatch, *args)

"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.training.judging import draws
from tests.serving.calling import Stagecast, call


@pytest.fixture
def stagecast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Stagecast:
    """Call the command line from an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: call(capsys, monkeypatch, *args)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the intervals of a backtest rest on as few draws as those of a large log do."""
    monkeypatch.setattr(draws, "DRAWS", draws.FEWEST_DRAWS)

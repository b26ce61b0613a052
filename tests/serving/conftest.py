"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.few_draws import few_draws
from tests.serving.calling import Stagecast, call


@pytest.fixture
def stagecast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Stagecast:
    """Call the command line from an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: call(capsys, monkeypatch, *args)


@pytest.fixture(name="few_draws")
def with_few_draws() -> Iterator[None]:
    """Let the intervals of a backtest rest on few draws."""
    with few_draws():
        yield

"""The command line called in this process, as the installed script calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from stagecast.serving import cli


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Stagecast = Callable[..., Said]


def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: object
) -> Said:
    """Run the command line, and return its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["stagecast", *map(str, args)])
    capsys.readouterr()
    code = 0
    try:
        cli.main()
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    result = capsys.readouterr()
    return Said(code, result.out, result.err)

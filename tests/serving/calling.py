"""The command line called in this process, as the installed script calls it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

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
    code = exit_code_of_main()
    result = capsys.readouterr()
    return Said(code, result.out, result.err)


def call_in(folder: Path, *args: object) -> str:
    """Run the command line from a folder, for what several tests look at; return what it printed.

    Raises
    ------
    AssertionError
        Its exit code was not 0.
    """
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["stagecast", *map(str, args)])
        code = exit_code_of_main()
    assert code == 0, printed.getvalue()
    return printed.getvalue()


def exit_code_of_main() -> int:
    """Run the command line on ``sys.argv``."""
    try:
        cli.main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0

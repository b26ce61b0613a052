"""The list of commands is said without importing any, and is true."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from stagecast.serving.cli import COMMANDS, cli

HEAVY = {"numpy", "pandas", "pyarrow", "duckdb", "lightgbm", "sklearn", "scipy", "mlflow", "altair"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_each_command_what_its_help_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=500) == COMMANDS[name]


def test_an_unknown_command_is_refused_with_what_there_is() -> None:
    with pytest.raises(click.UsageError, match="No such command 'scores'"):
        cli(["scores"], standalone_mode=False)


def test_help_imports_nothing_that_is_slow_to_import() -> None:
    program = (
        "import json, sys\nfrom stagecast.serving.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert loaded & HEAVY == set()
    assert "backtest" in done.stdout

"""The list of commands is said without importing any, and is true; their help is said without
importing what they work with.
"""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from stagecast.serving.cli import COMMANDS, cli

HEAVY = {
    *("pandas", "pyarrow", "duckdb", "sqlglot", "sqlalchemy", "pydantic", "rich", "fastapi"),
    *("lightgbm", "sklearn", "scipy", "mlflow", "altair", "lifetimes", "lifelines", "pyspark"),
}
HELP_OF_EACH = """
import json, sys
from stagecast.serving.cli import cli
for name in json.loads(sys.argv[1]):
    cli([name, "--help"], standalone_mode=False)
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def packages_loaded(program: str, *args: str) -> tuple[set[str], str]:
    """Run a program that writes the names of its modules to stderr; return their packages, and
    what it printed.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *args], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stderr)}, done.stdout


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
    loaded, text = packages_loaded(program)
    assert loaded & {*HEAVY, "numpy"} == set()
    assert "backtest" in text


def test_the_help_of_no_command_imports_what_is_slow_to_import() -> None:
    loaded, text = packages_loaded(HELP_OF_EACH, json.dumps(list(COMMANDS)))
    assert loaded & HEAVY == set()
    assert text.count("Usage: ") == len(COMMANDS)


def test_only_the_help_that_tells_of_contracts_imports_numpy() -> None:
    others = [name for name in COMMANDS if name not in ("check", "run", "train", "backtest")]
    loaded, _ = packages_loaded(HELP_OF_EACH, json.dumps(others))
    assert "numpy" not in loaded

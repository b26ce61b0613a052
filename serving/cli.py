"""The command line: ``stagecast``.

A command ``NAME`` is the function ``NAME`` of ``stagecast.serving.commands.NAME``: it reads its
options, calls one function, and prints what came of it. Its module is imported when it is called,
and what is slow to import (models, charts, MLflow) when it is needed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from stagecast.features.errors import StagecastError, UsageError
from stagecast.serving.stopping import ending_in_order

COMMANDS = {
    "demo": "The main job on the CDNOW log of the lifetimes package, and where to look next.",
    "check": "What is in the log, what is refused and why, and what the models can do with it.",
    "init": (
        "Write a stagecast.toml for EVENTS, with comments; nothing else is read from it or run."
    ),
    "run": "Check, train, score and report in one go.",
    "stages": "Stage of each customer: customer_id, stage, stage_since, stage_rule.",
    "report": (
        "How customers move through the stages: flows, time on each stage, repeat "
        "orders, cohorts, before and after."
    ),
    "leads": (
        "Leads, best first: customer_id, lead_points, lead_grade, p_convert, "
        "age_days, channel, lead_reasons."
    ),
    "features": (
        "The features of every customer of EVENTS; without --out, the catalogue: "
        "name, unit, meaning."
    ),
    "train": "Train a bundle; also logs to MLflow.",
    "score": "Score every customer of a log with a trained model.",
    "backtest": (
        "Past dates replayed against baselines: how good this model would have "
        "been, and how surely."
    ),
    "plan": "Whom to contact under a budget, with a random hold-out, and what it brought.",
    "channels": (
        "Customers by the channel or campaign they were first seen in: cost, value, payback, "
        "share lost."
    ),
    "whatif": (
        "What customers would be worth over one year and three if fewer left, came back sooner or "
        "paid more."
    ),
    "monitor": (
        "A model watched on a newer log: what it said against what came, what has moved, whether "
        "to retrain."
    ),
    "models": "Registered models: who is champion, whether a challenger is better, and back again.",
    "serve": "The API and the pages.",
    "mcp": "Tools for an MCP client on this machine, which speaks over stdin and stdout.",
    "keys": "API keys of the server: who may do what, and until when.",
    "store": "The store: a backup, its restore, and how long runs are stored.",
    "erase": "Remove one customer everywhere, and prove it byte by byte.",
}
"""Name -> first sentence of its help, so that the list of commands imports none of them."""


class Commands(click.Group):
    """The commands, each imported at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are listed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"stagecast.serving.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; DuckDB's errors about memory and disk say which option to turn."""
        try:
            return super().invoke(ctx)
        except Exception:
            if "duckdb" not in sys.modules:
                raise
            from stagecast.features.intake.limits import (
                explain_resource_errors,
            )  # DuckDB is slow to import

            with explain_resource_errors():
                raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from :data:`COMMANDS`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="stagecast")
def cli() -> None:
    """Churn, lifecycle stage and customer value from a log of events."""


def main() -> None:
    """Run the command line; a user's error is one line on stderr and its exit code."""
    try:
        with ending_in_order():
            cli(standalone_mode=False)
    except StagecastError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end_interrupted()
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # so DuckDB calls Ctrl-C during a query
            raise
        _end_interrupted()
    except BrokenPipeError:
        # whoever read our output has gone, as `head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        click.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(UsageError.exit_code)


def _end_interrupted() -> NoReturn:
    click.echo("stopped; nothing was left half-written", err=True)
    sys.exit(130)

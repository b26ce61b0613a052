"""``stagecast erase``: what it asks, and what it prints."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.erasure_lines import complaint, counted, erasure_lines
from stagecast.serving.commands.options import as_request, common, text_files
from stagecast.serving.requests import ErasureRequest


@click.command()
@as_request(ErasureRequest)
@click.argument("customer_id")
@click.argument("events", nargs=-1)
@click.option(
    "--customer", metavar="COL", help="Column or expression of the customer's id in EVENTS."
)
@click.option(
    "--run",
    "run_folders",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run's --out.",
)
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option("--tracking-uri", metavar="URI", help="MLflow store; default sqlite:///mlflow.db.")
@text_files
@click.option(
    "--include-malformed", is_flag=True, help="Remove malformed lines that name the customer, too."
)
@click.option("--dry-run", is_flag=True, help="Count, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def erase(request: ErasureRequest, as_json: bool, dry_run: bool, yes: bool) -> None:
    """Remove one customer everywhere, and prove it byte by byte.

    From the store with its history, the runs and reports (--run, MLflow), and the logs named as
    EVENTS. Totals that were published, and models, stay as they are.
    """
    from stagecast.serving.jobs.erasure import erase_customer

    outcome = erase_customer(request, _agreed if yes else _confirm, dry_run=dry_run)
    if outcome is None:
        raise click.Abort
    if as_json:
        show_json(outcome.to_json())
    else:
        show(erasure_lines(outcome))
    if outcome.unproven and not dry_run:
        raise DataRefusedError(complaint(outcome))


def _agreed(rows: int, places: int) -> bool:
    return True


def _confirm(rows: int, places: int) -> bool:
    """Ask whether so many rows may go from so many places."""
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked; say --yes, or look first with --dry-run")
    return click.confirm(
        f"Remove {counted(rows, 'row')} from {counted(places, 'place')} for good?", err=True
    )

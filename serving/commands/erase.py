"""``stagecast erase``: what it asks, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.commands.options import common
from stagecast.serving.settings import keep_mlflow_quiet, load_settings

if TYPE_CHECKING:
    from stagecast.serving.erasure.erase import Outcome


@click.command()
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
@click.option(
    "--encoding", default="utf-8", show_default=True, metavar="ENC", help="Of EVENTS that are text."
)
@click.option(
    "--separator", metavar="SEP", help="Between the fields of EVENTS; default: found in the header."
)
@click.option(
    "--include-malformed", is_flag=True, help="Remove malformed lines that name the customer, too."
)
@click.option("--dry-run", is_flag=True, help="Count, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def erase(
    as_json: bool,
    customer_id: str,
    events: tuple[str, ...],
    customer: str | None,
    run_folders: tuple[Path, ...],
    store: str | None,
    tracking_uri: str | None,
    encoding: str,
    separator: str | None,
    include_malformed: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove one customer everywhere, and prove it byte by byte.

    From the store with its history, the runs and reports (--run, MLflow), and the logs named as
    EVENTS. Totals that were published, and models, stay as they are.
    """
    from stagecast.features.intake.options import ReadOptions
    from stagecast.serving.erasure.csv_logs import How
    from stagecast.serving.erasure.erase import erase as erase_customer
    from stagecast.serving.erasure.identity import Customer
    from stagecast.serving.erasure.places import Request

    options = ReadOptions(encoding=encoding, separator=separator)  # refuses what is none
    how = How(
        Customer.parse(customer_id), customer, encoding, options.field_separator, include_malformed
    )
    settings = load_settings(store=store, tracking_uri=tracking_uri)
    keep_mlflow_quiet()
    named = {
        name
        for name, value in (("store", store), ("tracking_uri", tracking_uri))
        if value is not None
    }
    request = Request(
        how, events, run_folders, settings.store, settings.tracking_uri, frozenset(named)
    )

    def confirm(rows: int, places: int) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to be asked; say --yes, or look first with --dry-run")
        return click.confirm(
            f"Remove {_counted(rows, 'row')} from {_counted(places, 'place')} for good?", err=True
        )

    outcome = erase_customer(request, dry_run=dry_run, confirm=confirm)
    if outcome is None:
        raise click.Abort
    if as_json:
        click.echo(json.dumps(outcome.to_json(), ensure_ascii=False))
    else:
        for line in lines(outcome):
            click.echo(line)
    if outcome.unproven and not dry_run:
        raise DataRefusedError(_complaint(outcome))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def lines(outcome: Outcome) -> list[str]:
    """Return the outcome as a table for people."""
    from stagecast.serving.commands.console import table

    searched = f"{_counted(outcome.searched, 'place')} searched"
    if not outcome.results:
        return [f"Nothing found: {searched}, and none names this customer.", *outcome.notes]
    verb = "would go" if outcome.dry_run else "removed"
    rows = [["place", verb, "there now" if outcome.dry_run else "left", "first"]]
    for result in outcome.results:
        left = "?" if result.left is None else f"{result.left:,}"
        first = result.first or (f"{result.alike:,} alike" if result.alike else "")
        rows.append([result.place, f"{result.removed:,}", left, first])
    done = (
        "Nothing was changed (--dry-run)."
        if outcome.dry_run
        else "Searched byte by byte: nothing of the customer is left."
    )
    if outcome.unproven and not outcome.dry_run:
        done = "NOT DONE everywhere: see what is left."
    notes = [f"{result.place}: {result.note}" for result in outcome.results if result.note]
    return [*table(rows, {1, 2}), "", f"{searched}. {done}", *notes, *outcome.notes]


def _complaint(outcome: Outcome) -> str:
    first = outcome.unproven[0]
    what = (
        "could not be erased"
        if first.left is None
        else f"still holds {_counted(first.left, 'occurrence')}"
    )
    where = f", the first at {first.first}" if first.first else ""
    more = (
        f" (and {_counted(len(outcome.unproven) - 1, 'other place')})"
        if len(outcome.unproven) > 1
        else ""
    )
    return f"{first.place} {what}{where}{more}: {first.note or 'erase again'}"

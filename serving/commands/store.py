"""``stagecast store``: backup, restore and retention of what is published."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common
from stagecast.serving.commands.store_option import StoreOption, store_option

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def store() -> None:
    """The store: a backup, its restore, and how long runs are stored."""


@store.command()
@click.argument("file", type=_FILE)
@store_option
@common
def backup(file: Path, store: StoreOption, as_json: bool) -> None:
    """Write the store to a new FILE, as it is at one moment, and check the file.

    The server may go on. FILE is a store in SQLite, also of a store in PostgreSQL.
    """
    from stagecast.serving.commands.store_lines import backup_lines
    from stagecast.serving.jobs.upkeep import backup_store

    made = backup_store(file, store=store)
    if as_json:
        show_json(made.to_json())
    else:
        show(backup_lines(made))


@store.command()
@click.argument("file", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace a store that holds runs.")
@click.option(
    "--erased",
    type=_FILE,
    metavar="FILE",
    help="Text file of customers to erase from what is restored, an id on each line.",
)
@store_option
@common
def restore(
    file: Path, overwrite: bool, erased: Path | None, store: StoreOption, as_json: bool
) -> None:
    """Put the backup FILE in the place of the store, and check the store.

    Customers who were erased from the store since the backup was made do not come back. Stop the
    server, or restart it afterwards.
    """
    from stagecast.serving.commands.store_lines import restore_lines
    from stagecast.serving.jobs.upkeep import restore_store

    done = restore_store(file, overwrite=overwrite, erased=erased, store=store)
    if as_json:
        show_json(done.to_json())
    else:
        show(restore_lines(done, file))


@store.command()
@click.option("--keep-runs", type=int, metavar="N", help="Keep the newest N runs.")
@click.option("--keep-days", type=int, metavar="D", help="Keep runs published within D days.")
@click.option(
    "--unsettled", is_flag=True, help="Delete also runs that the ledger has not settled yet."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@store_option
@common
def prune(
    keep_runs: int | None,
    keep_days: int | None,
    unsettled: bool,
    dry_run: bool,
    store: StoreOption,
    as_json: bool,
) -> None:
    """Delete old runs with their scores, and give the space back.

    The current run stays, and a run that a plan, the ledger or a webhook still needs. With both
    options, a run stays that either keeps.
    """
    from stagecast.serving.commands.store_lines import prune_lines
    from stagecast.serving.jobs.upkeep import prune_store

    done = prune_store(keep_runs, keep_days, unsettled=unsettled, dry_run=dry_run, store=store)
    if as_json:
        show_json(done.to_json())
    else:
        show(prune_lines(done))

"""What ``stagecast store`` prints."""

from __future__ import annotations

from pathlib import Path

from stagecast.features.clock import iso
from stagecast.serving.commands.console import table
from stagecast.serving.upkeep.backup import Backup
from stagecast.serving.upkeep.prune import Pruned, RunFate
from stagecast.serving.upkeep.restore import Restored


def backup_lines(made: Backup) -> list[str]:
    """Return what a backup holds."""
    return [
        f"{made.file}: {_megabytes(made.bytes)}, {made.runs:,} run(s) with {made.scores:,} scores, "
        f"{made.settled:,} settled; checked.",
        f"Restore it with: stagecast store restore {made.file}",
    ]


def restore_lines(done: Restored, file: Path) -> list[str]:
    """Return what the store holds after a restore of a file."""
    lines = [
        f"The store holds {done.runs:,} run(s) with {done.scores:,} scores, {done.settled:,} "
        "settled; checked."
    ]
    if done.replaced_runs:
        lines.append(f"{done.replaced_runs:,} run(s) that it held were replaced.")
    if done.upgraded_from is not None:
        lines.append(f"The backup was of version {done.upgraded_from}, and was upgraded.")
    if done.erased_again:
        lines.append(
            f"{done.erased_again:,} customer(s) who were erased since did not come back. They are "
            f"still in {file}: make a new backup, and delete that file."
        )
    return lines


def prune_lines(done: Pruned) -> list[str]:
    """Return which runs went and which stay."""
    verb = "would be deleted" if done.dry_run else "deleted"
    lines = [f"{len(done.deleted):,} run(s) {verb}, {len(done.stored):,} stay."]
    rows = [["run", "as_of", "published", "customers", "what"]]
    rows += [_row(fate, verb) for fate in (*done.stored, *done.deleted)]
    if len(rows) > 1:
        lines += table(rows, {0, 3})
    if done.deleted and not done.dry_run and done.bytes_before and done.bytes_after is not None:
        lines.append(
            f"The database has {_megabytes(done.bytes_after)}, {_megabytes(done.bytes_before)} "
            "before."
        )
    if done.problem is not None:
        lines.append(f"The space is used again, but was not given back: {done.problem}")
    return lines


def _row(fate: RunFate, verb: str) -> list[str]:
    what = f"stays: {'; '.join(fate.reasons)}" if fate.reasons else verb
    return [str(fate.run), iso(fate.as_of), iso(fate.published_at), f"{fate.customers:,}", what]


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"

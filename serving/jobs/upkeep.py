"""Upkeep of the store that an option or the settings name."""

from __future__ import annotations

from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.features.shop.customer_ids import clean_id
from stagecast.serving.settings import load_settings
from stagecast.serving.store.opening import open_engine
from stagecast.serving.upkeep import copying
from stagecast.serving.upkeep.backup import Backup, backup
from stagecast.serving.upkeep.prune import Pruned, Retention, present, prune
from stagecast.serving.upkeep.restore import Restored, restore


def backup_store(file: Path, *, store: str | None) -> Backup:
    """Write the store to a new file; see :func:`stagecast.serving.upkeep.backup.backup`."""
    return backup(load_settings(store=store).store, file)


def restore_store(
    file: Path, *, overwrite: bool, erased: Path | None, store: str | None
) -> Restored:
    """Put a backup in the place of the store.

    Parameters
    ----------
    file, overwrite
        See :func:`stagecast.serving.upkeep.restore.restore`.
    erased
        Text file with ids of customers to erase from it, one on each line; None: none.
    store
        The store; None: that of the settings.

    Raises
    ------
    UsageError
        The text file cannot be read.
    """
    ids: list[str] = []
    if erased is not None:
        try:
            text = erased.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--erased {erased} cannot be read as UTF-8 text: {error}") from None
        ids = [clean_id(line) for line in text.splitlines() if line.strip()]
    return restore(file, load_settings(store=store).store, overwrite=overwrite, erased=ids)


def prune_store(
    keep_runs: int | None,
    keep_days: int | None,
    *,
    unsettled: bool,
    dry_run: bool,
    store: str | None,
) -> Pruned:
    """Delete old runs; see :func:`stagecast.serving.upkeep.prune.prune`.

    Raises
    ------
    UsageError
        No span is given, or there is no such store.
    """
    retention = Retention(keep_runs, keep_days, unsettled)
    url = load_settings(store=store).store
    file = copying.sqlite_path(url)
    if file is not None and not file.exists():
        raise UsageError(f"--store: {file} does not exist")
    engine = open_engine(url)
    try:
        return prune(engine, retention, present(), dry_run=dry_run)
    finally:
        engine.dispose()

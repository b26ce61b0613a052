"""Folders that appear whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stagecast.features.errors import UsageError


@contextmanager
def new_folder(folder: Path, ours: Sequence[str], *, force: bool) -> Iterator[Path]:
    """Give a draft folder that becomes ``folder`` when all went well, and vanishes when it did not.

    Parameters
    ----------
    ours
        Names of what such a folder holds; one that holds anything else is somebody else's.
    force
        Whether to replace one that is there.

    Raises
    ------
    UsageError
        The folder holds another run and ``force`` is not set, or holds files that are not ours.
    """
    _check_place(folder, ours, force=force)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_place(folder: Path, ours: Sequence[str], *, force: bool) -> None:
    if folder.is_file():
        raise UsageError(f"--out {folder} is a file; name a folder")
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if strange := [name for name in found if name not in ours]:
        what = f"--out {folder} holds '{strange[0]}', which this command did not write"
        raise UsageError(f"{what}; name an empty or a new folder")
    if found and not force:
        raise UsageError(
            f"--out {folder} holds what was written before; replace it with --force, or "
            "name another"
        )

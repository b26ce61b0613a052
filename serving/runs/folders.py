"""Folders that are written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stagecast.features.errors import UsageError


@contextmanager
def new_folder(folder: Path, ours: Sequence[str], *, force: bool) -> Iterator[Path]:
    """Yield a draft folder that is renamed to ``folder`` on success and deleted on failure.

    Parameters
    ----------
    ours
        Names of the files of such a folder; a folder with other files is not replaced.
    force
        Whether to replace an existing folder.

    Raises
    ------
    UsageError
        The folder holds another run and ``force`` is not set, or holds other files.
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
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if foreign := [name for name in names if name not in ours]:
        problem = f"--out {folder} holds '{foreign[0]}', which this command did not write"
        raise UsageError(f"{problem}; name an empty or a new folder")
    if names and not force:
        raise UsageError(
            f"--out {folder} holds what was written before; replace it with --force, or "
            "name another"
        )

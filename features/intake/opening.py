"""Opening of all sources of a log: files, folders, globs and database tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.sources import Source, find_files, is_database, open_file


def open_sources(sources: Sequence[str | Path], options: ReadOptions) -> list[Source]:
    """Open files, folders, globs and database URLs, in order.

    Parameters
    ----------
    sources
        Names as the user wrote them.
    options
        Its ``encoding`` and ``separator`` are those of text files.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`find_files`, :func:`open_file` and
        :func:`stagecast.features.intake.databases.open_database`.
    """
    opened: list[Source] = []
    files: list[str | Path] = []

    def open_files() -> None:
        if files:
            opened.extend(
                open_file(name, options.encoding, options.field_separator)
                for name in find_files(files)
            )
            files.clear()

    for source in sources:
        if is_database(str(source)):
            # SQLAlchemy is slow to import
            from stagecast.features.intake.databases import open_database

            open_files()
            opened.append(open_database(str(source)))
        else:
            files.append(source)
    open_files()
    if not opened:
        find_files([])  # raises the error that says what to give
    return opened

"""Opening of all sources of a log: files, folders, globs and database tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stagecast.features.intake.header_lines import proposing_header_line
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.sources import Source, find_files, is_database, open_file


def open_sources(
    sources: Sequence[str | Path],
    options: ReadOptions,
    needed: Sequence[str] = (),
    place: str = "",
) -> list[Source]:
    """Open files, folders, globs and database URLs, in order.

    Parameters
    ----------
    sources
        Names as the user wrote them.
    options
        Its ``encoding``, ``separator`` and ``header_line`` are those of text files.
    needed, place
        As of :func:`stagecast.features.intake.header_lines.proposing_header_line`.

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
            for name in find_files(files):
                with proposing_header_line([name], options, needed, place):
                    opened.append(
                        open_file(
                            name, options.encoding, options.field_separator, options.header_line
                        )
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

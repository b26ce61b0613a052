"""The erasure of a customer: count the rows, remove them, and search for what is left."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, StagecastError
from stagecast.features.intake import scratch
from stagecast.serving.erasure.customer_column import duckdb_connection
from stagecast.serving.erasure.file_places import Place
from stagecast.serving.erasure.places import Request, gather_places

PLACE_ERRORS = (
    StagecastError,
    OSError,
    sa.exc.SQLAlchemyError,
    sqlite3.Error,
    duckdb.Error,
    pa.ArrowException,
    ValueError,
)
"""Errors of one place, which do not stop the work on the others."""

Confirm = Callable[[int, int], bool]
"""Takes the numbers of rows to remove and of their places; returns whether to remove them."""


@dataclass(frozen=True)
class Result:
    """Result of an erasure in one place.

    Parameters
    ----------
    place, kind
        See :class:`stagecast.serving.erasure.file_places.Place`.
    removed
        Number of removed rows; in a dry run, of rows that would be removed.
    left
        Number of occurrences after the erasure; None: the place could not be searched.
    first
        Position of the first of them.
    alike
        Number of tokens that equal an ambiguous id and may mean something else.
    note
        What went wrong, and what to do.
    """

    place: str
    kind: str
    removed: int
    left: int | None
    first: str | None = None
    alike: int = 0
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """Result of an erasure.

    Parameters
    ----------
    results
        The places in which there was something, or which could not be searched.
    searched
        Number of all places.
    dry_run
        Whether nothing was to be changed.
    notes
        What users must know about the limits of the search.
    """

    results: tuple[Result, ...]
    searched: int
    dry_run: bool
    notes: tuple[str, ...]

    @property
    def removed(self) -> int:
        """Number of removed rows; in a dry run, of rows that would be removed."""
        return sum(result.removed for result in self.results)

    @property
    def left(self) -> int:
        """Number of occurrences after the erasure."""
        return sum(result.left or 0 for result in self.results)

    @property
    def unproven(self) -> list[Result]:
        """Places where an occurrence is left, or that could not be searched."""
        return [result for result in self.results if result.left is None or result.left]

    def to_json(self) -> dict[str, Any]:
        """Return the output of ``--json``; without the id, so that users may keep it as proof."""
        return {
            "dry_run": self.dry_run,
            "removed": self.removed,
            "left": self.left,
            "proven": not self.unproven and not self.dry_run,
            "places_searched": self.searched,
            "places": [asdict(result) for result in self.results],
            "notes": list(self.notes),
        }


def erase(
    request: Request, *, dry_run: bool = False, confirm: Confirm = lambda rows, places: True
) -> Outcome | None:
    """Remove a customer from all places, and search for what is left.

    All places are counted before anything is changed, so that a place that cannot be changed at all
    stops the erasure at the start. If a removal fails later, the others continue, and the outcome
    contains the error.

    Parameters
    ----------
    request
        The customer and the places.
    dry_run
        Whether to count and search only.
    confirm
        Called once before the removal, if there are rows to remove.

    Returns
    -------
    The outcome; None if the removal was not confirmed.

    Raises
    ------
    StagecastError
        A place that the request names does not exist, is of another kind, or cannot be changed.
    """
    with duckdb_connection() as con:
        places = gather_places(con, request)
        try:
            counts = [_count(place) for place in places]
            if not dry_run and any(counts) and not confirm(sum(counts), sum(map(bool, counts))):
                return None
            results = [
                _result(place, rows, dry_run=dry_run)
                for place, rows in zip(places, counts, strict=True)
            ]
        finally:
            for place in places:
                place.close()
    reported = tuple(
        result
        for result in results
        if result.removed or result.alike or result.note or result.left is None or result.left
    )
    return Outcome(reported, len(places), dry_run, _notes(request, dry_run=dry_run))


def _count(place: Place) -> int:
    try:
        return place.count()
    except StagecastError:
        raise
    except PLACE_ERRORS as error:
        raise DataRefusedError(
            f"{place.name} cannot be read: {error}; nothing was changed"
        ) from None


def _result(place: Place, rows: int, *, dry_run: bool) -> Result:
    removed, faults, hits = rows, [], None
    try:
        removed = rows if dry_run else place.remove()
    except PLACE_ERRORS as error:
        removed, faults = 0, [str(error)]
    try:
        hits = place.search()
    except PLACE_ERRORS as error:
        faults.append(f"it could not be searched: {error}")
    if hits is None or (faults and not hits.count):
        return Result(place.name, place.kind, removed, None, None, 0, "; ".join(faults))
    if hits.count and not dry_run and not faults and place.hint:
        faults.append(place.hint)
    return Result(
        place.name, place.kind, removed, hits.count, hits.first, hits.alike, "; ".join(faults)
    )


def _notes(request: Request, *, dry_run: bool) -> tuple[str, ...]:
    notes = []
    root = Path(tempfile.gettempdir())
    if not dry_run:
        scratch.clear_abandoned(root)
    if running := sorted(root.glob(scratch.PREFIX + "*")):
        notes.append(
            f"a job of stagecast is running ({running[0]}): what it has read may hold the "
            "customer; erase again when "
            "it is done"
        )
    if request.customer.ambiguous:
        notes.append(
            "the id is short, a number, or a word of our own files: it was looked for "
            "where a customer's id can stand; "
            "other tokens alike are counted apart"
        )
    if request.store.startswith("postgresql"):
        notes.append(
            "the files, the log and the backups of PostgreSQL cannot be searched from here"
        )
    return tuple(notes)

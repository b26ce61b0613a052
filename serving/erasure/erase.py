"""The whole of it: count, remove, prove."""

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
from stagecast.serving.erasure.customer_column import engine
from stagecast.serving.erasure.file_places import Place
from stagecast.serving.erasure.places import Request, gather

FAULTS = (
    StagecastError,
    OSError,
    sa.exc.SQLAlchemyError,
    sqlite3.Error,
    duckdb.Error,
    pa.ArrowException,
    ValueError,
)
"""What may go wrong in one place without stopping the others."""

Confirm = Callable[[int, int], bool]
"""Is told how many rows go from how many places, and answers whether they may."""


@dataclass(frozen=True)
class Result:
    """What came of one place.

    Parameters
    ----------
    removed
        rows that went; in a dry run, that would go.
    left
        occurrences that are there now; None: it could not be looked at.
    first
        where the first of them stands.
    alike
        tokens that look like a plain id and may mean something else.
    note
        what to know or to do.
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
    """What came of an erasure: the places in which there was something, and how many were
    searched.
    """

    results: tuple[Result, ...]
    searched: int
    dry_run: bool
    notes: tuple[str, ...]

    @property
    def removed(self) -> int:
        """Rows that went; in a dry run, that would go."""
        return sum(result.removed for result in self.results)

    @property
    def left(self) -> int:
        """Occurrences that are there now."""
        return sum(result.left or 0 for result in self.results)

    @property
    def unproven(self) -> list[Result]:
        """Places where something is left, or that could not be looked at."""
        return [result for result in self.results if result.left is None or result.left]

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints. The id is not repeated, so that the proof can be kept."""
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
    """Remove a customer and search for what is left; None: it was not confirmed.

    What cannot be worked on at all is refused before anything is changed. Where a removal fails,
    the others go on, and the outcome says so.

    Raises
    ------
    StagecastError
        A place that was named is not there, or is not what it should be.
    """
    with engine() as con:
        places = gather(con, request)
        try:
            counted = [_counted(place) for place in places]
            if not dry_run and any(counted) and not confirm(sum(counted), sum(map(bool, counted))):
                return None
            results = [
                _result(place, rows, dry_run=dry_run)
                for place, rows in zip(places, counted, strict=True)
            ]
        finally:
            for place in places:
                place.close()
    told = tuple(r for r in results if r.removed or r.alike or r.note or r.left is None or r.left)
    return Outcome(told, len(places), dry_run, _notes(request, dry_run=dry_run))


def _counted(place: Place) -> int:
    try:
        return place.count()
    except StagecastError:
        raise
    except FAULTS as error:
        raise DataRefusedError(
            f"{place.name} cannot be read: {error}; nothing was changed"
        ) from None


def _result(place: Place, rows: int, *, dry_run: bool) -> Result:
    removed, faults, hits = rows, [], None
    try:
        removed = rows if dry_run else place.remove()
    except FAULTS as error:
        removed, faults = 0, [str(error)]
    try:
        hits = place.search()
    except FAULTS as error:
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
    if request.customer.plain:
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

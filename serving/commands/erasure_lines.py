"""What `erase` prints: the places in which there was something, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagecast.serving.commands.console import table

if TYPE_CHECKING:
    from stagecast.serving.erasure.erase import Outcome


def counted(number: int, what: str) -> str:
    """Return a number and what it counts.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def erasure_lines(outcome: Outcome) -> list[str]:
    """Return the outcome as a table for people."""
    searched = f"{counted(outcome.searched, 'place')} searched"
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


def complaint(outcome: Outcome) -> str:
    """Return what is left of the customer, or could not be looked at."""
    first = outcome.unproven[0]
    what = (
        "could not be erased"
        if first.left is None
        else f"still holds {counted(first.left, 'occurrence')}"
    )
    where = f", the first at {first.first}" if first.first else ""
    more = (
        f" (and {counted(len(outcome.unproven) - 1, 'other place')})"
        if len(outcome.unproven) > 1
        else ""
    )
    return f"{first.place} {what}{where}{more}: {first.note or 'erase again'}"

"""Description of a log beyond its counts: gaps, odd days, times of day, buyers, rhythm, delays.

    events -> per customer and day -> per day: gaps, odd days; per customer: buyers, rhythm
           -> times of day, delays                                              -> Quality

Everything is counted inside DuckDB; only figures per day and histograms leave it. Findings are
reported for a person to look at and never refused: a closure at Christmas and a lost delivery look
the same in a log.

What may be changed where: gaps in :mod:`stagecast.features.describe.quality.gaps`, days that stand
out in :mod:`stagecast.features.describe.quality.odd`, customers in
:mod:`stagecast.features.describe.quality.buyers`, regularity in
:mod:`stagecast.features.describe.quality.rhythm`, events in a wrong year in
:mod:`stagecast.features.describe.quality.misdated`, day and month swapped in
:mod:`stagecast.features.describe.quality.swapped`, money in
:mod:`stagecast.features.describe.quality.amounts` and
:mod:`stagecast.features.describe.quality.odd_amounts`; what is warned of on Spark in
:mod:`stagecast.features.describe.quality.on_spark`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from stagecast.features.describe.quality.amounts import Amounts, describe_amounts
from stagecast.features.describe.quality.buyers import Buyers, describe_buyers
from stagecast.features.describe.quality.daily import (
    Calendar,
    FarDay,
    count_customer_days,
    last_recorded_day,
    split_far_days,
)
from stagecast.features.describe.quality.findings import OddDay
from stagecast.features.describe.quality.gaps import Gap, find_gaps
from stagecast.features.describe.quality.misdated import misdated
from stagecast.features.describe.quality.odd import find_odd_days
from stagecast.features.describe.quality.odd_amounts import (
    CustomerNote,
    customer_notes,
    note_sentences,
    odd_amounts,
)
from stagecast.features.describe.quality.rhythm import Rhythm, describe_rhythm
from stagecast.features.describe.quality.swapped import swapped
from stagecast.features.describe.quality.times import (
    Delay,
    TimeOfDay,
    busy_instants,
    describe_delay,
    describe_times,
)
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.intake.counted import counted

__all__ = [
    "Amounts",
    "Buyers",
    "Calendar",
    "CustomerNote",
    "Delay",
    "FarDay",
    "Gap",
    "OddDay",
    "Quality",
    "Rhythm",
    "TimeOfDay",
    "describe",
]


@dataclass(frozen=True)
class Quality:
    """Description of a log; see :func:`describe`.

    Parameters
    ----------
    first_day, last_day
        ISO dates (UTC) of the calendar; single days far from it are among the odd ones.
    days
        UTC days from the first to the last, both included.
    events_per_day
        Median over these days, empty ones included.
    empty_days
        Share of these days without any event, 0 to 1.
    gaps
        Stretches without any event where many were expected, the least likely first, at most five.
    odd_days
        Days that stand out, the most suspicious first, at most ten.
    times
        Where in the day the events lie.
    buyers
        Customers with a purchase, and customers with far too many events.
    rhythm
        Length and regularity of the gaps between purchase days.
    delay
        None where no event has ``recorded_at``.
    warnings
        Sentences about what changes numbers: events in a wrong year, day and month swapped,
        amounts that stand out.
    amounts
        The money of the log; None without amounts.
    notes
        Sentences about the money of single customers.
    """

    first_day: str
    last_day: str
    days: int
    events_per_day: float
    empty_days: float
    gaps: tuple[Gap, ...]
    odd_days: tuple[OddDay, ...]
    times: TimeOfDay
    buyers: Buyers
    rhythm: Rhythm
    delay: Delay | None
    warnings: tuple[str, ...] = ()
    amounts: Amounts | None = None
    notes: tuple[CustomerNote, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready dicts, lists, numbers and texts."""
        values = asdict(self)
        values["buyers"]["heavy"] = list(values["buyers"]["heavy"])
        if values["amounts"] is not None:
            for name in ("customers", "events"):
                values["amounts"][name] = list(values["amounts"][name])
        lists = {name: list(values[name]) for name in ("gaps", "odd_days", "warnings", "notes")}
        return {**values, **lists}

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        lines = [
            f"{counted(self.days, 'day')} from {self.first_day} to {self.last_day}; the median day "
            f"has {counted(round(self.events_per_day), 'event')}, {self.empty_days:.1%} of the "
            "days have none"
        ]
        if self.gaps:
            lines += [
                "no events where many were to be expected:",
                *(f"  {gap.line()}" for gap in self.gaps),
            ]
        if self.odd_days:
            lines += ["days to look at:", *(f"  {odd.day}: {odd.why}" for odd in self.odd_days)]
        lines += [*self.times.lines(), *self.buyers.lines(), *self.rhythm.lines()]
        lines += [] if self.amounts is None else self.amounts.lines()
        return lines if self.delay is None else [*lines, *self.delay.lines()]


def describe(con: duckdb.DuckDBPyConnection, currency: str | None = None) -> Quality:
    """Describe the log that a connection holds.

    Parameters
    ----------
    con
        Holds the table ``events`` of the event contract (:mod:`stagecast.features.events`). Data
        that exceed its memory limit are written to its temporary folder: about 30 bytes for each
        customer and day with an event.
    currency
        Code of the currency that sentences name with amounts; None: not known.

    Raises
    ------
    NotEnoughDataError
        The table is empty.

    >>> import pandas as pd
    >>> from stagecast.features.events import from_frame
    >>> days = ["2025-01-01", "2025-01-03", "2025-01-03"]
    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "b"], "timestamp": days})
    >>> with from_frame(frame) as log:
    ...     quality = describe(log.con)
    >>> quality.days, round(quality.empty_days, 3), quality.times.all_midnight
    (3, 0.333, True)
    >>> quality.buyers.buyers
    2
    """
    with con.cursor() as cursor:  # temporary tables belong to the cursor and are dropped with it
        if not count_customer_days(cursor):
            raise NotEnoughDataError("the log holds no events: there is nothing to describe")
        calendar, far_days = split_far_days(cursor)
        times = describe_times(cursor)
        amounts = describe_amounts(cursor)
        notes, has_refused = (
            ((), False) if amounts is None else customer_notes(cursor, amounts, currency)
        )
        return Quality(
            first_day=calendar.date(0),
            last_day=calendar.date(-1),
            days=len(calendar),
            events_per_day=calendar.median_events,
            empty_days=calendar.empty_share,
            # beyond it the log has not come yet, but for what is known in advance
            gaps=find_gaps(calendar.until(last_recorded_day(cursor))),
            odd_days=find_odd_days(
                calendar, far_days, [] if times.all_midnight else busy_instants(cursor)
            ),
            times=times,
            buyers=describe_buyers(cursor),
            rhythm=describe_rhythm(cursor),
            delay=describe_delay(cursor),
            warnings=(
                *misdated(calendar, far_days),
                *swapped(calendar),
                *([] if amounts is None else odd_amounts(cursor, amounts, notes, currency)),
                *note_sentences(notes, refused=has_refused),
            ),
            amounts=amounts,
            notes=notes,
        )

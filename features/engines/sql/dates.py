"""The dates that a query asks about: which rows were known at each, and what the calendar says
of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagecast.features.catalog.feature import CALENDAR
from stagecast.features.clock import DAY_MICROSECONDS, calendar
from stagecast.features.engines.sql.steps import Step


@dataclass(frozen=True)
class Dates:
    """The dates that are asked about, with what the calendar says of each; one alone is written
    out, not joined.
    """

    says: Mapping[int, Mapping[str, float]]

    @classmethod
    def of(cls, anchor: int, backs: Sequence[int]) -> Dates:
        # by way of whole microseconds, so that a date is the same number however far back one looks
        # at it from
        return cls({back: calendar(anchor - back * DAY_MICROSECONDS) for back in backs})

    @property
    def steps(self) -> list[Step]:
        if len(self.says) == 1:
            return []
        rows = [f"select {back} as back, {_calendar(says)}" for back, says in self.says.items()]
        return [Step("dates", " union all ".join(rows))]

    def seen(self, source: str, columns: str, where: str = "") -> str:
        """Return the query of what was known of a table at each date: ``columns``, ``back`` and
        ``as_of_day``.
        """
        more = f" and {where}" if where else ""
        if self.steps:
            join = f"from {source} join dates on known < -dates.back{more}"
            return f"select {columns}, dates.back, dates.as_of_day {join}"
        ((back, says),) = self.says.items()
        day = f"cast({says['as_of_day']!r} as double) as as_of_day"
        return f"select {columns}, {back} as back, {day} from {source} where known < {-back}{more}"

    def told(self, base: str, columns: Sequence[str], joins: str) -> str:
        """Return the query that puts what the calendar says beside the rows of a step."""
        chosen = f"select {base}.customer, {base}.back, {', '.join(columns)}"
        if self.steps:
            named = ", ".join(f"dates.{name}" for name in CALENDAR)
            return f"{chosen}, {named} from {base} join dates on dates.back = {base}.back {joins}"
        (says,) = self.says.values()
        return f"{chosen}, {_calendar(says)} from {base} {joins}"


def _calendar(says: Mapping[str, float]) -> str:
    return ", ".join(f"cast({value!r} as double) as {name}" for name, value in says.items())

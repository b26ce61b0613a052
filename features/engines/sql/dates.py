"""Dates of a query: the rows known at each date, and its calendar values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagecast.features.catalog.feature import CALENDAR
from stagecast.features.clock import DAY_MICROSECONDS, calendar
from stagecast.features.engines.sql.steps import Step


@dataclass(frozen=True)
class Dates:
    """Dates of a query with their calendar values.

    A single date is written into the query as constants; several are joined.

    Parameters
    ----------
    calendars
        Whole days before the anchor -> name of :data:`CALENDAR` -> value at that date.
    """

    calendars: Mapping[int, Mapping[str, float]]

    @classmethod
    def of(cls, anchor: int, backs: Sequence[int]) -> Dates:
        """Return the dates with their calendar values.

        Parameters
        ----------
        anchor
            The as_of, microseconds since 1970, UTC.
        backs
            Whole days before the anchor.
        """
        # in whole microseconds, so that a date has the same day number from every anchor
        return cls({back: calendar(anchor - back * DAY_MICROSECONDS) for back in backs})

    @property
    def steps(self) -> list[Step]:
        """The step ``dates`` with one row per date; empty for a single date."""
        if len(self.calendars) == 1:
            return []
        rows = [
            f"select {back} as back, {_calendar_columns(values)}"
            for back, values in self.calendars.items()
        ]
        return [Step("dates", " union all ".join(rows))]

    def known_rows(self, source: str, columns: str, where: str = "") -> str:
        """Return the query of the rows of a table that were known at each date.

        Parameters
        ----------
        source
            Table with the column ``known``.
        columns
            Columns to select beside ``back`` and ``as_of_day``.
        where
            Further condition on the rows.
        """
        condition = f" and {where}" if where else ""
        if self.steps:
            join = f"from {source} join dates on known < -dates.back{condition}"
            return f"select {columns}, dates.back, dates.as_of_day {join}"
        ((back, values),) = self.calendars.items()
        day = f"cast({values['as_of_day']!r} as double) as as_of_day"
        rows = f"from {source} where known < {-back}{condition}"
        return f"select {columns}, {back} as back, {day} {rows}"

    def with_calendar(self, base: str, columns: Sequence[str], joins: str) -> str:
        """Return the query of columns of a step together with the calendar values of its date.

        Parameters
        ----------
        base
            Step with ``customer`` and ``back``.
        columns
            Columns to select from ``base`` and the joined steps.
        joins
            Joins of further steps.
        """
        selection = f"select {base}.customer, {base}.back, {', '.join(columns)}"
        if self.steps:
            names = ", ".join(f"dates.{name}" for name in CALENDAR)
            return (
                f"{selection}, {names} from {base} join dates on dates.back = {base}.back {joins}"
            )
        (values,) = self.calendars.values()
        return f"{selection}, {_calendar_columns(values)} from {base} {joins}"


def _calendar_columns(values: Mapping[str, float]) -> str:
    return ", ".join(f"cast({value!r} as double) as {name}" for name, value in values.items())

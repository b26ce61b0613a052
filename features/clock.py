"""All arithmetic on time: instants in UTC, spans in days of 24 hours.

An instant is a timezone-aware ``datetime`` in UTC. A naive one is taken as UTC. There are no months
or years: a span is a whole number of days, written ``90d`` or ``12w``. Where days are those of a
shop (:mod:`stagecast.features.shop.clock`), the same arithmetic is done in shop time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from stagecast.features.errors import UsageError

DAY = timedelta(days=1)
DAY_MICROSECONDS = 86_400_000_000
YEAR_DAYS = 365
"""Days of a year in spans, which know no leap years."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SPAN = re.compile(r"^\s*(\d{1,6})\s*([a-z]*)\s*$", re.IGNORECASE)
_UNIT_DAYS = {"d": 1, "day": 1, "days": 1, "w": 7, "week": 7, "weeks": 7}
_DURATION_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": DAY, "w": 7 * DAY}


class ShopTime(tzinfo):
    """Marks a ``datetime`` as shop time; arithmetic is that of UTC."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return 0: a day of the shop has 24 hours."""
        return timedelta(0)

    def dst(self, _: datetime | None) -> timedelta:
        """Return 0."""
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        """Return a name for people."""
        return "shop"


SHOP = ShopTime()
"""The time zone of datetimes in shop time."""


def to_utc(instant: datetime | date) -> datetime:
    """Return the instant in UTC; a naive one is taken as UTC, a date as its midnight.

    >>> to_utc(date(1998, 1, 1))
    datetime.datetime(1998, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if not isinstance(instant, datetime):
        return datetime(instant.year, instant.month, instant.day, tzinfo=UTC)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def parse_instant(text: str, option: str = "--as-of") -> datetime:
    """Parse an ISO 8601 date or date-time into an instant in UTC.

    Parameters
    ----------
    text
        The date or date-time.
    option
        The option of the command line that the error message names.

    Raises
    ------
    UsageError
        The text is not ISO 8601, or lies outside the years 1 to 9999.

    >>> parse_instant("1998-01-01").isoformat()
    '1998-01-01T00:00:00+00:00'
    >>> parse_instant("1998-01-01T02:00:00+02:00").isoformat()
    '1998-01-01T00:00:00+00:00'
    """
    try:
        return to_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} '{text}' is not an ISO 8601 date; write it like 2011-09-01 or "
            "2011-09-01T12:00:00Z"
        ) from None


def parse_shop_time(text: str, option: str = "--as-of") -> datetime:
    """Parse an ISO 8601 date or date-time; without a zone it is shop time, else an instant.

    Where days are those of UTC, shop time is UTC.

    Raises
    ------
    UsageError
        As :func:`parse_instant`.

    >>> parse_shop_time("1998-01-01").tzinfo is SHOP
    True
    """
    instant = parse_instant(text, option)
    is_local = datetime.fromisoformat(text.strip()).tzinfo is None
    return instant.replace(tzinfo=SHOP) if is_local else instant


def parse_span_days(text: str | int, option: str = "--horizon") -> int:
    """Parse a span such as ``90d`` or ``12w`` into days.

    Parameters
    ----------
    text
        A whole number and its unit.
    option
        The option of the command line that the error message names.

    Raises
    ------
    UsageError
        The unit is missing or has no fixed length (months, years), or the span is below one day.

    >>> parse_span_days("12w")
    84
    """
    match = _SPAN.match(str(text))
    if match is None:
        raise UsageError(
            f"{option} '{text}' is not a span; write a whole number and its unit, like 90d or 12w"
        )
    number, unit = int(match.group(1)), match.group(2).lower()
    if unit not in _UNIT_DAYS:
        problem = "the unit is missing" if not unit else f"'{unit}' has no fixed length here"
        raise UsageError(
            f"{option} '{text}': {problem}; write days or weeks, like {number or 90}d or 12w"
        )
    days = number * _UNIT_DAYS[unit]
    if days < 1:
        raise UsageError(f"{option} '{text}' is below one day; write at least 1d")
    return days


def parse_duration(text: str, option: str) -> timedelta:
    """Parse a short span such as ``30m``, ``2h``, ``1d`` or ``0d``: the allowed error of a clock.

    Parameters
    ----------
    text
        A whole number and its unit: minutes, hours, days or weeks.
    option
        The option of the command line that the error message names.

    Raises
    ------
    UsageError
        The unit is missing or unknown, or the number is not whole.

    >>> parse_duration("2h", "--skew")
    datetime.timedelta(seconds=7200)
    """
    match = _SPAN.match(text)
    unit = match.group(2).lower() if match is not None else ""
    if match is None or unit not in _DURATION_UNITS:
        raise UsageError(
            f"{option} '{text}' is not a span of minutes, hours, days or weeks; write it "
            "like 2h or 1d"
        )
    return int(match.group(1)) * _DURATION_UNITS[unit]


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970-01-01T00:00:00Z, exactly.

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC)) == DAY_MICROSECONDS
    True
    """
    return (to_utc(instant) - EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    """Return the instant that lies ``value`` microseconds after 1970-01-01T00:00:00Z."""
    return EPOCH + timedelta(microseconds=value)


def from_day(day: float) -> datetime:
    """Return the instant of a day number (days since 1970-01-01, UTC), to the microsecond."""
    return from_microseconds(round(day * DAY_MICROSECONDS))


def day_number(instant: datetime) -> float:
    """Return days since 1970-01-01T00:00:00Z; a whole number at midnight UTC.

    >>> day_number(datetime(1970, 1, 2, 12, tzinfo=UTC))
    1.5
    """
    return microseconds(instant) / DAY_MICROSECONDS


def day_after(instant: datetime) -> datetime:
    """Return the first midnight UTC after the instant; of a time in shop time, the shop's.

    >>> day_after(datetime(1998, 6, 30, 23, 59, tzinfo=UTC)).isoformat()
    '1998-07-01T00:00:00+00:00'
    """
    time = instant if instant.tzinfo is SHOP else to_utc(instant)
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + DAY


def iso(instant: datetime) -> str:
    """Return the instant for people: a date alone at midnight, else date and time with ``Z``.

    In shop time it has no ``Z``.

    >>> iso(datetime(1998, 1, 1, tzinfo=UTC)), iso(datetime(1998, 1, 1, 12, 30, tzinfo=UTC))
    ('1998-01-01', '1998-01-01T12:30:00Z')
    """
    utc = to_utc(instant)
    text = utc.replace(tzinfo=None).isoformat()
    mark = "" if instant.tzinfo is SHOP else "Z"
    return f"{text}{mark}".removesuffix(f"T00:00:00{mark}")


def instant_text(instant: datetime) -> str:
    """Return the instant for programs: date, time and ``Z`` always (RFC 3339).

    >>> instant_text(datetime(1998, 1, 1, tzinfo=UTC))
    '1998-01-01T00:00:00Z'
    """
    return to_utc(instant).isoformat().replace("+00:00", "Z")


def calendar(instant_microseconds: int) -> dict[str, float]:
    """Return the calendar columns of an instant, in UTC.

    The columns are described in :data:`stagecast.features.catalog.feature.CALENDAR`.

    Parameters
    ----------
    instant_microseconds
        Microseconds since 1970-01-01T00:00:00Z.

    >>> calendar(0)
    {'as_of_day': 0.0, 'as_of_weekday': 4.0, 'as_of_month': 1.0, 'as_of_year_day': 1.0}
    """
    at = from_microseconds(instant_microseconds)
    return {
        "as_of_day": instant_microseconds / DAY_MICROSECONDS,
        "as_of_weekday": float(at.isoweekday()),
        "as_of_month": float(at.month),
        "as_of_year_day": float(at.timetuple().tm_yday),
    }

"""The Jalali (Solar Hijri) calendar of Iran, from days of the Gregorian calendar."""

from __future__ import annotations

from datetime import date

_BREAKS = (
    *(-61, 9, 38, 199, 426, 686, 756, 818, 1111, 1181),
    *(1210, 1635, 2060, 2097, 2192, 2262, 2324, 2394, 2456, 3178),
)
"""Years in which the rhythm of leap years changes."""
FIRST_YEAR, LAST_YEAR = 1, 2376
_GREGORIAN_OFFSET = 621


def _leaps_and_march(year: int) -> tuple[int, int]:
    """Return the years since the last leap year, 0 in a leap year, and the day in March on which
    the year begins.
    """
    gregorian = year + _GREGORIAN_OFFSET
    leaps, start, jump = -14, _BREAKS[0], 0
    for end in _BREAKS[1:]:
        jump = end - start
        if year < end:
            break
        leaps += jump // 33 * 8 + jump % 33 // 4
        start = end
    passed = year - start
    leaps += passed // 33 * 8 + (passed % 33 + 3) // 4
    if jump % 33 == 4 and jump - passed == 4:
        leaps += 1
    gregorian_leaps = gregorian // 4 - (gregorian // 100 + 1) * 3 // 4 - 150
    march = 20 + leaps - gregorian_leaps
    if jump - passed < 6:
        passed += (jump + 4) // 33 * 33 - jump
    since_leap = ((passed + 1) % 33 - 1) % 4
    return (4 if since_leap == -1 else since_leap), march


def jalali(day: date) -> tuple[int, int, int]:
    """Return year, month and day of the Jalali calendar.

    Parameters
    ----------
    day
        A day from 622-03-22 to 2997-12-31 of the Gregorian calendar.

    Raises
    ------
    ValueError
        The day is earlier or later.

    Notes
    -----
    Source: K. M. Borkowski, "The Persian calendar for 3000 years", Earth, Moon and Planets 74
    (1996), whose breaks agree with the astronomical new year for the years 1 to 2376.

    >>> jalali(date(2024, 3, 20)), jalali(date(1979, 2, 11))
    ((1403, 1, 1), (1357, 11, 22))
    """
    year = day.year - _GREGORIAN_OFFSET
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"{day.isoformat()} is not a day of the Jalali years 1 to 2376")
    since_leap, march = _leaps_and_march(year)
    passed = (day - date(day.year, 3, march)).days
    if passed < 0:
        year -= 1
        if year < FIRST_YEAR:
            raise ValueError(f"{day.isoformat()} is not a day of the Jalali years 1 to 2376")
        # the last half of the year: six months of 30 days, of which the last may have 29
        passed += 179 + (since_leap == 1)
    elif passed <= 185:
        return year, passed // 31 + 1, passed % 31 + 1
    else:
        passed -= 186
    return year, passed // 30 + 7, passed % 30 + 1

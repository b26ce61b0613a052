"""What cannot be known from a log of less than two years, in sentences for the user."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.pace_of_log import PART_DAYS, PaceOfLog

LEAST_DIFFERENCE: Final = 0.05
"""A smaller share of the orders of the horizon is not told."""

UNSEEN: Final = (
    "The log holds less than a year: the weeks of the horizon have not been seen in another year, "
    "so a season of theirs is not in what is expected."
)


def unseen_sentences(history_days: float) -> list[str]:
    """Return that the weeks ahead have not been seen in another year, if so.

    >>> unseen_sentences(400.0)
    []
    """
    return [UNSEEN] if history_days < YEAR_DAYS else []


def peak_sentences(pace: PaceOfLog | None, horizon_days: int) -> list[str]:
    """Return what a peak of a young log leaves open; nothing where there is none.

    Parameters
    ----------
    pace
        The pace of the log; None: without a peak that is over.
    horizon_days
        The horizon.
    """
    if pace is None or pace.is_even:
        return []
    past = np.array(pace.past)
    parts = np.flatnonzero(past > 1.0)
    runs = np.split(parts, np.flatnonzero(np.diff(parts) > 1) + 1)
    run = max(runs, key=lambda part: float(np.log(past[part]).sum()))
    first, last = pace.day - (run[-1] + 1) * PART_DAYS, pace.day - run[0] * PART_DAYS - 1.0
    mean = float(past[run].mean())
    sentences = [
        f"The log of less than two years holds a peak of purchases, from about {_date(first)} to "
        f"{_date(last)} at {mean:.1f} times the usual: whether it was there once or comes every "
        "year cannot be known from it.",
        "A part of it is expected again within the year ahead: if none of it comes, orders and "
        "customer value of the year are about {} lower, if all of it comes, about {} higher; the "
        "value at risk and the value gone are off by as much or more.".format(
            *_differences(pace, float(YEAR_DAYS))
        ),
    ]
    less, more = _differences(pace, float(horizon_days))
    if _share(pace, float(horizon_days))[0] >= LEAST_DIFFERENCE:
        sentences.append(
            f"Its weeks lie within the horizon: the orders expected there are about {less} too "
            f"high if none of it comes, and {more} too low if all of it does."
        )
    return sentences


def _date(day: float) -> str:
    return str(np.datetime64(round(day), "D"))


def _share(pace: PaceOfLog, days: float) -> tuple[float, float]:
    """Return the share of the time ahead without the peak, and with all of it, beyond it."""
    full = PaceOfLog(pace.past, pace.last_year, pace.day)
    ends = np.array([pace.day, pace.day + days])
    expected, with_all = (float(np.diff(one.time_at(ends))[0]) for one in (pace, full))
    return 1.0 - days / expected, with_all / expected - 1.0


def _differences(pace: PaceOfLog, days: float) -> tuple[str, str]:
    less, more = _share(pace, days)
    return f"{less:.0%}", f"{max(more, 0.0):.0%}"

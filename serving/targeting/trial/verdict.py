"""What a read-out says: proven, harmful or not proven yet, and the size next time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, critical_value
from stagecast.serving.targeting.trial.power import POWER

Word = Literal["Proven", "Not proven yet", "Harmful"]
LARGEST_FACTOR = 1000.0
"""A larger list than so many times this one is no advice."""


@dataclass(frozen=True)
class Verdict:
    """What a read-out says.

    Parameters
    ----------
    word
        ``Proven``, ``Not proven yet`` or ``Harmful``.
    sentence
        Why, in plain English.
    customers_next_time
        Size of the list, at the same share held out, that would show an effect as large as the one
        measured; None if that is no use: nothing was measured, or the list would be too large.
    """

    word: Word
    sentence: str
    customers_next_time: int | None


def size_next_time(
    effect: float, standard_error: float, customers: int, level: float = LEVEL
) -> int | None:
    """Return the size of a list that would show the measured effect with 80 % power.

    The standard error falls with the root of the size. The measured effect is itself uncertain:
    after a lucky campaign the size is too small.

    Parameters
    ----------
    effect, standard_error
        Measured effect per customer and its standard error, in the same unit.
    customers
        Size of the list that was measured.
    level
        Confidence level.

    >>> size_next_time(1.0, 1.0, 1000)
    7849
    """
    if not effect:
        return None
    needed = critical_value(level) + critical_value(2 * POWER - 1)
    factor = (needed * standard_error / abs(effect)) ** 2
    return math.ceil(customers * factor) if factor <= LARGEST_FACTOR else None


def judge(
    interval: Interval,
    *,
    what: str,
    standard_error: float,
    customers: int,
    closed: bool,
    level: float = LEVEL,
) -> Verdict:
    """Judge an effect by its interval.

    Parameters
    ----------
    interval
        Effect per contacted customer, net of costs where it is money: the adjusted interval once
        the window is closed, before that the one that holds at all looks.
    what
        What was measured: ``money after costs`` or ``buyers``.
    standard_error
        Of the effect per customer.
    customers
        Size of the list.
    closed
        Whether the window is over.
    level
        Confidence level of the interval.

    >>> judge(Interval(2.0, 1.0, 3.0), what="buyers", standard_error=0.5, customers=100,
    ...       closed=True).word
    'Proven'
    """
    numbers = (
        f"extra {what} per contacted customer {interval.estimate:z.3g}, {level:.0%} interval "
        f"{interval.low:z.3g} to {interval.high:z.3g}"
    )
    when = "the window is closed" if closed else "the window is open; the interval allows for looks"
    if interval.low > 0:
        return Verdict("Proven", f"The contact brought more: {numbers} ({when}).", None)
    if interval.high < 0:
        return Verdict(
            "Harmful", f"The contact brought less than leaving alone: {numbers} ({when}).", None
        )
    size = size_next_time(interval.estimate, standard_error, customers, level)
    if size is None:
        advice = "What was measured is so close to 0 that no list of useful size would show it."
    elif interval.estimate > 0:
        advice = (
            f"If the effect is as large as measured, a list of {size:,} customers with the same "
            f"share held out would show it with {POWER:.0%} power."
        )
    else:
        advice = (
            f"What was measured is a loss; a list of {size:,} customers would show one of that "
            f"size with {POWER:.0%} power."
        )
    return Verdict(
        "Not proven yet", f"Chance explains what was measured: {numbers} ({when}). {advice}", size
    )

"""Faults of a log that look like drift: a renamed or silent event type, amounts in another unit,
customers whose events no longer arrive. They are to be repaired; a model trained on them is worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.training.monitoring.distances import numbers_apart
from stagecast.training.monitoring.rates import WEEK, changed_since

Kind = Literal["renamed", "silent", "unit", "missing customers", "shorter history"]

ALIKE = 0.75
GONE = 0.1
"""A type whose rate is this share of what it was has stopped."""
SURPRISING = 20.0
"""Expected number of independent events from which their absence is no chance: exp(-20)."""
UNIT = 3.0
"""Amounts that are this many times as large, or as small, are in another unit."""
SAME_SHAPE = 0.25
OFTEN = 3.0
"""Orders that are expected of a customer whose silence is noticed."""
FEWEST_REGULARS = 20
LOST_SHARE = 0.25
GO_ON = 0.7
SHORTER = 0.9


@dataclass(frozen=True)
class Fault:
    """Something that looks broken in the log.

    Parameters
    ----------
    kind
        What it is.
    subject
        Event type or column that it is about.
    since
        First day of it, days from the first day of the counts; None: not known.
    sentence
        What was seen and what to check, with ``{since}`` for the day.
    before
        Name of before, of a renamed type.
    """

    kind: Kind
    subject: str
    since: int | None
    sentence: str
    before: str | None = None


@dataclass(frozen=True)
class TypeDays:
    """Events of one type on consecutive days.

    Parameters
    ----------
    name
        The type.
    daily
        Events of each day, shape (days,).
    uses
        Whether features, stages or contracts of the model read the type.
    """

    name: str
    daily: Array
    uses: bool = True


def renamed_types(types: Sequence[TypeDays], training: int) -> list[Fault]:
    """Return types that began after the training as another stopped, by name or by rate.

    Parameters
    ----------
    types
        All types, over the same days.
    training
        Day of the training.
    """
    faults = []
    new = [t for t in types if not t.daily[:training].any() and t.daily.sum() >= SURPRISING]
    for fresh in new:
        begin = int(np.flatnonzero(fresh.daily)[0])
        rate = float(fresh.daily[begin:].mean())
        candidates = []
        for known in types:
            before = known.daily[max(0, begin - 8 * WEEK) : begin]
            usual = float(before.mean()) if len(before) else 0.0
            if usual == 0 or float(known.daily[begin:].mean()) > GONE * usual:
                continue
            alike = _alike(fresh.name, known.name)
            if alike >= ALIKE or 2 / 3 <= rate / usual <= 3 / 2:
                candidates.append((alike, known.name, usual))
        if candidates:
            _, name, usual = max(candidates)
            faults.append(
                Fault(
                    "renamed",
                    fresh.name,
                    begin,
                    f"'{name}' stopped and '{fresh.name}' began on {{since}} ({usual:,.1f} and "
                    f"{rate:,.1f} a day): '{name}' seems to have been renamed. Map "
                    f"'{fresh.name}' to '{name}'; until then it counts as an unknown type.",
                    name,
                )
            )
    return faults


def silent_types(types: Sequence[TypeDays], training: int, renamed: set[str]) -> list[Fault]:
    """Return types that the model reads and that have stopped, those excepted that were renamed.

    Parameters
    ----------
    types, training
        As of :func:`renamed_types`.
    renamed
        Names of types that are explained already.
    """
    faults = []
    for known in types:
        days = np.flatnonzero(known.daily)
        if not known.uses or known.name in renamed or not len(days):
            continue
        last = int(days[-1])
        silence = len(known.daily) - 1 - last
        before = known.daily[max(0, last + 1 - 8 * WEEK) : last + 1]
        weeks = before[len(before) % WEEK :].reshape(-1, WEEK).sum(axis=1)
        if last < training or silence < 2 or len(weeks) < 4:
            continue
        excess = max(1.0, float(weeks.var(ddof=1)) / max(float(weeks.mean()), 1.0))
        expected = float(before.mean()) * silence
        if expected / excess >= SURPRISING:
            faults.append(
                Fault(
                    "silent",
                    known.name,
                    last + 1,
                    f"no '{known.name}' since {{since}}, for {silence} days in which about "
                    f"{expected:,.0f} were to be expected: check that the export is complete.",
                )
            )
    return faults


def other_unit(
    name: str, before: Array, days: Integers, amounts: Array, training: int, length: int
) -> Fault | None:
    """Return that amounts are in another unit: the same distribution, many times as large.

    Parameters
    ----------
    name
        Event type.
    before
        Amounts above 0 up to the training, shape (n,).
    days, amounts
        Day and amount, above 0, of later events, shape (m,).
    training, length
        Day of the training, and number of days in all.
    """
    if min(len(before), len(amounts)) < FEWEST_REGULARS:
        return None
    usual = float(np.median(np.log(before)))
    distance = np.log(amounts) - usual
    is_far = np.abs(distance) > math.log(UNIT)
    if not is_far.any():
        return None
    counts = [np.bincount(days[part], minlength=length)[training:] for part in (is_far, ~is_far)]
    split = _first_day_of_most(counts[0].astype(np.float64), counts[1].astype(np.float64))
    if split is None:
        return None
    since = training + split
    now = np.log(amounts[days >= since])
    if len(now) < FEWEST_REGULARS:
        return None
    ratio = math.exp(float(np.median(now)) - usual)
    if max(ratio, 1 / ratio) < UNIT:
        return None
    shape = numbers_apart(np.log(before), now - math.log(ratio), 0.01)
    if shape is not None and shape.psi > max(SAME_SHAPE, shape.psi_by_chance):
        return None
    times = f"{ratio:,.3g} times as large" if ratio > 1 else f"{1 / ratio:,.3g} times smaller"
    power = round(math.log10(ratio))
    guess = (
        "as if they were in hundredths of the currency, or in another one"
        if power and abs(math.log10(ratio) - power) < 0.1
        else "as if they were in another currency or unit"
    )
    return Fault(
        "unit",
        name,
        since,
        f"amounts of '{name}' are {times} since {{since}}, with the same spread, {guess} (median "
        f"{math.exp(usual):,.2f} before, {math.exp(usual) * ratio:,.2f} since): give the factor in "
        "--amount, or --rates.",
    )


def missing_customers(buyers: Array, expected: Array, came: Array, since: int) -> Fault | None:
    """Return that a part of the customers is missing since a day on which buyers became fewer.

    Where demand falls, all regular customers buy less; where a part of the log is missing, that
    part is silent and the others go on as before.

    Parameters
    ----------
    buyers
        Customers with a purchase on each day, shape (days,).
    expected, came
        Of each customer with a purchase in the 90 days before ``since``: orders that their own rate
        of these days lets expect since then, and orders that came, shape (n,).
    since
        First day with fewer buyers.
    """
    regular = expected >= OFTEN
    silent = regular & (came == 0)
    others = regular & (came > 0)
    if regular.sum() < FEWEST_REGULARS or not others.any():
        return None
    share = float(silent.sum() / regular.sum())
    go_on = float(came[others].sum() / expected[others].sum())
    if share < LOST_SHARE or go_on < GO_ON:
        return None
    before, now = buyers[max(0, since - 4 * WEEK) : since].mean(), buyers[since:].mean()
    return Fault(
        "missing customers",
        "customers",
        since,
        f"{silent.sum():,} of {regular.sum():,} customers who used to order often have ordered "
        f"nothing since {{since}}, while the others go on as before ({go_on:.0%} of their orders); "
        f"{now:,.1f} customers a day buy, after {before:,.1f}: a part of the customers seems to be "
        "missing from the log. Check the export.",
    )


def shorter_history(then: int, now: int, date: str, source: str) -> Fault | None:
    """Return that customers of a past date are no longer in the log.

    Parameters
    ----------
    then, now
        Customers of the date as they were counted at the time, and as the log has them today.
    date
        The date, for people.
    source
        Who counted them, such as ``the training``.
    """
    if not then or now >= SHORTER * then:
        return None
    return Fault(
        "shorter history",
        "customers",
        None,
        f"{source} counted {then:,} customers as of {date}, and this log has {now:,} of that "
        "time: customers or older events are missing from it. Check the export.",
    )


def level_fell(daily: Array, training: int) -> int | None:
    """Return the day since the training on which a level fell abruptly; None where none is.

    Parameters
    ----------
    daily
        Counts of consecutive days, shape (days,).
    training
        Day of the training.
    """
    begin = max(0, training - 8 * WEEK)
    day = changed_since(daily[begin:])
    if day is None or begin + day < training:
        return None
    day += begin
    return day if daily[day:].mean() < 0.8 * daily[begin:day].mean() else None


def _first_day_of_most(far: Array, near: Array) -> int | None:
    """Return the day from which on most amounts are far, and before which most are near."""
    total = far.sum() + near.sum()
    # of each split: far amounts from it on, and near ones before it
    right = far.sum() - np.r_[0.0, np.cumsum(far)] + np.r_[0.0, np.cumsum(near)]
    day = int(np.argmax(right[:-1]))
    after = far[day:].sum() / max(far[day:].sum() + near[day:].sum(), 1.0)
    return day if total and after > 0.5 else None


def _alike(left: str, right: str) -> float:
    first, second = (re.sub(r"[\W_]+", "", name.casefold()) for name in (left, right))
    if first.rstrip("s") == second.rstrip("s"):
        return 1.0
    return float(SequenceMatcher(None, first, second).ratio())

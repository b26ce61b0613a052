"""What a hold-out can show before it is drawn: the smallest effect, the size needed, the cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.drawn_tails import LARGEST_DRAWN, drawn_lists
from stagecast.serving.targeting.trial.expected import Expected
from stagecast.serving.targeting.trial.intervals import LEVEL, NORMAL, critical_value
from stagecast.serving.targeting.trial.redraws import enough_customers
from stagecast.serving.targeting.trial.tails import excluding_zero

POWER = 0.8
LARGEST_LIST = 1_000_000_000
PRECISION = 1e-12
"""Of the smallest part of the leavers that would be shown."""
FEWEST_FOR_TAILS = 10
"""Customers of the smaller arm from which skewness and the error of the error are allowed for."""


@dataclass(frozen=True)
class Detectable:
    """The smallest effect that a list with this hold-out would show.

    Parameters
    ----------
    customers, held_out
        Numbers of customers.
    power, level
        Probability to show the effect, at this confidence level (two-sided).
    can_show
        False if even keeping everybody who would leave would not be shown.
    effect
        Smallest effect per contacted customer, in buyers or money; None if none can be shown.
    total
        The same times the number of contacted customers.
    part_of_leavers
        Part of those who would leave that must be kept for it; None if none can be shown.
    largest_effect
        Effect per contacted customer if everybody who would leave is kept.
    sentence
        The same in plain English, with what is supposed of the spread of money.
    cv
        Supposed standard deviation over mean of what a buyer spends; 0 where buyers are counted.
    """

    customers: int
    held_out: int
    power: float
    level: float
    can_show: bool
    effect: float | None
    total: float | None
    part_of_leavers: float | None
    largest_effect: float
    sentence: str
    cv: float = 0.0


def power_of(
    expected: Expected,
    effect: float,
    held_out: int,
    *,
    customers: int | None = None,
    level: float = LEVEL,
) -> float:
    """Return the probability that the adjusted interval excludes 0, for an effect.

    Parameters
    ----------
    expected
        The customers of the list.
    effect
        Effect per contacted customer, in buyers or money; negative is possible.
    held_out
        Number of held-out customers.
    customers
        Size of the list; None for that of ``expected``, else a list of such customers.
    level
        Confidence level.

    Raises
    ------
    UsageError
        Fewer than 3 customers would be held out, or contacted.

    Source: the test of two means with residual variances (Lin 2013) and Student's t of the
    held-out customers, the smaller arm; where few buy or tails are heavy, with the skewness of
    the estimate and of its standard error (Hall 1992, The Bootstrap and Edgeworth Expansion,
    section 2.6), against the critical values of redrawn hold-outs; the moments are then those
    of lists that are drawn from the scores, since a list of few customers has shorter tails.
    """
    n = len(expected.purchase) if customers is None else customers
    contacted = n - held_out
    smaller = min(held_out, contacted)
    if smaller < 3:
        raise UsageError(
            f"{held_out} held out of {n} customers leave an arm of fewer than 3; change the share"
        )
    largest = expected.largest_effect
    part = min(max(effect / largest, 0.0), 1.0) if largest else 0.0
    variances = expected.variance(part), expected.variance()
    error = math.sqrt(variances[0] / contacted + variances[1] / held_out)
    if not error:
        return 1.0 if effect else 0.0
    critical, shift = critical_value(level, smaller - 2), effect / error
    if smaller < FEWEST_FOR_TAILS:
        return NORMAL.cdf(shift - critical) + NORMAL.cdf(-shift - critical)
    with_contact, alone = (
        np.array([[v, *expected.tails(k)]]).T for v, k in zip(variances, (part, 0.0), strict=True)
    )
    if n < LARGEST_DRAWN and not enough_customers(smaller, 2 * float(alone[1, 0]), variances[1]):
        lists = drawn_lists(expected, n)
        with_contact, alone = lists.moments(part), lists.alone
    return float(_shown(effect, contacted, held_out, critical, with_contact, alone).mean())


def _shown(
    effect: float,
    contacted: int,
    held_out: int,
    critical: float,
    with_contact: Array,
    alone: Array,
) -> Array:
    """Return the power in each list, for outcomes with these second, third and fourth moments in
    the arms, shape (3, n_lists) each.
    """
    arms = ((*with_contact, contacted, 1), (*alone, held_out, -1))
    squared = np.sum([variance / size for variance, _, _, size, _ in arms], axis=0)
    bought = squared > 0
    squared = np.where(bought, squared, 1.0)
    skewness = np.sum([sign * third / size**2 for _, third, _, size, sign in arms], axis=0)
    instability, kurtosis = (
        np.sum(
            [(fourth - normal * variance**2) / size**3 for variance, _, fourth, size, _ in arms],
            axis=0,
        )
        / squared**2
        for normal in (1, 3)
    )
    # the read-out decides by the residuals of both arms together
    variance, third, _ = (contacted * with_contact + held_out * alone) / (contacted + held_out)
    smaller = min(contacted, held_out)
    redrawn = [
        not enough_customers(smaller, t, v)
        for t, v in zip(third.tolist(), variance.tolist(), strict=True)
    ]
    shown = excluding_zero(
        effect / np.sqrt(squared),
        skewness / squared**1.5,
        kurtosis,
        instability,
        critical,
        redrawn=np.array(redrawn),
    )
    return np.where(bought, shown, 0.0)  # without a buyer, a list shows nothing


def detectable(
    expected: Expected, held_out: int, *, power: float = POWER, level: float = LEVEL
) -> Detectable:
    """Return the smallest effect that would be shown with the power asked for.

    The scores are taken at their word: where they are not calibrated, less is shown.

    Parameters
    ----------
    expected
        The customers of the list.
    held_out
        Number of held-out customers.
    power, level
        Probability to show the effect, and confidence level.

    Raises
    ------
    UsageError
        Fewer than 3 customers would be held out, or contacted.

    >>> import numpy as np
    >>> from stagecast.serving.targeting.trial.expected import expected_buyers
    >>> shown = detectable(expected_buyers(np.full(20_000, 0.2)), 2_000)
    >>> round(shown.effect, 4), shown.sentence.split(":")[0]
    (0.0268, '2,000 of 20,000 held out')
    """
    n, largest = len(expected.purchase), expected.largest_effect
    who = f"{held_out:,} of {n:,} held out: "
    if power_of(expected, largest, held_out, level=level) < power:
        return Detectable(
            n, held_out, power, level, False, None, None, None, largest,
            who + "this list cannot show anything. Even if contact kept everybody who would "
            f"leave, that would be shown with less than {power:.0%} power; contact more "
            "customers, hold out more, or pool several plans." + _supposed(expected),
            expected.cv,
        )  # fmt: skip
    part = _smallest(
        lambda k: power_of(expected, k * largest, held_out, level=level) >= power, 0.0, 1.0
    )
    effect = part * largest
    return Detectable(
        n, held_out, power, level, True, effect, effect * (n - held_out), part, largest,
        who + f"an effect of {effect:.3g} per contacted customer would be shown with {power:.0%} "
        f"power, which is {part:.1%} of what the customers who would leave could bring."
        + _supposed(expected),
        expected.cv,
    )  # fmt: skip


def _supposed(expected: Expected) -> str:
    """Return the sentence on the spread of spend, by which money is shown or not."""
    if not expected.cv or not expected.variance():
        return ""
    if expected.cv_from:
        return (
            f" What a buyer spends varies by {expected.cv:.2g} times its expectation, "
            f"{expected.cv_from}."
        )
    wider = replace(expected, cv=2 * expected.cv)
    factor = math.sqrt(wider.variance() / expected.variance())
    return (
        f" This supposes that what a buyer spends varies by {expected.cv:.2g} times its "
        f"expectation; if it varies twice as much, only effects {factor:.2g} times as large are "
        "shown."
    )


def customers_needed(
    expected: Expected, effect: float, share: float, *, power: float = POWER, level: float = LEVEL
) -> int | None:
    """Return how many such customers, at this share held out, would show an effect.

    Parameters
    ----------
    expected
        Customers like those of the list wanted.
    effect
        Effect per contacted customer, in buyers or money.
    share
        Share held out, between 0 and 1.
    power, level
        As in :func:`detectable`.

    Returns
    -------
    int or None
        Size of the list; None if not even a billion customers are enough.

    Raises
    ------
    UsageError
        The share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UsageError(f"a hold-out of {share} of the list is not between 0 and 1; try 0.1")
    smallest = math.ceil(4 / min(share, 1 - share))

    def enough(n: int) -> bool:
        held_out = round(n * share)
        return power_of(expected, effect, held_out, customers=n, level=level) >= power

    return _smallest_integer(enough, smallest)


def held_out_needed(
    expected: Expected, effect: float, *, power: float = POWER, level: float = LEVEL
) -> int | None:
    """Return how many customers of this list must be held out to show an effect.

    Parameters
    ----------
    expected, effect, power, level
        As in :func:`customers_needed`.

    Returns
    -------
    int or None
        The smallest hold-out, at most half of the list; None if half is not enough.
    """

    def enough(held_out: int) -> bool:
        return power_of(expected, effect, held_out, level=level) >= power

    half = len(expected.purchase) // 2
    if half < 3 or not enough(half):
        return None
    return _smallest_integer(enough, 3)


def holdout_cost(net_gain: Array, share: float) -> float:
    """Return the expected money that a random hold-out gives up.

    Parameters
    ----------
    net_gain
        Expected gain of contacting each customer less the cost of the contact, in money, shape
        (n,).
    share
        Share held out, between 0 and 1.

    >>> import numpy as np
    >>> holdout_cost(np.array([2.0, 4.0]), 0.5)
    3.0
    """
    return float(net_gain.sum()) * share


def _smallest(holds: Callable[[float], bool], low: float, high: float) -> float:
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _smallest_integer(holds: Callable[[int], bool], low: int) -> int | None:
    if holds(low):
        return low
    high = low
    while not holds(high):
        high *= 2
        if high > LARGEST_LIST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high

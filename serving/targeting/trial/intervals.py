"""Quantiles of the normal and of Student's distribution, and an estimate with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from stagecast.features.errors import UsageError

LEVEL = 0.95
NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """An estimate, and the ends of its interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Distance of the ends."""
        return self.high - self.low

    def times(self, factor: float) -> Interval:
        """Return the interval of a multiple; the factor must not be negative.

        >>> Interval(1.0, 0.5, 1.5).times(10)
        Interval(estimate=10.0, low=5.0, high=15.0)
        """
        return Interval(self.estimate * factor, self.low * factor, self.high * factor)

    def minus(self, amount: float) -> Interval:
        """Return the interval less a known amount.

        >>> Interval(1.0, 0.5, 1.5).minus(0.5)
        Interval(estimate=0.5, low=0.0, high=1.0)
        """
        return Interval(self.estimate - amount, self.low - amount, self.high - amount)


def around(estimate: float, half_width: float) -> Interval:
    """Return the symmetric interval around an estimate."""
    return Interval(estimate, estimate - half_width, estimate + half_width)


def check_level(level: float) -> float:
    """Return a confidence level, or raise UsageError if it is not between 0 and 1.

    >>> check_level(0.95)
    0.95
    """
    if not 0 < level < 1:
        raise UsageError(f"a confidence level of {level} is not between 0 and 1; take 0.95")
    return level


def error_of(interval: Interval, level: float) -> float:
    """Return the standard error with which a normal interval would be as wide.

    Parameters
    ----------
    interval
        An interval, which need not be symmetric.
    level
        Its confidence level.

    >>> round(error_of(Interval(0.0, -3.0, 0.92), 0.95), 2)
    1.0
    """
    return interval.width / 2 / critical_value(level)


def critical_value(level: float, degrees: float = math.inf) -> float:
    """Return the two-sided critical value of Student's t, or of the normal distribution.

    Parameters
    ----------
    level
        Confidence level, between 0 and 1.
    degrees
        Degrees of freedom; infinite for the normal distribution.

    Raises
    ------
    UsageError
        The level is not between 0 and 1.

    >>> round(critical_value(0.95), 4), round(critical_value(0.95, 4), 4)
    (1.96, 2.7764)
    """
    check_level(level)
    # the lower tail, where a probability close to 1 would lose its digits
    return -student_quantile((1 - level) / 2, degrees)


def student_quantile(probability: float, degrees: float) -> float:
    """Return a quantile of Student's t with the degrees of freedom.

    >>> round(student_quantile(0.025, 10), 4)
    -2.2281
    """
    if math.isinf(degrees):
        return NORMAL.inv_cdf(probability)
    from scipy.special import stdtrit  # a read-out needs it, the start of the server does not

    return float(stdtrit(degrees, probability))

"""How often an interval excludes 0 where the outcome is skewed.

An interval excludes 0 from above if d > c e, where d is the estimate, e its standard error and c
the critical value. Both d and e are means over customers, and skewed outcomes make them go
together: where the held-out happen to have a large customer, d is small and e is large. In units of
the true standard error, with the effect x, the skewness g of d and the relative variance w of the
squared standard error, d - c e has

    mean      x - c (1 - w / 8)
    variance  1 - c g + c^2 w / 4
    skewness  g, to the first order

and its distribution is that of Edgeworth. The critical values of redrawn hold-outs are those of
the studentised estimate without an effect. With k for the excess kurtosis of d they are, by Cornish
and Fisher,

    -+t - g (2 t^2 + 1) / 6 -+ (a g^2 - t (t^2 - 3) k / 12)
    a = t (2 t^2 + 1) / 9 - t (2 t^2 + 1)^2 / 72 + t (t^4 + 2 t^2 - 3) / 18
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from stagecast.features.arrays import Array

_DENSITY_AT_0 = 1 / np.sqrt(2 * np.pi)

LEAST_VARIANCE = 0.25
"""Least variance of d - c e in units of the true one; below it the expansion does not hold."""
LARGEST_SKEWNESS, LARGEST_INSTABILITY = 0.6, 0.6
"""Beyond these, in hold-outs in which a handful buys, the expansion is cut off."""


def excluding_zero(
    shift: Array | float,
    skewness: Array | float,
    kurtosis: Array | float,
    instability: Array | float,
    critical: float,
    *,
    redrawn: NDArray[np.bool_] | bool,
) -> Array:
    """Return the probability that an interval excludes 0, for each list.

    Parameters
    ----------
    shift
        True effect over the standard error, shape (n_lists,) as are those below, or a number.
    skewness, kurtosis
        Of the estimate; the kurtosis in excess of the normal one.
    instability
        Variance of the squared standard error over its square.
    critical
        Critical value of Student's t, two-sided.
    redrawn
        Whether the interval is that of redrawn hold-outs, whose critical values know the tails.

    Source: Hall (1992), The Bootstrap and Edgeworth Expansion, sections 2.5, 2.6 and 3.10.

    >>> float(excluding_zero(2.8016, 0.0, 0.0, 0.0, 1.96, redrawn=False).round(3))
    0.8
    """
    skewness = np.clip(skewness, -LARGEST_SKEWNESS, LARGEST_SKEWNESS)
    instability = np.minimum(instability, LARGEST_INSTABILITY)
    moved = np.where(redrawn, skewness * (2 * critical**2 + 1) / 6, 0.0)
    wider = np.where(redrawn, np.maximum(_second_order(critical, skewness, kurtosis), 0.0), 0.0)
    above = _above(shift, skewness, instability, critical - moved + wider)
    below = _above(-shift, -skewness, instability, critical + moved + wider)
    return np.asarray(np.minimum(above + below, 1.0))


def _second_order(t: float, skewness: Array, kurtosis: Array | float) -> Array:
    """Return by how much skewness and kurtosis widen both sides of redrawn critical values."""
    slope = t * (2 * t**2 + 1) / 9 - t * (2 * t**2 + 1) ** 2 / 72
    slope += t * (t**4 + 2 * t**2 - 3) / 18
    return slope * skewness**2 - t * (t**2 - 3) * kurtosis / 12


def _above(shift: Array | float, skewness: Array, instability: Array, critical: Array) -> Array:
    """Return the probability that the estimate exceeds the critical value times its error."""
    mean = shift - critical * (1 - instability / 8)
    variance = 1 - critical * skewness + critical**2 * instability / 4
    x = -mean / np.sqrt(np.maximum(variance, LEAST_VARIANCE))
    tail = ndtr(-x) + skewness / 6 * (x**2 - 1) * np.exp(-(x**2) / 2) * _DENSITY_AT_0
    return np.asarray(np.clip(tail, 0.0, 1.0))

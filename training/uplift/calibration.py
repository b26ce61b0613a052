"""From a score to an effect in the unit of the outcome, so that it can be compared with a cost.

The line is the best linear predictor of the effect by the score. A learner of effects claims a
slope of 1, which is believed as far as a standard deviation of ``SLOPE_SD`` allows; the slope of
any other score is shrunk by how sure it is. No slope is negative.

Source: Chernozhukov, Demirer, Duflo and Fernandez-Val (2018), "Generic machine learning inference
on heterogeneous treatment effects in randomized experiments", section 2.2 (best linear predictor).
Shrinkage: posterior mean of a normal slope with the prior N(1, SLOPE_SD^2); without a claim, the
positive part of Efron and Morris (1973), "Stein's estimation rule and its competitors".
"""

from __future__ import annotations

from stagecast.features.arrays import Array, Integers
from stagecast.training.uplift.estimate import Estimate, from_influence
from stagecast.training.uplift.rules import Line

SLOPE_SD = 0.5


def slope_of(g: Array, score: Array, customer: Integers) -> Estimate:
    """Return by how much the effect grows with a unit of score, unshrunk.

    Parameters
    ----------
    g
        Unbiased effect of each row, shape (n,).
    score
        Score of each row, by a model that did not learn from the row, shape (n,).
    customer
        Customer of each row, shape (n,).
    """
    centred = score - score.mean()
    spread = float((centred**2).mean())
    if spread <= 1e-24:
        return Estimate(0.0, 0.0)
    slope = float((centred * g).mean()) / spread
    residual = g - g.mean() - slope * centred
    return from_influence(slope, centred * residual / spread, customer)


def calibrate(g: Array, score: Array, customer: Integers, *, is_effect: bool = False) -> Line:
    """Return the line from a score to the effect.

    Parameters
    ----------
    g, score, customer
        As for :func:`slope_of`.
    is_effect
        Whether the score claims to be the effect, in the unit of the outcome.

    Examples
    --------
    >>> import numpy as np
    >>> line = calibrate(np.array([1.0, 3.0]), np.array([0.0, 1.0]), np.arange(2))
    >>> line.level, line.centre, line.slope
    (2.0, 0.5, 2.0)
    """
    slope = slope_of(g, score, customer)
    centre, level = float(score.mean()), float(g.mean())
    noise = slope.standard_error**2
    if is_effect:
        believed = SLOPE_SD**2 / (SLOPE_SD**2 + noise)
        shrunk = 1 + believed * (slope.value - 1)
    else:
        shrunk = slope.value - noise / slope.value if slope.value > 0 else 0.0
    return Line(centre, level, max(shrunk, 0.0))

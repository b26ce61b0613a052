"""Product-limit estimate of durations that are partly censored.

Source: Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations".
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from stagecast.features.arrays import Array, Integers

Durations = TypeVar("Durations", Array, Integers)


def survival(completed: Durations, still_open: Durations) -> tuple[Durations, Array]:
    """Return the product-limit estimate of P(duration > t).

    Parameters
    ----------
    completed, still_open
        Durations that ended, and durations that are still open (censored), in any unit. A duration
        that is open at the time at which another ends is still at risk then.

    Returns
    -------
    times
        The distinct completed durations, ascending.
    probability
        The estimate from each of them to the next, same shape.

    >>> times, probability = survival(np.array([2, 3]), np.array([2, 4]))
    >>> times.tolist(), probability.tolist()
    ([2, 3], [0.75, 0.375])
    """
    times, end_counts = np.unique(completed, return_counts=True)
    durations = np.sort(np.r_[completed, still_open])
    at_risk = len(durations) - np.searchsorted(durations, times, side="left")
    return times, np.asarray(np.cumprod(1 - end_counts / at_risk), dtype=np.float64)

"""How long something takes when not all of it is over yet: the product-limit estimate, by
lifelines.

Source: Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations"; the
confidence interval is Greenwood's exponential formula (log-log).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# The curve is a product of up to a million rounded factors: what falls to a half must count as
# having reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Survival:
    """The estimate of P(duration > t): a step function, 1 before the first of ``times``.

    ``times`` are in the unit of the durations it was fitted on, ascending; ``alive`` is the
    estimate from each of them to the next, ``low`` and ``high`` its 95 % confidence interval.
    """

    times: Ints
    alive: Floats
    low: Floats
    high: Floats

    def quantile(self, share: float) -> float | None:
        """Return the time by which ``share`` (0 to 1) of the durations are over; None where the
        curve stops before.
        """
        reached = np.flatnonzero(self.alive <= 1 - share + ROUNDING)
        return float(self.times[reached[0]]) if len(reached) else None

    def quartiles(self, unit: float) -> tuple[float | None, float | None, float | None]:
        """Return the three quartiles, each divided by ``unit``."""
        found = [self.quantile(share) for share in (0.25, 0.5, 0.75)]
        low, median, high = (None if time is None else time / unit for time in found)
        return low, median, high

    def at(self, time: float) -> tuple[float, float, float]:
        """Return the estimate at a time, and the low and the high end of its interval."""
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        return (
            (float(self.alive[step]), float(self.low[step]), float(self.high[step]))
            if step >= 0
            else (1.0, 1.0, 1.0)
        )


def product_limit(completed: Ints, still_open: Ints) -> Survival:
    """Return the product-limit estimate of durations, those that still last being censored.

    Parameters
    ----------
    completed, still_open
        Durations in whole units of whatever length, 0 or more. One that is open at the instant
        another ends is still at risk then.

    >>> product_limit(np.array([2, 3]), np.array([2, 4])).alive.round(3).tolist()
    [0.75, 0.375]
    """
    # the import takes two seconds, which those who want no flows are spared
    from lifelines import KaplanMeierFitter  # type: ignore[import-untyped]  # lifelines ships no types

    times, ended = np.unique(completed, return_counts=True)
    nothing = np.zeros(0)
    if not len(times):
        return Survival(times, nothing, nothing, nothing)
    # Between two ends the curve is flat: an open duration says as much as if it had been left at
    # the last end it saw. So there is one row per distinct end; those that saw none say nothing.
    left = np.bincount(np.searchsorted(times, still_open, side="right"), minlength=len(times) + 1)[
        1:
    ]
    # The estimate hangs on their order alone, and ranks, unlike microseconds, are exact as the
    # floats of lifelines.
    rank = np.arange(1, len(times) + 1)
    fitted = KaplanMeierFitter().fit(
        np.r_[rank, rank[left > 0]].astype(np.float64),
        event_observed=np.r_[np.ones(len(times)), np.zeros((left > 0).sum())],
        weights=np.r_[ended, left[left > 0]],
    )
    # lifelines puts a time 0 before the first
    alive = fitted.survival_function_.to_numpy()[1:, 0]
    interval = fitted.confidence_interval_.to_numpy()[1:]
    return Survival(times, alive, interval[:, 0], interval[:, 1])

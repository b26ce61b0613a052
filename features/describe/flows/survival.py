"""Product-limit estimate with its confidence interval, and quantiles of durations.

The interval is Greenwood's exponential formula (log-log), computed by lifelines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.survival import survival

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# The curve is a product of up to a million rounded factors: a value within this distance of a
# quantile counts as having reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Survival:
    """The estimate of P(duration > t): a step function, 1 before the first of ``times``.

    Parameters
    ----------
    times
        Distinct durations that ended, ascending, in the unit of the durations, shape (n_times,).
    probability
        The estimate from each of ``times`` to the next, shape (n_times,).
    low, high
        Its 95 % confidence interval, shape (n_times,).
    """

    times: Ints
    probability: Floats
    low: Floats
    high: Floats

    def quantile(self, share: float) -> float | None:
        """Return the time by which ``share`` (0 to 1) of the durations are over.

        None if the curve does not fall that far.
        """
        reached = np.flatnonzero(self.probability <= 1 - share + ROUNDING)
        return float(self.times[reached[0]]) if len(reached) else None

    def quartiles(self, unit: float) -> tuple[float | None, float | None, float | None]:
        """Return the three quartiles, each divided by ``unit``."""
        times = [self.quantile(share) for share in (0.25, 0.5, 0.75)]
        low, median, high = (None if time is None else time / unit for time in times)
        return low, median, high

    def at(self, time: float) -> tuple[float, float, float]:
        """Return the estimate at a time, and the low and high end of its interval."""
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        return (
            (float(self.probability[step]), float(self.low[step]), float(self.high[step]))
            if step >= 0
            else (1.0, 1.0, 1.0)
        )


def product_limit(completed: Ints, still_open: Ints) -> Survival:
    """Return the product-limit estimate of durations, with the open ones as censored.

    Parameters
    ----------
    completed, still_open
        Durations as integers in any unit, 0 or more. A duration that is open at the time at which
        another ends is still at risk then.

    >>> product_limit(np.array([2, 3]), np.array([2, 4])).probability.round(3).tolist()
    [0.75, 0.375]
    """
    # imported here, since it takes two seconds that only the flows need
    from lifelines import KaplanMeierFitter  # type: ignore[import-untyped]  # lifelines ships no types

    times, probability = survival(completed, still_open)
    if not len(times):
        return Survival(times, probability, probability, probability)
    end_counts = np.unique(completed, return_counts=True)[1]
    # Between two ends the curve is flat, so an open duration counts as censored at the last end
    # before it. So one row per distinct end is enough; durations censored before the first end do
    # not count.
    censored_counts = np.bincount(
        np.searchsorted(times, still_open, side="right"), minlength=len(times) + 1
    )[1:]
    # The interval depends only on the order of the times, and ranks, unlike microseconds, are exact
    # as the floats of lifelines.
    rank = np.arange(1, len(times) + 1)
    fitted = KaplanMeierFitter().fit(
        np.r_[rank, rank[censored_counts > 0]].astype(np.float64),
        event_observed=np.r_[np.ones(len(times)), np.zeros((censored_counts > 0).sum())],
        weights=np.r_[end_counts, censored_counts[censored_counts > 0]],
    )
    # lifelines adds a time 0 before the first
    interval = fitted.confidence_interval_.to_numpy()[1:]
    return Survival(times, probability, interval[:, 0], interval[:, 1])

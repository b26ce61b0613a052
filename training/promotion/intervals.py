"""The mean of paired differences over dates, and how sure it is by customers and by dates.

Rows of one customer at several dates are alike, and so are all customers of one date: a mild season
helps the same model everywhere. The variance counts both (Cameron, Gelbach and Miller 2011, "Robust
inference with multiway clustering", equation 2.9): that of customers, plus that of dates, less that
of rows, and never less than either of the first two.

Horizons of neighbouring dates overlap, so their errors are alike: with a correlation of 1 less the
distance over the horizon, which is that of sums of the same independent days. The variance between
dates and its degrees of freedom follow from this matrix (Satterthwaite 1946, "An approximate
distribution of estimates of variance components"). With few dates the t quantile is large, as it
has to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY

MOST_DEGREES = 1000.0


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its standard error, and the degrees of freedom of the latter."""

    mean: float
    error: float
    degrees: float

    def bound(self, level: float) -> float:
        """Return the end of the one-sided interval that the true mean is below with probability
        ``level``; ``level`` below one half gives the lower end.
        """
        if not np.isfinite(self.error):
            return float(np.copysign(np.inf, level - 0.5))
        if self.error == 0.0:
            return self.mean
        return self.mean + float(student_t.ppf(level, self.degrees)) * self.error


@dataclass(frozen=True)
class Sample:
    """Paired differences of one date, shape (n_rows,), with the customer of each."""

    as_of: datetime
    customers: NDArray[np.object_]
    differences: Array


def mean_difference(samples: Sequence[Sample], horizon_days: int) -> Estimate:
    """Return the mean over the dates of the mean difference of each.

    Parameters
    ----------
    samples
        Dates with at least one customer; others are left out.
    horizon_days
        Length of the horizons, which overlap where dates are closer than that.
    """
    samples = [sample for sample in samples if len(sample.differences)]
    count = len(samples)
    if not count:
        return Estimate(float("nan"), float("inf"), 1.0)
    means = np.array([sample.differences.mean() for sample in samples])
    mean = float(means.mean())
    if count < 2:
        return Estimate(mean, float("inf"), 1.0)
    alike = overlap([sample.as_of for sample in samples], horizon_days)
    of_dates, degrees = _between_dates(means, alike)
    parts = [
        (s.differences - m) / (len(s.differences) * count)
        for s, m in zip(samples, means, strict=True)
    ]
    of_rows = sum(float(part @ part) for part in parts)
    _, number = np.unique(
        np.concatenate([sample.customers for sample in samples]), return_inverse=True
    )
    sums = np.bincount(number, weights=np.concatenate(parts))
    of_customers = float(sums @ sums)
    variance = max(of_customers + of_dates - of_rows, of_customers, of_dates)
    # the more of the variance comes from customers, the less it matters that dates are few: half of
    # what Satterthwaite allows (the ratio, and not its square), since the ratio is estimated, too
    degrees *= min(variance / of_dates, MOST_DEGREES) if of_dates > 0 else MOST_DEGREES
    return Estimate(mean, float(np.sqrt(variance)), degrees)


def overlap(dates: Sequence[datetime], horizon_days: int) -> Array:
    """Return the correlation between the horizons of dates, shape (n_dates, n_dates).

    >>> from datetime import datetime
    >>> overlap([datetime(2024, 1, 1), datetime(2024, 1, 31)], 90).round(3).tolist()
    [[1.0, 0.667], [0.667, 1.0]]
    """
    days = np.array([(date - dates[0]) / DAY for date in dates])
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(days[:, None] - days[None, :]) / horizon_days))


def _between_dates(means: Array, alike: Array) -> tuple[float, float]:
    """Return the variance of the mean over dates, and its degrees of freedom."""
    count = len(means)
    centred = np.eye(count) - 1.0 / count
    spread = centred @ alike
    trace = float(np.trace(spread))
    if trace <= 0.0:
        return float("inf"), 1.0
    scale = float(((means - means.mean()) ** 2).sum()) / trace
    degrees = trace**2 / float(np.trace(spread @ spread))
    return scale * float(alike.sum()) / count**2, max(degrees, 1.0)

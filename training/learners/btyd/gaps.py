"""Sums over the gaps between each customer's purchase days, of which the regularity is estimated.

Days are whole, so that gaps are at least 1. A customer who buys at random has geometric gaps, whose
logs are less spread than those of exponential gaps: the shorter the gaps, the more regular they
look. The digamma function of a gap has no such fault, since its mean over geometric gaps of mean g
is ``log(g) - 0.5772``, as that of the log is over exponential ones; but it makes short regular gaps
look more random than they are. The log estimates k, the digamma function guards random logs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from stagecast.features.arrays import Array, Integers


@dataclass(frozen=True)
class LogGaps:
    """Sums over each customer's gaps between purchase days, shape (n_customers,) each.

    Parameters
    ----------
    log
        Of the log of the gap in days.
    digamma
        Of the digamma function of the gap in days.
    """

    log: Array
    digamma: Array

    @classmethod
    def of(cls, customer: Integers, day: Integers, customers: int) -> LogGaps:
        """Return the sums of customers 0, 1, ... from purchase days ordered by customer and day.

        >>> LogGaps.of(np.array([0, 0, 0, 2]), np.array([3, 4, 14, 5]), 3).log.round(3).tolist()
        [2.303, 0.0, 0.0]
        """
        same = customer[1:] == customer[:-1]
        gap, buyer = np.diff(day)[same], customer[1:][same]
        whole = np.arange(1.0, float(gap.max(initial=1)) + 1.0)

        def total(values: Array) -> Array:
            sums = np.bincount(buyer, weights=values[gap - 1], minlength=customers)
            return np.asarray(sums, dtype=np.float64)

        return cls(total(np.log(whole)), total(digamma(whole)))

    def of_rows(self, rows: NDArray[np.int64] | slice) -> LogGaps:
        """Return the sums of some customers."""
        return LogGaps(self.log[rows], self.digamma[rows])

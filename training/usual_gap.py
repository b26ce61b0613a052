"""The customer's own rhythm: the usual gap between orders, and how far a silence is beyond it.

    usual_gap_days  =  mean gap between purchase days          null with fewer than two gaps
    days_overdue    =  max(0, recency_days - usual_gap_days)   null where the usual gap is

A gap that occurred once is an interval and no rhythm, so three purchase days are needed. Nothing of
the shop is mixed in, unlike in ``rhythm_days``, whose ratio stages are made of: a reader can work
both numbers out from the dates of the orders.
"""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array

LEAST_GAPS = 2
"""Gaps between purchase days from which their mean is called usual."""


def usual_gap(gap_mean: Array, frequency: Array) -> Array:
    """Return the usual gap in days, NaN where there are too few gaps.

    Parameters
    ----------
    gap_mean
        Mean gap between purchase days in days, NaN without one, shape (rows,).
    frequency
        Repeat purchase days, which is the number of gaps, shape (rows,).

    >>> usual_gap(np.array([np.nan, 30.0, 11.0]), np.array([0.0, 1.0, 2.0]))
    array([nan, nan, 11.])
    """
    return np.where(frequency >= LEAST_GAPS, gap_mean, np.nan)


def days_overdue(recency_days: Array, usual_gap_days: Array) -> Array:
    """Return by how many days a silence exceeds the usual gap, 0 where it does not.

    Parameters
    ----------
    recency_days
        Days from the last purchase day to the as_of, shape (rows,).
    usual_gap_days
        The usual gap in days, NaN where it is not known, shape (rows,).

    >>> days_overdue(np.array([27.0, 9.0, 5.0]), np.array([11.0, 11.0, np.nan]))
    array([16.,  0., nan])
    """
    return np.maximum(recency_days - usual_gap_days, 0.0)

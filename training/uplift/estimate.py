"""A figure of a sample of customers with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from stagecast.features.arrays import Array, Integers

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its standard error, both in the unit of the figure."""

    value: float
    standard_error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - self._half

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + self._half

    @property
    def _half(self) -> float:
        return float(ndtri((1 + LEVEL) / 2)) * self.standard_error


def from_influence(value: float, influence: Array, customer: Integers) -> Estimate:
    """Return a figure with the standard error that its influence function gives.

    Parameters
    ----------
    value
        The figure.
    influence
        Influence of each row on the figure, shape (n,): the figure changes by ``influence / n``
        where the row counts once more.
    customer
        Customer of each row, shape (n,); the rows of a customer are not independent.

    Source: van der Vaart (1998), "Asymptotic statistics", section 20.1; summed by customer as in
    Liang and Zeger (1986).
    """
    sums = np.bincount(customer, weights=influence - influence.mean())
    groups = int((np.bincount(customer) > 0).sum())
    correction = groups / max(groups - 1, 1)
    return Estimate(value, math.sqrt(float(sums @ sums) * correction) / len(influence))


def mean_estimate(values: Array, customer: Integers) -> Estimate:
    """Return the mean over rows, shape (n,), with its standard error.

    >>> mean_estimate(np.array([0.0, 2.0]), np.array([0, 1]))
    Estimate(value=1.0, standard_error=1.0)
    """
    return from_influence(float(values.mean()), values, customer)

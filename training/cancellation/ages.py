"""Hazard of a cancellation by the age of the contract: a life table of days, smoothed.

A day of age counts for a spell where the spell was open at its beginning and the day ended before
the as_of, cancelled in it or not; a day that contains the as_of could only show cancellations. The
hazard is constant within a group of days. A group has at least some number of observed or expected
cancellations, and its rate is shrunk towards that of the group before it by the weight of one
cancellation. Days on which contracts are renewed therefore stand out where they have enough
cancellations.

Source: life table with right censoring, Kaplan and Meier (1958), "Nonparametric estimation from
incomplete observations", Journal of the American Statistical Association 53; in periods Singer and
Willett (1993), "It's about time: using discrete-time survival analysis", Journal of Educational
Statistics 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array

# Upper bound of a rate, also on a day on which everybody cancelled.
_MAX_RATE = 1.0 - 1e-6
# Lower bound of a rate, as a share of the average rate.
_MIN_RATE_SHARE = 0.01


@dataclass(frozen=True)
class AgeHazard:
    """P(cancelled on a day of age | open at its beginning), constant between edges.

    Parameters
    ----------
    edges_days
        Ages in whole days at which the rate changes, ascending.
    rates
        Cancellations per contract and day, each above 0 and below 1; one more than edges.
    """

    edges_days: tuple[int, ...]
    rates: tuple[float, ...]

    def cumulative(self, age_days: Array) -> Array:
        """Return the cumulative hazard from 0 to an age, shape (rows,); 0 at negative ages."""
        rates = -np.log1p(-np.array(self.rates))
        starts = np.array([0.0, *self.edges_days])
        at_starts = np.r_[0.0, np.cumsum(np.diff(starts) * rates[:-1])]
        age = np.maximum(age_days, 0.0)
        k = np.searchsorted(starts, age, side="right") - 1
        return np.asarray(at_starts[k] + (age - starts[k]) * rates[k])

    def ahead(self, age_days: Array, span_days: Array | float) -> Array:
        """Return the cumulative hazard over ``span_days`` from an age on, shape (rows,)."""
        age = np.maximum(age_days, 0.0)
        return np.asarray(self.cumulative(age + span_days) - self.cumulative(age))

    def age_at(self, cumulative: Array) -> Array:
        """Return the age in days with this cumulative hazard, the inverse of :meth:`cumulative`."""
        rates = -np.log1p(-np.array(self.rates))
        starts = np.array([0.0, *self.edges_days])
        at_starts = np.r_[0.0, np.cumsum(np.diff(starts) * rates[:-1])]
        k = np.searchsorted(at_starts, cumulative, side="right") - 1
        return np.asarray(starts[k] + (cumulative - at_starts[k]) / rates[k])

    def to_json(self) -> dict[str, Any]:
        return {"edges_days": list(self.edges_days), "rates": list(self.rates)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AgeHazard:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        edges, rates = (
            tuple(int(edge) for edge in data["edges_days"]),
            tuple(float(rate) for rate in data["rates"]),
        )
        if set(data) != {"edges_days", "rates"} or len(rates) != len(edges) + 1:
            raise ValueError("a hazard by age has edges and one rate more than these")
        if list(edges) != sorted(set(edges)) or any(edge < 1 for edge in edges):
            raise ValueError(f"the ages {list(edges)[:5]} do not ascend from 1")
        if not all(0.0 < rate < 1.0 for rate in rates):
            raise ValueError("a rate is not between 0 and 1")
        return cls(edges, rates)

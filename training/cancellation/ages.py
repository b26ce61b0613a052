"""The hazard of a cancellation by the age of the contract: a life table of days, drawn together
where it is thin.

A day of age counts for a spell where the spell was open at its beginning and the day was over
before the as_of, cancelled in it or not: a day that the as_of cuts would tell of cancellations
only. The hazard is the same on all days of a group; a group has at least so many cancellations, or
as many to expect, and is drawn to the group before it as if by one cancellation more. So the days
on which contracts are renewed stand out where cancellations enough fall on them.

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

# A day on which everybody cancelled still leaves somebody.
_MOST = 1.0 - 1e-6
# Part of the average rate that the quietest age has.
_LEAST = 0.01


@dataclass(frozen=True)
class AgeHazard:
    """P(cancelled on a day of age, not before it), constant between ages.

    Parameters
    ----------
    edges_days
        ages in whole days at which it changes, ascending; there is one rate more than edges.
    rates
        cancellations per contract and day, each above 0 and below 1.
    """

    edges_days: tuple[int, ...]
    rates: tuple[float, ...]

    def cumulative(self, age_days: Array) -> Array:
        """Return minus the log of the share of contracts that reach an age, one per row; before
        0, 0.
        """
        rates = -np.log1p(-np.array(self.rates))
        lows = np.array([0.0, *self.edges_days])
        at_lows = np.r_[0.0, np.cumsum(np.diff(lows) * rates[:-1])]
        age = np.maximum(age_days, 0.0)
        k = np.searchsorted(lows, age, side="right") - 1
        return np.asarray(at_lows[k] + (age - lows[k]) * rates[k])

    def ahead(self, age_days: Array, span_days: Array | float) -> Array:
        """Return minus the log of the share of contracts of an age that last so many days more."""
        age = np.maximum(age_days, 0.0)
        return np.asarray(self.cumulative(age + span_days) - self.cumulative(age))

    def age_at(self, cumulative: Array) -> Array:
        """Return the age at which :meth:`cumulative` has a value: its inverse."""
        rates = -np.log1p(-np.array(self.rates))
        lows = np.array([0.0, *self.edges_days])
        at_lows = np.r_[0.0, np.cumsum(np.diff(lows) * rates[:-1])]
        k = np.searchsorted(at_lows, cumulative, side="right") - 1
        return np.asarray(lows[k] + (cumulative - at_lows[k]) / rates[k])

    def to_json(self) -> dict[str, Any]:
        return {"edges_days": list(self.edges_days), "rates": list(self.rates)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AgeHazard:
        """Read what :meth:`to_json` gives.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
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

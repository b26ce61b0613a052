"""P(first purchase in the horizon) of each lead, and what the converted then bring: the models of
this folder as one.

Where few converted, it is the smoothed share: conversions over conversions and open lead-horizons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.training.leads.activity import ActivityModel
from stagecast.training.leads.hazard import HazardModel

LOW_DATA = 30
UNKNOWN = 0.25
"""The probability where no lead was ever seen: one half of one in two."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class LeadConversion:
    """P(first purchase in the horizon), and what the converted then bring.

    Parameters
    ----------
    hazard
        None where too few converted; then every lead has the ``share``.
    activity
        None where it was not worth while.
    share
        P(first purchase in ``horizon_days``) of a lead of whom nothing is known.
    orders, spend
        means within the horizon over those who bought in it.
    rows
        leads that were learned from.
    conversions
        how many of them converted.
    """

    hazard: HazardModel | None
    activity: ActivityModel | None
    share: float
    horizon_days: int
    orders: float
    spend: float
    rows: int
    conversions: int

    @property
    def low_data(self) -> bool:
        """Whether too few converted for more than a first guess."""
        return self.conversions < LOW_DATA

    def probability(
        self,
        columns: Mapping[str, Array],
        categories: Mapping[str, Texts] | None = None,
        horizon_days: int | None = None,
    ) -> Array:
        """Return P(first purchase within the horizon), one per row, above 0 and below 1.

        Parameters
        ----------
        columns
            ``tenure_days`` (age of the lead) and, where activity is used, the columns it was
            learned from.
        categories
            What was known at the start: column -> one text per row. Values and columns not known
            count as average.
        horizon_days
            None: that of the training.
        """
        age, span = columns["tenure_days"], horizon_days or self.horizon_days
        if self.hazard is None:
            return np.full(len(age), 1.0 - (1.0 - self.share) ** (span / self.horizon_days))
        ahead = self.hazard.ahead(age, float(span)) * self.hazard.multiplier(
            categories or {}, len(age)
        )
        if self.activity is not None:
            ahead = ahead * self.activity.multiplier(columns)
        # of n leads seen, n + 1 of n + 2 is the most that can be believed
        return np.clip(-np.expm1(-ahead), _SMALLEST, (self.rows + 1) / (self.rows + 2))

    def to_json(self) -> dict[str, Any]:
        return {
            "hazard": None if self.hazard is None else self.hazard.to_json(),
            "activity": None if self.activity is None else self.activity.to_json(),
            "share": self.share,
            "horizon_days": self.horizon_days,
            "orders": self.orders,
            "spend": self.spend,
            "rows": self.rows,
            "conversions": self.conversions,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LeadConversion:
        hazard, activity = data["hazard"], data["activity"]
        return cls(
            None if hazard is None else HazardModel.from_json(hazard),
            None if activity is None else ActivityModel.from_json(activity),
            float(data["share"]),
            int(data["horizon_days"]),
            float(data["orders"]),
            float(data["spend"]),
            int(data["rows"]),
            int(data["conversions"]),
        )

"""P(first purchase in the horizon) of each lead, with the orders and spend that follow.

With few conversions it is a smoothed share: conversions over conversions plus open lead-horizons.
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
"""The probability in a log without leads: half a conversion in two."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class LeadConversion:
    """P(first purchase in the horizon) of leads, and the orders and spend of those who convert.

    Parameters
    ----------
    hazard
        Hazard by age and category; None with too few conversions, when every lead has ``share``.
    activity
        Multiplier by activity; None where it did not improve the fit.
    share
        P(first purchase in ``horizon_days``) of a lead without any information.
    horizon_days
        Horizon that it was trained for, in days.
    orders, spend
        Means within the horizon of the leads who bought in it.
    rows
        Number of leads that it was fitted on.
    conversions
        Number of conversions among them.
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
        """Whether there were too few conversions for more than a rough estimate."""
        return self.conversions < LOW_DATA

    def probability(
        self,
        columns: Mapping[str, Array],
        categories: Mapping[str, Texts] | None = None,
        horizon_days: int | None = None,
    ) -> Array:
        """Return P(first purchase within the horizon), shape (rows,), in (0, 1).

        Parameters
        ----------
        columns
            ``tenure_days`` (age of the lead) and, where activity is used, the columns that it was
            learned from; shape (rows,) each.
        categories
            Column known at the first contact -> one text per row. Unknown values and missing
            columns count as average.
        horizon_days
            Horizon in days; None means that of the training.
        """
        age, span = columns["tenure_days"], horizon_days or self.horizon_days
        if self.hazard is None:
            return np.full(len(age), 1.0 - (1.0 - self.share) ** (span / self.horizon_days))
        ahead = self.hazard.ahead(age, float(span)) * self.hazard.multiplier(
            categories or {}, len(age)
        )
        if self.activity is not None:
            ahead = ahead * self.activity.multiplier(columns)
        # from n leads, a probability above (n + 1) / (n + 2) cannot be supported
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

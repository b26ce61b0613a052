"""P(first purchase in the horizon) of each lead, and what the converted then bring: the models of
this folder as one.

Where few converted, it is the smoothed share: conversions over conversions and open lead-horizons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.training.leads.activity import RECIPE, ActivityModel, Landmark, fit_activity
from stagecast.training.leads.exposure import HALF_LIFE_DAYS, Leads, exposure
from stagecast.training.leads.hazard import HazardModel, fit_hazard
from stagecast.training.learners.design import Recipe

FEWEST_CONVERSIONS = 10
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


def fit_lead_conversion(
    leads: Leads,
    as_of_day: float,
    horizon_days: int,
    categories: Mapping[str, Texts],
    landmarks: Sequence[Landmark] = (),
    *,
    orders: float = 1.0,
    spend: float = 0.0,
    recipe: Recipe = RECIPE,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> LeadConversion:
    """Fit on everything known before the as_of.

    Parameters
    ----------
    leads
        One entry per customer of the log, those who never were a lead among them.
    as_of_day
        Day number.
    categories
        Column -> one text per entry of ``leads``: ``channel`` and what was known at the start.
    landmarks
        What leads had done so far at past dates; a date within the last horizon serves as well.
        Empty: activity is not looked at.
    orders, spend
        What those who converted brought within the horizon, on average.
    recipe
        How the columns of the landmarks enter.
    """
    seen = exposure(leads, as_of_day, half_life_days=None)
    hits, days = seen.conversions, float(seen.days.sum())
    with np.errstate(invalid="ignore"):
        rows = int(((leads.start < as_of_day) & ~(leads.converted <= leads.start)).sum())
    share = (hits + 0.5) / (hits + days / horizon_days + 1.0) if rows else UNKNOWN
    if hits < FEWEST_CONVERSIONS:
        return LeadConversion(None, None, share, horizon_days, orders, spend, rows, hits)
    hazard = fit_hazard(leads, as_of_day, categories, half_life_days=half_life_days)
    start = hazard.multiplier(categories, len(leads))
    activity = fit_activity(
        leads, hazard, start, landmarks, as_of_day, horizon_days, recipe, half_life_days
    )
    return LeadConversion(hazard, activity, share, horizon_days, orders, spend, rows, hits)

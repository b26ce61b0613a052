"""The hazard of the first purchase: constant in each bin of a lead's age, times multipliers known
from stagecast.training.leads.fit_hazard import FEWEST_IN_BIN, _groups, fit_hazard
from the start.

Every lead counts for as long as it was seen, converted or not, so leads that are still young teach
as much about young ages as old ones do. P(first purchase within h | age a, none so far) is 1 -
exp(-(H(a + h) - H(a)) m), with H the cumulative hazard and m the multiplier: one less the product
of what each period leaves.

Source: piecewise exponential model, Friedman (1982), "Piecewise exponential models for survival
data with covariates", Annals of Statistics 10, section 2; in periods it is the complementary
log-log model of Prentice and Gloeckler (1978).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.training.leads.effects import Effects, multiplier


@dataclass(frozen=True)
class HazardModel:
    """Hazard per day by age, and multipliers by category.

    Parameters
    ----------
    edges_days
        ages at which the hazard changes, ascending; there is one rate more than edges.
    rates
        first purchases per lead and day.
    effects
        column -> value -> multiplier.
    """

    edges_days: tuple[float, ...]
    rates: tuple[float, ...]
    effects: Effects

    def multiplier(self, categories: Mapping[str, Texts], rows: int) -> Array:
        """Return how many times the average hazard each row has."""
        return multiplier(self.effects, categories, rows)

    def cumulative(self, age_days: Array) -> Array:
        """Return the hazard of the average lead from its first day to an age, one per row;
        before it, 0.
        """
        lows = np.array([0.0, *self.edges_days])
        at_lows = np.r_[0.0, np.cumsum(np.diff(lows) * self.rates[:-1])]
        age = np.maximum(np.nan_to_num(age_days, nan=0.0), 0.0)
        k = np.searchsorted(lows, age, side="right") - 1
        return np.asarray(at_lows[k] + (age - lows[k]) * np.array(self.rates)[k])

    def ahead(self, age_days: Array, span_days: Array | float) -> Array:
        """Return the hazard of the average lead from its age over so many days."""
        age = np.maximum(np.nan_to_num(age_days, nan=0.0), 0.0)
        return self.cumulative(age + span_days) - self.cumulative(age)

    def to_json(self) -> dict[str, Any]:
        effects = {name: dict(values) for name, values in self.effects.items()}
        return {"edges_days": list(self.edges_days), "rates": list(self.rates), "effects": effects}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HazardModel:
        return cls(
            tuple(float(edge) for edge in data["edges_days"]),
            tuple(float(rate) for rate in data["rates"]),
            {
                str(n): {str(v): float(m) for v, m in values.items()}
                for n, values in data["effects"].items()
            },
        )

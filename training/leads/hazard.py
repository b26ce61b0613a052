"""Hazard of the first purchase: constant in each bin of a lead's age, times multipliers.

The multipliers depend on categories known at the first contact. Every lead contributes for as long
as it was observed, converted or not, so that young leads are as informative about young ages as old
ones. P(first purchase within h | age a, none so far) is 1 - exp(-(H(a + h) - H(a)) m), with H the
cumulative hazard and m the multiplier.

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
        Ages in days at which the hazard changes, ascending.
    rates
        First purchases per lead and day; one more than edges.
    effects
        Column -> value -> multiplier.
    """

    edges_days: tuple[float, ...]
    rates: tuple[float, ...]
    effects: Effects

    def multiplier(self, categories: Mapping[str, Texts], rows: int) -> Array:
        """Return the multiplier of the hazard of each row, shape (rows,)."""
        return multiplier(self.effects, categories, rows)

    def cumulative(self, age_days: Array) -> Array:
        """Return the cumulative hazard of the average lead up to an age, shape (rows,)."""
        starts = np.array([0.0, *self.edges_days])
        at_starts = np.r_[0.0, np.cumsum(np.diff(starts) * self.rates[:-1])]
        age = np.maximum(np.nan_to_num(age_days, nan=0.0), 0.0)
        k = np.searchsorted(starts, age, side="right") - 1
        return np.asarray(at_starts[k] + (age - starts[k]) * np.array(self.rates)[k])

    def ahead(self, age_days: Array, span_days: Array | float) -> Array:
        """Return the cumulative hazard of the average lead over ``span_days`` from an age on."""
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
                str(name): {str(value): float(factor) for value, factor in values.items()}
                for name, values in data["effects"].items()
            },
        )

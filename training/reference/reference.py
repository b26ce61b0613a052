"""Distributions of the customers at the training's as_of, which a customer is compared with.

The bundle stores them, so that a customer gets the same percentile, RFM score and reasons in a
request of one row as in a batch of millions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.reference.rfm import RfmScales, learn_scales
from stagecast.training.reference.rfm_settings import RfmSettings
from stagecast.training.reference.usual import NOTHING_USUAL, Usual

QUINTILES = RfmSettings()


@dataclass(frozen=True)
class Reference:
    """Distributions of the customers at the training's as_of.

    Parameters
    ----------
    churn_quantiles
        Quantiles of the churn probability of active customers at 0, 1, ..., 100 %; empty without
        active customers.
    rfm
        Scales of the scores of recency, orders and spend.
    buyers, contracts
        What is usual of buyers and of open contracts.
    play_bounds
        Percentiles that plays compare with, like ``value_at_risk p80``.
    """

    churn_quantiles: tuple[float, ...]
    rfm: RfmScales
    buyers: Usual = NOTHING_USUAL
    contracts: Usual = NOTHING_USUAL
    play_bounds: Mapping[str, float] = field(default_factory=dict)

    def percentile(self, churn_probability: Array) -> Array:
        """Return the percentile among the active customers of the training, 0 to 100."""
        grid = np.array(self.churn_quantiles)
        if not len(grid):
            return np.full(len(churn_probability), 50.0)
        below = np.searchsorted(grid, churn_probability, side="right")
        left = np.clip(below - 1, 0, len(grid) - 1)
        right = np.clip(below, 0, len(grid) - 1)
        width = grid[right] - grid[left]
        fraction = np.where(
            width > 0, (churn_probability - grid[left]) / np.where(width > 0, width, 1.0), 0.0
        )
        return np.asarray(np.where(below == 0, 0.0, np.clip(left + fraction, 0.0, 100.0)))

    def to_json(self) -> dict[str, Any]:
        return {
            "churn_quantiles": list(self.churn_quantiles),
            "rfm": self.rfm.to_json(),
            "buyers": self.buyers.to_json(),
            "contracts": self.contracts.to_json(),
            "play_bounds": dict(self.play_bounds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reference:
        return cls(
            tuple(data["churn_quantiles"]),
            RfmScales.from_json(data["rfm"]),
            Usual.from_json(data["buyers"]),
            Usual.from_json(data["contracts"]),
            {name: float(value) for name, value in data["play_bounds"].items()},
        )


EMPTY = Reference((), RfmScales())
"""Reference without any customers."""


def learn_reference(
    features: Mapping[str, Array],
    active: NDArray[np.bool_],
    risk: Array,
    rfm: RfmSettings = QUINTILES,
) -> Reference:
    """Return the reference of a snapshot, without what is usual.

    Parameters
    ----------
    features
        Features of the snapshot, shape (n_rows,) each.
    active
        Rows that the percentiles of the risk are taken over, shape (n_rows,).
    risk
        Churn probability, shape (n_rows,); NaN for prospects.
    rfm
        How RFM scores are cut.
    """
    risks = risk[active]
    quantiles = np.quantile(risks, np.linspace(0, 1, 101)) if len(risks) else np.zeros(0)
    scales = learn_scales(features, features["orders"] > 0, rfm)
    return Reference(tuple(float(q) for q in quantiles), scales)

"""Distributions of the customers at the training's as_of, which a customer is compared with.

The bundle stores them, so that a customer gets the same percentile, RFM score and reasons in a
request of one row as in a batch of millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.engines.shop_gap import FEWEST_GAPS
from stagecast.training.rfm import RfmScales, learn_scales
from stagecast.training.rfm_settings import RfmSettings

USUAL = (
    "recency_days",
    "orders",
    "spend_mean",
    "T_days",
    "orders_90d",
    "orders_prev_90d",
    "activity_30d",
    "gap_mean",
    "rhythm_days",
    "refund_share",
)
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
    usual
        Group (state) -> feature -> its median in the group; the median of all buyers where the
        group is empty, NaN where nobody has a value. That of ``rhythm_days`` is NaN where the log
        has too few gaps to know a usual one.
    mean_effects
        State -> mean effect of each family of reasons (:mod:`stagecast.training.reasons.of_buyers`)
        over its buyers.
    mean_contract_effects
        Mean effect of each family of :mod:`stagecast.training.reasons.of_contracts` over the open
        contracts.
    """

    churn_quantiles: tuple[float, ...]
    rfm: RfmScales
    usual: Mapping[str, Mapping[str, float]]
    mean_effects: Mapping[str, tuple[float, ...]]
    mean_contract_effects: tuple[float, ...] = ()

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
            "usual": {
                stage: {name: None if np.isnan(value) else value for name, value in values.items()}
                for stage, values in self.usual.items()
            },
            "mean_effects": {state: list(values) for state, values in self.mean_effects.items()},
            "mean_contract_effects": list(self.mean_contract_effects),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reference:
        return cls(
            tuple(data["churn_quantiles"]),
            RfmScales.from_json(data["rfm"]),
            {
                stage: {
                    name: np.nan if value is None else float(value)
                    for name, value in values.items()
                }
                for stage, values in data["usual"].items()
            },
            {state: tuple(values) for state, values in data["mean_effects"].items()},
            tuple(data["mean_contract_effects"]),
        )


EMPTY = Reference((), RfmScales(), {}, {})
"""Reference without any customers."""


def learn_reference(
    features: Mapping[str, Array],
    group: NDArray[np.int64],
    groups: tuple[str, ...],
    active: NDArray[np.bool_],
    risk: Array,
    extra_features: Sequence[str] = (),
    rfm: RfmSettings = QUINTILES,
) -> Reference:
    """Return the reference of a snapshot, without mean effects.

    Parameters
    ----------
    features
        Features of the snapshot, shape (n_rows,) each.
    group
        Position in ``groups`` of the group that the customer is compared with, shape (n_rows,).
    groups
        Names of the groups.
    active
        Rows that the percentiles of the risk are taken over, shape (n_rows,).
    risk
        Churn probability, shape (n_rows,); NaN for prospects.
    extra_features
        Features whose medians are stored in addition to those of ``USUAL``.
    rfm
        How RFM scores are cut.
    """
    buyers = features["orders"] > 0
    risks = risk[active]
    quantiles = np.quantile(risks, np.linspace(0, 1, 101)) if len(risks) else np.zeros(0)
    usual = {}
    for position, name in enumerate(groups):
        members = group == position
        # an empty group has no medians of its own
        members = members if members.any() else buyers
        usual[name] = {
            feature: _median(features[feature][members]) for feature in (*USUAL, *extra_features)
        }
        if features["frequency"].sum() < FEWEST_GAPS:  # then the rhythm is a constant
            usual[name]["rhythm_days"] = np.nan
    return Reference(
        tuple(float(q) for q in quantiles), learn_scales(features, buyers, rfm), usual, {}
    )


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan

"""P(first purchase in the horizon) for prospects: a penalised logistic regression, or the smoothed share so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import glm
from training.design import Recipe
from training.panel import Frame, stack, varying

Array = NDArray[np.float64]

FEWEST_CONVERSIONS = 30
RECIPE = Recipe(
    {
        "tenure_days": (True, 4),
        "silence_days": (True, 4),
        "activity": (True, 3),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
    }
)


@dataclass(frozen=True)
class ConversionModel:
    """P(first purchase in the horizon), and what the converted then bring.

    ``orders`` and ``spend`` are means within the horizon over prospects who bought in it; ``rows`` how many prospects
    were learned from (0: none was ever seen, and the probability is one half of one in two: unknown).
    """

    model: glm.LogisticModel | None
    share: float
    orders: float
    spend: float
    rows: int

    def probability(self, columns: Mapping[str, Array]) -> Array:
        """Return P(first purchase in the horizon), one per row."""
        if self.model is not None:
            return self.model.probability(columns)
        return np.full(len(next(iter(columns.values()))), self.share)

    def to_json(self) -> dict[str, Any]:
        return {
            "model": None if self.model is None else self.model.to_json(),
            "share": self.share,
            "orders": self.orders,
            "spend": self.spend,
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ConversionModel:
        model = data["model"]
        return cls(
            None if model is None else glm.LogisticModel.from_json(model),
            float(data["share"]),
            float(data["orders"]),
            float(data["spend"]),
            int(data["rows"]),
        )


def fit_conversion(prospects: Sequence[Frame], first_orders: Array, first_spend: Array) -> ConversionModel:
    """Fit on every date of a panel.

    Parameters
    ----------
    first_orders, first_spend
        What new customers brought in their first horizon, used where no prospect has converted yet; may be empty.
    """
    rows = sum(len(frame) for frame in prospects)
    fallback_orders = float(first_orders.mean()) if len(first_orders) else 1.0
    fallback_spend = float(first_spend.mean()) if len(first_spend) else 0.0
    if rows == 0:
        return ConversionModel(None, 0.25, fallback_orders, fallback_spend, 0)
    converted = np.concatenate([~frame.inactive for frame in prospects])
    orders = np.concatenate([frame.orders for frame in prospects])[converted]
    spend = np.concatenate([frame.spend for frame in prospects])[converted]
    hits = int(converted.sum())
    share = (hits + 0.5) / (rows + 1)
    mean_orders = float(orders.mean()) if hits else fallback_orders
    mean_spend = float(spend.mean()) if hits else fallback_spend
    if min(hits, rows - hits) < FEWEST_CONVERSIONS:
        return ConversionModel(None, share, mean_orders, mean_spend, rows)
    names = varying(prospects, list(RECIPE.columns))
    recipe = Recipe({name: how for name, how in RECIPE.columns.items() if name in names})
    model = glm.fit_logistic(recipe, stack(prospects), converted, np.ones(rows), 2.0)
    return ConversionModel(model, share, mean_orders, mean_spend, rows)

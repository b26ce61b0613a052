"""The customer base's share in the expected orders, mixed in logs.

The pool of P(no purchase) is judged by probabilities, and the orders of who buys by their deviance.
Money has errors of its own: on some logs the orders of the customer base alone are nearer to what
came. How far they are followed is learned at a past date, see
:mod:`stagecast.training.value.fit_base_share`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array

_SMALLEST = 1e-9


@dataclass(frozen=True)
class BaseShare:
    """Share of the customer base in the expected orders.

    Parameters
    ----------
    share
        Weight of the log of the customer base's orders, 0 to 1.
    level
        Factor by which the mixture is multiplied, so that the total of the orders does not change.
    """

    share: float = 0.0
    level: float = 1.0

    def orders_if_any(
        self, if_any: Array, base_if_any: Array, base_orders: Array, p_inactive: Array
    ) -> Array:
        """Return the purchase days of those who order, with the customer base mixed in, (rows,).

        Parameters
        ----------
        if_any, base_if_any
            E[purchase days in the horizon | at least one], by the models of past dates and by the
            customer base, at least 1, shape (rows,) each.
        base_orders
            Expected purchase days by the customer base, shape (rows,).
        p_inactive
            P(no purchase in the horizon), shape (rows,).
        """
        if self.share == 0.0:
            return if_any
        return mixed_if_any(if_any, base_if_any, base_orders, p_inactive, self.share, self.level)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return {"share": self.share, "level": self.level}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> BaseShare:
        """Read what :meth:`to_json` returns."""
        return cls(float(data["share"]), float(data["level"]))


def mixed_if_any(
    if_any: Array,
    base_if_any: Array,
    base_orders: Array,
    p_inactive: Array,
    share: float,
    level: float,
) -> Array:
    """Return the purchase days of those who order where expected orders are mixed in logs, (rows,).

    They are at least 1, so that no more customers order than there are orders, and no more than the
    larger of the two: where the customer base says that more customers buy at all, it is not made
    up for by huge orders of the few who do.

    >>> mixed_if_any(*(np.array([v]) for v in (1.0, 4.0, 0.8, 0.8)), 0.5, 1.0).round(6).tolist()
    [2.0]
    """
    p_purchase = np.maximum(1.0 - p_inactive, _SMALLEST)
    own = np.log(p_purchase * if_any)
    mixed = (1.0 - share) * own + share * np.log(np.maximum(base_orders, _SMALLEST))
    highest = np.maximum(if_any, base_if_any)
    return np.asarray(np.minimum(np.maximum(level * np.exp(mixed) / p_purchase, 1.0), highest))

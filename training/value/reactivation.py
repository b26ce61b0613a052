"""How often customers who had left buy once they are back, from how often they bought before.

The customer base knows one rate for each customer: who had left and is back buys as before. On many
logs that holds for who buys little, and not for a burst of purchases: after a long absence rates
are nearer to the usual one. How far is learned from those who came back at past dates, see
:mod:`stagecast.training.value.fit_reactivation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Reactivation:
    """Orders of customers who are back, from those at their rate of before, never more than these.

    Parameters
    ----------
    level
        Factor of a customer with the usual rate; 1 with a ``power`` of 1 changes nothing.
    power
        Power of a customer's rate over the usual one, 0 to 1: with 1 customers keep their rates,
        with 0 all who are back buy alike.
    usual_rate
        Rate of before that is usual among those who left, in purchase days per day.
    """

    level: float = 1.0
    power: float = 1.0
    usual_rate: float = 1.0

    @property
    def is_none(self) -> bool:
        """Whether customers who are back buy as before."""
        return self.level == 1.0 and self.power == 1.0

    def orders(self, as_before: Array, span_days: float) -> Array:
        """Return the orders of customers who had left and are back, shape (rows,).

        Parameters
        ----------
        as_before
            Orders within a span at the rate of before, shape (rows,).
        span_days
            Length of the span in days, discounted as these orders are.
        """
        if self.is_none:
            return as_before
        usual_orders = self.usual_rate * span_days
        return reactivated_orders(as_before, usual_orders, self.level, self.power)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return {"level": self.level, "power": self.power, "usual_rate": self.usual_rate}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> Reactivation:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form, or holds a number that is not positive.
        """
        level, power, rate = (float(data[key]) for key in ("level", "power", "usual_rate"))
        if not (0.0 < level < np.inf and 0.0 <= power <= 1.0 and 0.0 < rate < np.inf):
            raise ValueError(
                f"level {level:g}, power {power:g} and usual_rate {rate:g} of the reactivation: "
                "level and rate are above 0, the power is 0 to 1"
            )
        return cls(level, power, rate)


def reactivated_orders(as_before: Array, usual_orders: float, level: float, power: float) -> Array:
    """Return the orders of customers who are back, of a rate drawn towards the usual one, (rows,).

    Nobody is expected to buy more than before: those who came back, and taught it, are those who
    buy often rather than those who do not.

    >>> reactivated_orders(np.array([1.0, 2.0, 8.0]), 2.0, 0.8, 0.5).round(6).tolist()
    [1.0, 1.6, 3.2]
    """
    relative = np.log(np.maximum(as_before, _SMALLEST) / usual_orders)
    return np.asarray(np.minimum(level * usual_orders * np.exp(power * relative), as_before))

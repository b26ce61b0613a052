"""As how large an order the first one of a customer counts, where later ones are of another kind.

Who has bought a bicycle buys parts for it; who came by a sample, or with half of the price off,
pays the whole price later. The first order then says little of what another will cost, and not at
its own amount. It counts as

    exp(level + power * log(amount))

of one later order, in the mean that Gamma-Gamma shrinks to that of all. With ``power`` 1 and
``level`` 0 it counts as it is, as it does in a shop in which the first order is one like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.stored import finite

READS: Final = ("spend_mean", "spend_first", "orders")
"""Features that the mean of a customer's orders is worked out from."""
_LEAST: Final = 1e-9


def mean_of_orders(
    level: float, power: float, spend_mean: Array, spend_first: Array, orders: Array
) -> Array:
    """Return the mean spend per purchase day with the first day at what it counts as, (rows,).

    Parameters
    ----------
    level, power
        See :class:`FirstOrders`.
    spend_mean, spend_first, orders
        Mean spend per purchase day, spend of the first one, and number of them, shape (rows,) each.

    >>> a = np.array([2020.0]), np.array([4000.0]), np.array([2.0])
    >>> mean_of_orders(np.log(60.0), 0.0, *a).round(9).tolist()  # 60 and 40
    [50.0]
    """
    paid = spend_first > 0
    counted = np.exp(level + power * np.log(np.where(paid, spend_first, 1.0)))
    changed = spend_mean + (counted - spend_first) / np.maximum(orders, 1.0)
    return np.asarray(np.where(paid, np.maximum(changed, _LEAST), spend_mean))


@dataclass(frozen=True)
class FirstOrders:
    """What first orders count as.

    Parameters
    ----------
    level
        Log of what a first order of 1 counts as.
    power
        By how much more a first order counts that is larger, in logs over logs.

    Raises
    ------
    ValueError
        A number that is not finite.
    """

    level: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        finite("level", self.level)
        finite("power", self.power)

    @property
    def is_usual(self) -> bool:
        """Whether first orders count as they are."""
        return self == USUAL

    def mean_of(self, columns: Mapping[str, Array]) -> Array:
        """Return :func:`mean_of_orders` of buyers, shape (rows,)."""
        mean, first, orders = (columns[name] for name in READS)
        return mean_of_orders(self.level, self.power, mean, np.nan_to_num(first), orders)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"level": self.level, "power": self.power}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FirstOrders:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            A number is missing, or is none.
        """
        return cls(float(data["level"]), float(data["power"]))


USUAL: Final = FirstOrders()

"""What is still expected of buyers whose contract is over.

The models of purchases know payments alone, and not that a contract was cancelled: who paid a week
before the end looks like who will pay again. How much of what they expect comes is learned from
buyers whose contract was over at past dates; a contract that begins anew counts as come. Who paid
last week is expected to pay most, and had most to cancel, so that the share depends on P(purchase):

    P(purchase after a contract)  =  level P(purchase) ^ power

Rows of such buyers, with the share s = level P(purchase) ^ (power - 1), at most that of all of them
together:

    P(purchase), orders, spend and clv    times s
    value at risk                         times s
    value gone                            plus what the others lost: the value if kept stays
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts

_SMALLEST = 1e-9


@dataclass(frozen=True)
class AfterContract:
    """Share of what is expected of buyers whose contract is over that comes; 1 by default.

    Parameters
    ----------
    level, power
        See the module.
    most
        The share of all of them together.
    """

    level: float = 1.0
    power: float = 1.0
    most: float = 1.0

    @property
    def is_none(self) -> bool:
        """Whether all of it comes."""
        return self == AfterContract()

    def share(self, p_purchase: Array) -> Array:
        """Return the share of P(purchase), and of the money, that comes, same shape.

        >>> AfterContract(0.1, 0.5).share(np.array([0.64, 0.01, 0.0001])).round(3).tolist()
        [0.125, 1.0, 1.0]
        """
        p = np.maximum(p_purchase, _SMALLEST)
        return np.asarray(np.minimum(self.level * p ** (self.power - 1.0), self.most))

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return {"level": self.level, "power": self.power, "most": self.most}

    @classmethod
    def from_json(cls, data: Mapping[str, float] | float) -> AfterContract:
        """Read what :meth:`to_json` returns, or the one share of bundles of before."""
        if isinstance(data, Mapping):
            return cls(float(data["level"]), float(data["power"]), float(data["most"]))
        return cls(most=float(data))


def is_over(contracts: Contracts | None, rows: int) -> NDArray[np.bool_]:
    """Return whether a customer had a contract and has none, shape (rows,)."""
    if contracts is None:
        return np.zeros(rows, dtype=bool)
    return np.asarray(contracts.ever_had & ~contracts.open)

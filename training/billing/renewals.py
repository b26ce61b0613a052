"""How many contracts of a billing period go on after each payment, and when in it the others end.

P(another payment | n payments so far) = (beta + n - 1) / (alpha + beta + n - 1)

Source: Fader and Hardie (2007), "How to project customer retention", Journal of Interactive
Marketing 21, the shifted-beta-geometric model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array

POINTS: Final = 20
"""Parts of a period that the time of the end is told by."""
LATEST: Final = 0.98
"""A contract whose payment is due, or overdue, stands at this part of the period."""


@dataclass(frozen=True)
class Renewals:
    """Renewals of the contracts of one billing period.

    Parameters
    ----------
    alpha, beta
        Of the beta distribution of the probability that a customer does not renew.
    ended
        Share of the contracts ending within a period that have ended by each of
        :data:`POINTS` + 1 parts of it, from 0 to 1.
    """

    alpha: float
    beta: float
    ended: tuple[float, ...]

    def renewal(self, payments: Array) -> Array:
        """Return P(another payment | so many payments so far), same shape.

        >>> Renewals(1.0, 3.0, (0.0, 1.0)).renewal(np.array([1.0, 3.0])).round(3).tolist()
        [0.75, 0.833]
        """
        so_far = self.beta + np.maximum(payments, 1.0) - 1.0
        return np.asarray(so_far / (self.alpha + so_far))

    def stays(self, payments: Array, part: Array) -> Array:
        """Return P(the contract is open at a part of the period after a payment), same shape."""
        grid = np.linspace(0.0, 1.0, len(self.ended))
        ended = np.interp(part, grid, self.ended)
        return np.asarray(1.0 - (1.0 - self.renewal(payments)) * ended)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"alpha": self.alpha, "beta": self.beta, "ended": list(self.ended)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Renewals:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form, or a parameter is not positive.
        """
        alpha, beta = float(data["alpha"]), float(data["beta"])
        ended = tuple(float(share) for share in data["ended"])
        if not (0.0 < alpha < np.inf and 0.0 < beta < np.inf) or len(ended) < 2:
            raise ValueError(f"alpha {alpha:g} and beta {beta:g} of renewals must be above 0")
        return cls(alpha, beta, ended)

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
from scipy.special import gammaln

from stagecast.features.arrays import Array

POINTS: Final = 50
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

    def hazard(self, payments: Array, time: Array) -> Array:
        """Return the cumulative hazard of the end of a contract since a payment, same shape.

        Parameters
        ----------
        payments
            Payments so far, that one included, 1 or more.
        time
            Time since it, in billing periods, 0 or more: after each whole one a payment has come.

        >>> renewals = Renewals(1.0, 3.0, (0.0, 0.0, 1.0))
        >>> survival = np.exp(-renewals.hazard(np.ones(4), np.array([0.5, 0.75, 1.0, 2.0])))
        >>> survival.round(3).tolist()
        [1.0, 0.875, 0.75, 0.6]
        """
        so_far = self.beta + np.maximum(payments, 1.0) - 1.0
        passed = np.floor(time)
        both = self.alpha + so_far
        of_passed = gammaln(both + passed) - gammaln(both) - gammaln(so_far + passed)
        lost = self.alpha / (both + passed)
        grid = np.linspace(0.0, 1.0, len(self.ended))
        within = np.log1p(-lost * np.interp(time - passed, grid, self.ended))
        return np.asarray(of_passed + gammaln(so_far) - within)

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

"""Ends within a horizon that nobody has announced yet, where some are announced before.

P(cancel) is asked of contracts whose end is not known. Where a notice of thirty days is usual, an
end in the next thirty days would be known already for most: of all ends only a share comes as a
surprise, small for the days just ahead, and whole for those further off than any notice.

    share of step k  =  mean over contracts that ended of the part of the step beyond their notice

A contract that ended L days after its end was announced would have had the end, within a step
that lies a to b days ahead, announced at (min(b, L) - min(a, L)) / (b - a) of the dates before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array


@dataclass(frozen=True)
class Unannounced:
    """Share of the ends in the steps of a horizon that are not known before it.

    Parameters
    ----------
    step_days
        Length of a step.
    shares
        The share of each step, above 0 and at most 1; 1 after the last one.
    rate
        Ends of any kind, per contract and day.
    """

    step_days: int
    shares: tuple[float, ...]
    rate: float

    def of_step(self, ahead_days: Array) -> Array:
        """Return the share of the steps that begin so many days ahead, same shape."""
        step = np.minimum((ahead_days / self.step_days).astype(np.int64), len(self.shares))
        return np.asarray(np.array([*self.shares, 1.0])[step])

    def within(self, days: Array | float) -> Array:
        """Return the share of the ends within so many days, same shape."""
        ends = self.step_days * np.arange(len(self.shares) + 1.0)
        cumulative = np.r_[0.0, np.cumsum(self.shares)] * self.step_days
        until = np.maximum(np.asarray(days, dtype=np.float64), 1e-9)
        beyond = np.maximum(until - ends[-1], 0.0)
        return np.asarray((np.interp(until, ends, cumulative) + beyond) / until)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"step_days": self.step_days, "shares": list(self.shares), "rate": self.rate}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Unannounced:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            A part is missing, or is no share.
        """
        shares = tuple(float(share) for share in data["shares"])
        if not shares or not all(0.0 < share <= 1.0 for share in shares):
            raise ValueError("a share of ends that nobody announced is not above 0 and at most 1")
        return cls(int(data["step_days"]), shares, float(data["rate"]))

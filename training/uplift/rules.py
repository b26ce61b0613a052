"""Whom to contact: rules that turn a score, a margin and a cost into yes or no."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError


@dataclass(frozen=True)
class Line:
    """From a score to the effect that was observed at it: ``level + slope (score - centre)``.

    Parameters
    ----------
    centre
        Mean score of the trial.
    level
        Mean effect of the trial, in the unit of the outcome.
    slope
        Effect per unit of score, at least 0; 0 where the score says nothing of the effect.
    """

    centre: float
    level: float
    slope: float

    def effect(self, score: Array) -> Array:
        """Return the effect at each score, shape (n,), in the unit of the outcome."""
        return self.level + self.slope * (score - self.centre)

    def to_json(self) -> dict[str, float]:
        """Return the line as plain JSON values."""
        return {"centre": self.centre, "level": self.level, "slope": self.slope}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Line:
        """Read what :meth:`to_json` returns; raises ValueError or KeyError on anything else."""
        line = cls(float(data["centre"]), float(data["level"]), float(data["slope"]))
        if not all(map(math.isfinite, (line.centre, line.level, line.slope))):
            raise ValueError("a number of the line is not finite")
        return line


def worth_contacting(
    effect: Array, margin: float | Array = 1.0, cost: float | Array = 0.0
) -> NDArray[np.bool_]:
    """Return who is expected to bring more than a contact costs, shape (n,).

    Parameters
    ----------
    effect
        Effect of a contact on the outcome, shape (n,).
    margin
        What one unit of the outcome brings, in money: one number, or shape (n,).
    cost
        What one contact costs, in the same money: one number, or shape (n,).

    Raises
    ------
    UsageError
        A cost is negative, or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> worth_contacting(np.array([0.02, 0.01]), margin=10.0, cost=0.15).tolist()
    [True, False]
    """
    if not np.all(np.isfinite(cost)) or np.any(np.asarray(cost) < 0):
        raise UsageError("a cost of a contact is negative or unknown; give money of 0 or more")
    return np.asarray(np.asarray(margin) * effect > np.asarray(cost))

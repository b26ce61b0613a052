"""Multiplier of the hazard of a lead over the horizon, by the activity of the lead so far.

It is learned at past dates (landmarks) from each lead then at risk: its columns at the date, and
whether it converted within the horizon or until the as_of, whichever was first. Dates whose horizon
has not ended are therefore used, too. With H the hazard over that time by age and category, the
conversion is Poisson with mean H exp(b + x w).

Source: landmark models after van Houwelingen (2007), "Dynamic prediction by landmarking in event
history analysis", Scandinavian Journal of Statistics 34.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.linear import Linear

RECIPE = Recipe(
    {
        "tenure_days": (True, 4),
        "silence_days": (True, 4),
        "activity": (True, 3),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
    }
)


# The multiplier is clipped to exp(4) and exp(-4).
_MAX_LOG_MULTIPLIER = 4.0


class ActivityModel(Linear):
    """A fitted regression of the log multiplier of the hazard."""

    def multiplier(self, columns: Mapping[str, Array]) -> Array:
        """Return the multiplier of the hazard, shape (rows,)."""
        return np.exp(np.clip(self.margin(columns), -_MAX_LOG_MULTIPLIER, _MAX_LOG_MULTIPLIER))

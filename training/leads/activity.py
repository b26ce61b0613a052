"""What a lead did so far, on top of its age and where it came from: a multiplier of the hazard over
the horizon.

Learned at past dates (landmarks): of each lead then at risk, what was known of it, and whether it
converted within the horizon or until the as_of, whichever came first; so a date whose horizon is
not over teaches as well. With H the hazard that age and start give over the time that was followed,
the conversion is Poisson of mean H exp(b + x w).

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


_WIDEST = 4.0  # no lead is more than exp(4) times the average


class ActivityModel(Linear):
    """A fitted regression of the log multiplier of the hazard."""

    def multiplier(self, columns: Mapping[str, Array]) -> Array:
        """Return the multiplier of the hazard, one per row."""
        return np.exp(np.clip(self.margin(columns), -_WIDEST, _WIDEST))

"""Complementary log-log regression of grouped survival times.

P(cancelled in a step) is 1 - exp(-exp(b + x w)): proportional hazards observed in steps only.

Source: Prentice and Gloeckler (1978), "Regression analysis of grouped survival data with
application to breast cancer data", Biometrics 34, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.linear import Linear

# Beyond these a probability is 0 or 1 in double precision.
_LOW, _HIGH = -30.0, 3.5


class GroupedHazards(Linear):
    """A fitted regression of the log hazard of a step."""

    def log_hazard(self, columns: Mapping[str, Array]) -> Array:
        """Return the log of the cumulative hazard of the step, shape (rows,)."""
        if not self.design.terms:
            return self.margin(columns)
        return np.clip(self.margin(columns), _LOW, _HIGH)

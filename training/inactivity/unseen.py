"""P(no purchase) at a past date, by members that had not seen what came after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.learners.pool import pooled
from stagecast.training.panel import Frame


@dataclass(frozen=True)
class Unseen:
    """Customers of a past date, and how likely they were to buy nothing.

    Parameters
    ----------
    frame
        The date.
    p_inactive
        P(no purchase in the horizon) by members that were fitted on the dates before, or on other
        customers, shape (rows,); not at the level of that date.
    later
        Whether the members were fitted on dates whose horizon had ended by then.
    """

    frame: Frame
    p_inactive: Array
    later: bool

    @classmethod
    def of(
        cls,
        frame: Frame,
        margins: Mapping[str, Array],
        weights: Mapping[str, float],
        *,
        later: bool,
    ) -> Unseen:
        """Return what the pool of these log odds says."""
        odds = pooled({name: margins[name] for name in weights}, weights)
        return cls(frame, np.asarray(expit(odds)), later)

"""Whether all customers pay on the same days: an association in the first week of May.

Between two such days nobody pays, and while payments come in nearly everybody does. What members
learn at a past date, and the level of the pool there, do not hold at another part of the gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.customer_base import CustomerBase

IN_STEP: Final = 0.7
"""Mean resultant length of the customers' places in the gap from which all pay together: .7 where
half of them pay within a sixth of it, 1 where all do on one day, 0 where no day is like another."""
WHOLE_GAP: Final = 0.9
"""Share of the gap from which on a horizon holds all of its days."""
NEWEST_GAPS: Final = 2.0
"""Gaps of silence of the customers whose places are compared: an error of the gap adds up."""


def pay_in_step(base: CustomerBase, columns: Mapping[str, Array], horizon_days: int) -> bool:
    """Return whether customers pay on the same days, of which a horizon holds a part.

    Parameters
    ----------
    base
        The customer base at the as_of.
    columns
        Histories of the buyers at it: ``t_x_days`` and ``T_days``.
    horizon_days
        The horizon.
    """
    if base.due is not None:
        return True
    model = base.regular_model
    if model is None:
        return False
    if isinstance(model, DatedModel):
        gap = model.usual_days
    else:
        r, alpha = model.params[:2]
        gap = model.regularity * alpha / r
    if horizon_days >= WHOLE_GAP * gap:
        return False
    gaps = (columns["T_days"] - columns["t_x_days"]) / gap
    gaps = gaps[gaps < NEWEST_GAPS]
    return bool(len(gaps)) and float(np.abs(np.exp(2.0j * np.pi * gaps).mean())) >= IN_STEP

"""Fitting of the share of the ends of contracts that nobody has announced."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.training.billing.unannounced import Unannounced
from stagecast.training.cancellation.landmarks import step_days

PRIOR: Final = 1.0
"""Contracts that ended without a notice, beside those of the log."""


def fit_unannounced(spells: Spells, horizon_days: int) -> Unannounced | None:
    """Return the shares of a log; None where no end was announced.

    Parameters
    ----------
    spells
        All contracts, with their as_of.
    horizon_days
        Horizon of P(cancel).
    """
    over = np.flatnonzero(~spells.open)
    announced = spells.notice[over] != NEVER
    if not announced.any():
        return None
    notice = np.where(announced, spells.end[over] - spells.notice[over], 0) / DAY_MICROSECONDS
    step = step_days(horizon_days)
    ends = step * np.arange(1.0, -(-horizon_days // step) + 1.0)
    unknown = np.clip((ends - notice[:, None]) / step, 0.0, 1.0).sum(axis=0)
    shares = (unknown + PRIOR) / (len(over) + PRIOR)
    until = np.where(spells.open, spells.as_of, spells.end)
    days = float((until - spells.start).sum()) / DAY_MICROSECONDS
    # rounded, so that a bundle is the same where only the last bits differ
    return Unannounced(
        step,
        tuple(float(f"{share:.6g}") for share in shares),
        float(f"{len(over) / max(days, 1.0):.6g}"),
    )

"""When the next payment of a customer who pays a price at regular gaps falls due.

Who pays a price at regular intervals, as for a membership, decides whether to go on when the next
payment falls due, not on the day of the last one, on which the models of the customer base toss
their coin. Until then nobody has left, and a contact can still keep them all. Of who buys what and
when they like nobody knows when they decide, however regular their purchases are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.customer_base import HISTORY, CustomerBase, Part
from stagecast.training.learners.parted import merged


@dataclass(frozen=True)
class OwnGaps:
    """Gaps of customers, one array of shape (rows,) for each.

    Parameters
    ----------
    gap
        Days of a gap.
    spread
        Standard deviation of the days of a payment around its date, where that is known.
    unknown
        Standard deviation of the days by which the gap itself is not known.
    silence
        Days since the last payment.
    drifts
        1 where the dates of later payments are counted from those before, and so less and less
        certain; 0 where all fall on a date of the year.
    ended
        P(the next payment of who goes on has fallen due).
    """

    gap: Array
    spread: Array
    unknown: Array
    silence: Array
    drifts: float
    ended: Array


def own_gaps(
    base: CustomerBase, columns: Mapping[str, Array], spread: float | Sequence[float]
) -> OwnGaps | None:
    """Return the gaps of customers; None where gaps are not regular.

    Parameters
    ----------
    base
        The customer base.
    columns
        ``frequency``, ``t_x_days`` and ``T_days`` of buyers, shape (rows,) each.
    spread
        Standard deviation of the days of a payment over the gap; that of each plan where there are
        several.
    """
    parts = base.parts(columns)
    if len(parts) != 1 or parts[0].plan is not None:
        return _of_plans(parts, spread)
    spread = _of_plan(spread, None)
    model = base.regular_model
    if model is None:
        return None
    x, t_x, T = (columns[name] for name in HISTORY)
    silence, drifts = T - t_x, 1.0
    if base.due is not None:  # a date is as far off as the next one
        gap, unknown, drifts = np.full(len(x), YEAR), np.zeros(len(x)), 0.0
        error = np.full(len(x), base.due.spread)
    elif isinstance(model, DatedModel):
        gap, unknown = model.gaps(x, t_x)
        error = spread * gap
    else:
        r, alpha = model.params[:2]
        shape = r + model.regularity * x
        gap = model.regularity * (alpha + t_x) / np.maximum(shape - 1.0, 0.5)
        error, unknown = spread * gap, gap / np.sqrt(shape)
    if isinstance(model, DatedModel):
        ended = model.ended(x, t_x, T)
    else:
        ended = np.asarray(ndtr((silence - gap) / np.hypot(error, unknown)))
    return OwnGaps(gap, error, unknown, silence, drifts, ended)


def _of_plan(spread: float | Sequence[float], plan: int | None) -> float:
    return float(spread) if isinstance(spread, float) else float(spread[plan or 0])


def _of_plans(parts: Sequence[Part], spread: float | Sequence[float]) -> OwnGaps | None:
    """Return the gaps of customers of several plans; None where a plan has no regular gaps."""
    gaps = [own_gaps(part.base, part.histories, _of_plan(spread, part.plan)) for part in parts]
    known = [of_plan for of_plan in gaps if of_plan is not None]
    if not known or len(known) < len(parts):
        return None
    gap, error, unknown, silence, ended = (
        merged(parts, [getattr(of_plan, name) for of_plan in known])
        for name in ("gap", "spread", "unknown", "silence", "ended")
    )
    return OwnGaps(gap, error, unknown, silence, 1.0, ended)


def dated_gaps(base: CustomerBase, columns: Mapping[str, Array]) -> Array | None:
    """Return the customers' own gaps in days, shape (rows,); None where payments have no dates.

    The parameters are those of :func:`own_gaps`.
    """
    gaps = own_gaps(base, columns, 0.0) if base.has_dates else None
    return None if gaps is None else gaps.gap

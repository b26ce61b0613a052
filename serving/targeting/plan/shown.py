"""What the hold-out of a plan can show, by what is known of how widely spend varies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial.expected import (
    SPEND_CV,
    Expected,
    expected_buyers,
    expected_money,
)
from stagecast.serving.targeting.trial.power import Detectable, detectable
from stagecast.serving.targeting.trial.spread import LEAST_PURCHASE, SpendSpread, cv_from_ends

RANGES_SAY = (
    "as the 90 % ranges of the scores say; a run that is settled after its horizon measures it"
)
ENDS_MAX = 500
"""Most customers whose 90 % ranges are read for the spread of spend."""
LEAST_PART = 0.8
"""Part of the horizon that the window must have, for the ranges of the one to hold in the other."""

Ends = Callable[[Sequence[str]], tuple[Array, Array]]


@dataclass(frozen=True)
class Past:
    """What is known of how widely the spend of a buyer varies.

    Parameters
    ----------
    spread
        Measured on settled runs; None: nothing is settled.
    ends
        Returns the lower and upper ends of the expected spend in the horizon of customers, in
        money, NaN where there are none; None: not known.
    """

    spread: SpendSpread | None = None
    ends: Ends | None = None


NO_PAST = Past()


def can_show(
    ids: NDArray[np.object_],
    held_out: NDArray[np.bool_],
    purchase: Array,
    spend: Array | None,
    past: Past,
    part: float,
) -> tuple[Detectable | None, Detectable | None]:
    """Return the smallest effects that would be shown, in buyers and in money.

    Parameters
    ----------
    ids, held_out
        The customers of a list, and who of them is left alone, shape (n,).
    purchase, spend
        P(an order in the window) and expected spend in it, in money, without a contact, shape (n,);
        the spend is None where the log has no amounts.
    past
        What is known of how widely spend varies.
    part
        Length of the window over the horizon of the scores.

    Returns
    -------
    None each where an arm has fewer than 3 customers, and for money where there are no amounts.
    """
    number, n = int(held_out.sum()), len(held_out)
    if min(number, n - number) < 3:
        return None, None
    buyers = detectable(expected_buyers(purchase), number)
    if spend is None:
        return buyers, None
    money = _expected_money(ids, purchase, spend, past, part)
    return buyers, detectable(money, number)


def _expected_money(
    ids: NDArray[np.object_], purchase: Array, spend: Array, past: Past, part: float
) -> Expected:
    """Return the expected money with its spread: of settled runs, else of the ends of scores."""
    cv = None if past.spread is None else past.spread.cv(purchase, spend)
    if cv is not None and past.spread is not None:
        each = past.spread.cv_each(purchase)
        return expected_money(purchase, spend, cv, past.spread.words, each)
    # the ends are those of the horizon: in a shorter window they say too little
    if past.ends is not None and part > LEAST_PART and len(spend):
        weight = spend**2 / np.maximum(purchase, LEAST_PURCHASE)
        rows = _weighted_rows(weight)
        low, high = past.ends([str(id_) for id_ in ids[rows]])
        cv = cv_from_ends(purchase[rows], spend[rows] / part, low, high)
        if cv is not None:
            return expected_money(purchase, spend, cv, RANGES_SAY)
    return expected_money(purchase, spend, SPEND_CV)


def _weighted_rows(weight: Array) -> NDArray[np.int64]:
    """Return the customers that matter most, at most :data:`ENDS_MAX`, in their order."""
    if len(weight) <= ENDS_MAX:
        return np.arange(len(weight))
    return np.sort(np.argpartition(-weight, ENDS_MAX)[:ENDS_MAX])

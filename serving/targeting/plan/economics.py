"""What contacting a customer is expected to bring and to cost.

With e the effect, r the value at risk, g the value gone, p the probability of an order in the
window without a contact, c the cost of a contact and d that of the offer:

    gross  =  e_keep r + e_win_back g                what is saved and brought back
    added  =  e (1 - p)                              orders that would not have been placed
    cost   =  c + d (p + added)                      the offer is also paid to who would have come
    gain   =  gross - cost

where e is the effect of keeping for customers who are active, and that of winning back for the
lapsed. A contact makes at most as many come back as do by themselves: the effect of winning back is
no more than P(an order in the horizon), of the value gone of the active, too, so that nobody is
contacted who surely does not return. A log without amounts has no value; a kept customer is then
worth what the terms say, w: gross = e (1 - p_horizon) w.

Where churn is the end of a contract, an order is to be a customer still: p is the probability of
that at the end of the window, and the offer is paid to all who are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.features.stages.plays import Play
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.terms import KEEP_EFFECT, WIN_BACK_EFFECT, Terms


@dataclass(frozen=True)
class Economics:
    """Expected money of contacting each customer; all arrays have shape (n,).

    Parameters
    ----------
    effect
        Share of those who would not order that a contact makes order; of the lapsed at most
        P(return in the horizon).
    p_leave
        P(no order in the horizon) without a contact.
    p_order
        P(an order in the window) without a contact.
    contact_cost
        Certain cost of a contact, in money.
    offer
        What the offer is worth to who takes it, in money.
    won_back
        Part of the gross that is brought back of the value gone; where the terms say what a kept
        customer is worth, the gross of the lapsed.
    gross, cost, gain
        In money; gain is gross less cost.
    """

    effect: Array
    p_leave: Array
    p_order: Array
    contact_cost: Array
    offer: Array
    won_back: Array
    gross: Array
    cost: Array
    gain: Array

    @property
    def added_buyers(self) -> Array:
        """Expected orders that would not have been placed, customers in the window."""
        return self.effect * (1 - self.p_order)

    @property
    def paid_anyway(self) -> Array:
        """Expected offers paid to customers who would have ordered anyway, in money."""
        return self.offer * self.p_order


def economics(
    customers: Candidates,
    plays: Sequence[Play],
    terms: Terms,
    *,
    horizon_days: int,
    contracts: bool = False,
) -> Economics:
    """Return what contacting each customer is expected to bring and to cost.

    Parameters
    ----------
    customers
        n customers.
    plays
        Of the scheme; what a play says of costs and effects holds for its customers where the terms
        leave it open.
    terms
        The plan.
    horizon_days
        Horizon of the scores.
    contracts
        Whether to leave is to cancel, and not to order nothing.

    Raises
    ------
    UsageError
        The scores have no money, and the terms do not say what a customer is worth.
    """
    window = terms.check_window(horizon_days, plays)
    if not customers.has_money and terms.worth is None:
        raise UsageError(
            "the scores have no money, so that a plan cannot weigh gain against cost; say what a "
            "customer who is kept is worth, like --worth 40"
        )
    lapsed = customers.lapsed
    keep = _by_play(customers, plays, "effect", terms.effects.keep, KEEP_EFFECT, ~lapsed)
    win_back = _by_play(customers, plays, "effect", terms.effects.win_back, WIN_BACK_EFFECT, lapsed)
    # of whom nobody knows whether they return, as without payments, the effect is what it is
    win_back = np.fmin(win_back, 1.0 - customers.p_inactive)
    effect = np.where(lapsed, win_back, keep)
    p_leave = np.where(np.isfinite(customers.p_inactive), customers.p_inactive, 1.0)
    part = window / horizon_days
    # who orders nothing in the horizon does so in each part of it; who cancels, in one part
    p_order = (1 - p_leave) ** part if contracts else 1 - p_leave**part
    contact_cost = _by_play(customers, plays, "contact_cost", terms.costs.contact, 0.0)
    offer = _by_play(customers, plays, "offer_cost", terms.costs.offer, 0.0)
    share = _by_play(customers, plays, "offer_share", terms.costs.offer_share, 0.0)
    without_offer = np.isin(customers.play, [play.id for play in plays if not play.offer])
    offer = np.where(without_offer, 0.0, offer + share * _spend_per_order(customers))
    if terms.worth is not None:
        gross = effect * p_leave * terms.worth
        won_back = np.where(lapsed, gross, 0.0)
    else:
        won_back = win_back * np.nan_to_num(customers.value_gone)
        gross = keep * np.nan_to_num(customers.value_at_risk) + won_back
    cost = contact_cost + offer * (p_order + effect * (1 - p_order))
    gain = gross - cost
    return Economics(effect, p_leave, p_order, contact_cost, offer, won_back, gross, cost, gain)


def _by_play(
    customers: Candidates,
    plays: Sequence[Play],
    name: str,
    wanted: float | None,
    default: float,
    of_whom: NDArray[np.bool_] | None = None,
) -> Array:
    """Return what the terms say for everybody, else each customer's play, else the default.

    Parameters
    ----------
    of_whom
        Customers of whom the plays say it, shape (n,); None: of all.
    """
    if wanted is not None:
        return np.full(len(customers), wanted)
    values = np.full(len(customers), default)
    for play in plays:
        value = getattr(play, name)
        if value is not None:
            rows = customers.play == play.id
            values[rows if of_whom is None else rows & of_whom] = value
    return values


def _spend_per_order(customers: Candidates) -> Array:
    """Return the expected value of an order, shape (n,), in money; 0 where it is not known."""
    orders = customers.expected_orders
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(customers.expected_spend / orders, posinf=0.0)

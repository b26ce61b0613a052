"""Who is left out of a plan, and why; each customer counts for the first reason that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stagecast.features.stages.plays import Play
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.economics import Economics
from stagecast.serving.targeting.plan.terms import Terms

REASONS = {
    "nothing_at_stake": "no value at risk or gone is known of them, such as of prospects",
    "play_leaves_alone": "their play says to leave them alone",
    "do_not_contact": "they are marked as not to be contacted",
    "no_consent": "they have not consented",
    "consent_unknown": "it is not known whether they have consented",
    "contacted_recently": "they were contacted within the quiet days",
    "cap_reached": "they were contacted as often as the cap allows",
    "in_running_plan": "a running plan contacts them or holds them out",
    "gain_too_small": "a contact is expected to bring nothing, or less than the least gain, after "
    "its costs",
    "beyond_limits": "a contact would pay, but the number of contacts or the budget goes to others",
}
"""Reason -> what it says of the customers, in the order in which the reasons are tried."""
TOO_SMALL = list(REASONS).index("gain_too_small")
BEYOND_LIMITS = list(REASONS).index("beyond_limits")
"""Of whom the limits leave out, which is known when the list is chosen."""


@dataclass(frozen=True)
class Reach:
    """What is known of who may be contacted; sets of customer ids.

    Parameters
    ----------
    do_not_contact, refused, consented
        Who is marked as not to be contacted, has not consented, and has.
    recent, capped
        Who was contacted within the quiet days, and as often as the cap allows.
    busy
        Who is in a running plan.
    """

    do_not_contact: Set[str] = field(default_factory=frozenset)
    refused: Set[str] = field(default_factory=frozenset)
    consented: Set[str] = field(default_factory=frozenset)
    recent: Set[str] = field(default_factory=frozenset)
    capped: Set[str] = field(default_factory=frozenset)
    busy: Set[str] = field(default_factory=frozenset)


def left_out(
    customers: Candidates,
    money: Economics,
    plays: Sequence[Play],
    terms: Terms,
    reach: Reach,
) -> NDArray[np.int64]:
    """Return why each customer is left out, a position in :data:`REASONS` or -1, shape (n,)."""

    def among(ids: Set[str]) -> NDArray[np.bool_]:
        if not ids:
            return np.zeros(len(customers), dtype=np.bool_)
        return np.fromiter((id_ in ids for id_ in customers.customer_id), np.bool_, len(customers))

    by_play = np.zeros(len(customers), dtype=np.bool_)
    for play in plays:
        # a play that was named is wanted, whatever the scheme says of it
        if not play.contact and play.id not in terms.audience.plays:
            by_play |= customers.play == play.id
    stake = np.nan_to_num(customers.value_at_risk) + np.nan_to_num(customers.value_gone)
    if terms.worth is not None:
        stake = money.p_leave * terms.worth
    holds = {
        "nothing_at_stake": (stake <= 0) | ~np.isfinite(customers.p_inactive),
        "play_leaves_alone": by_play,
        "do_not_contact": among(reach.do_not_contact),
        "no_consent": among(reach.refused),
        "consent_unknown": ~among(reach.consented)
        if terms.rules.require_consent
        else np.zeros(len(customers), dtype=np.bool_),
        "contacted_recently": among(reach.recent),
        "cap_reached": among(reach.capped),
        "in_running_plan": among(reach.busy),
        "gain_too_small": (money.gain <= 0) | (money.gain < terms.rules.min_gain),
    }
    reasons = np.full(len(customers), -1, dtype=np.int64)
    for reason, mask in holds.items():
        reasons[mask & (reasons < 0)] = list(REASONS).index(reason)
    return reasons


def counts(reasons: NDArray[np.int64]) -> Mapping[str, int]:
    """Return how many customers each reason leaves out, in the order of :data:`REASONS`."""
    numbers = np.bincount(reasons[reasons >= 0], minlength=len(REASONS))
    return {reason: int(number) for reason, number in zip(REASONS, numbers, strict=True) if number}

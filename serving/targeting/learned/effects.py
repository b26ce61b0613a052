"""How much a contact keeps and wins back, over all closed plans.

A plan assumes that a contact makes the share e of those order who would not have ordered: without a
contact the part ``1 - p`` of the customers would not, so that the arms are to differ by
``e mean(1 - p)``, and

    e = adjusted difference of the shares of buyers / mean(1 - p)

for the active (a contact keeps) and for the lapsed (it wins back) of each plan. ``p`` is the score
at the freezing, which is taken as known. The plans are pooled with random effects
(:func:`stagecast.serving.targeting.trial.pooled.pool`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from stagecast.features import plain_json
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.learned.closed import ClosedPlan, closed_plans
from stagecast.serving.targeting.plan.terms import KEEP_EFFECT, WIN_BACK_EFFECT, Effects
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, error_of
from stagecast.serving.targeting.trial.pooled import pool

FEWEST_PER_ARM = 20
"""Customers that each arm of a plan needs in a state; a difference of fewer is mostly chance."""
FEWEST_LEAVERS = 0.01
"""Mean of ``1 - p`` below which nobody is there to be kept."""


@dataclass(frozen=True)
class LearnedEffect:
    """The share of those who would not order that a contact makes order.

    Parameters
    ----------
    plans
        Number of plans.
    customers
        Number of their customers in this state.
    mean
        Mean over plans like these, as it was estimated: it may be negative, or above 1.
    """

    plans: int
    customers: int
    mean: Interval

    @property
    def share(self) -> float:
        """The estimate within 0 to 1, as a plan uses it."""
        return min(max(self.mean.estimate, 0.0), 1.0)

    @property
    def may_be_nothing(self) -> bool:
        """Whether 0 is inside the interval."""
        return self.mean.low <= 0 <= self.mean.high

    def words(self, verb: str, whom: str) -> str:
        """Return the effect in words.

        >>> LearnedEffect(3, 900, Interval(0.031, 0.004, 0.058)).words("keeps", "who would leave")
        'a contact keeps 3.1 % of those who would leave [0.4, 5.8]'
        """
        low, estimate, high = (
            f"{100 * value:z.1f}" for value in (self.mean.low, self.mean.estimate, self.mean.high)
        )
        text = f"a contact {verb} {estimate} % of those {whom} [{low}, {high}]"
        if self.mean.estimate != self.share:
            text += f", which a plan uses as {100 * self.share:.0f} %"
        if self.may_be_nothing:
            text += ", and may do nothing: 0 is inside the interval"
        return text


@dataclass(frozen=True)
class LearnedEffects:
    """What contacts of closed plans did.

    Parameters
    ----------
    plans
        Number of plans from which anything was learned.
    keep, win_back
        Effect on the active, and on the lapsed; None where no plan had enough of them.
    notes
        What else a reader must know, in sentences.
    """

    plans: int
    keep: LearnedEffect | None
    win_back: LearnedEffect | None
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was learned, and from how many plans."""
        return f"learned from {self.source}"

    @property
    def source(self) -> str:
        """What the effects were learned from and what they are, as terms state it."""
        parts = [
            f"nothing is known of {name}, which is assumed"
            if effect is None
            else effect.words(verb, whom)
            for name, effect, verb, whom in (
                ("keeping", self.keep, "keeps", "who would leave"),
                ("winning back", self.win_back, "wins back", "who are gone"),
            )
        ]
        number = f"{self.plans} plan{'' if self.plans == 1 else 's'}"
        return "; ".join([f"{number}: {parts[0]}", parts[1], *self.notes])

    def effects(self, wanted: Effects) -> Effects:
        """Return the effects for a plan.

        Parameters
        ----------
        wanted
            What the terms of the plan say; a share that they state is used instead of the learned
            one.
        """
        keep, win_back = wanted.keep, wanted.win_back
        if keep is None and self.keep is not None:
            keep = self.keep.share
        if win_back is None and self.win_back is not None:
            win_back = self.win_back.share
        stated = [
            f"{name} is stated as {100 * share:.1f} %"
            for name, share in (("keeping", wanted.keep), ("winning back", wanted.win_back))
            if share is not None
        ]
        return Effects(keep, win_back, "; ".join([self.source, *stated]))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain: dict[str, Any] = plain_json.to_json(self)
        return {**plain, "sentence": self.sentence}


def learned_effects(
    engine: sa.Engine, *, contracts: bool = False, level: float = LEVEL
) -> LearnedEffects | None:
    """Return the effects of contacts over all closed plans; None where nothing can be learned.

    Parameters
    ----------
    engine
        The store.
    contracts
        Whether the plans are to be those that kept contracts, or those about orders; what a
        contact does to the one says nothing of the other.
    level
        Confidence level.
    """
    usable = [plan for plan in closed_plans(engine) if plan.contracts == contracts]
    keep, keeping = _pooled(usable, "active", level)
    win_back, winning = _pooled(usable, "lapsed", level)
    sources = {plan.plan.id for plan in (*keeping, *winning)}
    if not sources:
        return None
    return LearnedEffects(
        len(sources), keep, win_back, _notes([p for p in usable if p.plan.id in sources])
    )


def require_learned(engine: sa.Engine, *, contracts: bool = False) -> LearnedEffects:
    """Return :func:`learned_effects`.

    Raises
    ------
    NotEnoughDataError
        Nothing can be learned.
    """
    learned = learned_effects(engine, contracts=contracts)
    if learned is None:
        raise NotEnoughDataError(
            "no closed plan has "
            f"{FEWEST_PER_ARM} contacted and {FEWEST_PER_ARM} held-out customers who were active, "
            "or lapsed, and orders that differ, so that no effect can be learned; state or assume "
            f"the effects (--effects assumed: {KEEP_EFFECT:.0%} and {WIN_BACK_EFFECT:.0%}), and "
            "read plans out after their windows: stagecast plan readout NAME EVENTS"
        )
    return learned


def effect_in(plan: ClosedPlan, state: str, level: float = LEVEL) -> Interval | None:
    """Return the share of those who would not order that a contact of a plan makes order.

    Parameters
    ----------
    plan
        The plan.
    state
        ``active`` or ``lapsed``.
    level
        Confidence level.

    Returns
    -------
    Interval or None
        None where an arm has fewer than :data:`FEWEST_PER_ARM` customers in this state, where all
        of them ordered or none did, or where nobody is expected to leave.

    Source: the adjusted difference of :func:`stagecast.serving.targeting.trial.effect.effect_of`.
    """
    rows = plan.state == state
    contacted, bought = plan.contacted[rows], plan.bought[rows].astype(float)
    if min(contacted.sum(), (~contacted).sum()) < FEWEST_PER_ARM or bought.min() == bought.max():
        return None
    expected = plan.expected_purchase[rows]
    leavers = float((1 - expected).mean())
    if leavers < FEWEST_LEAVERS:
        return None
    effect = effect_of(bought, contacted, plan.stratum[rows], expected[:, None], level=level)
    return effect.per_customer.times(1 / leavers)


def _pooled(
    plans: Sequence[ClosedPlan], state: str, level: float
) -> tuple[LearnedEffect | None, list[ClosedPlan]]:
    measured = [(plan, effect_in(plan, state, level)) for plan in plans]
    used = [(plan, effect) for plan, effect in measured if effect is not None and effect.width > 0]
    if not used:
        return None, []
    if len(used) == 1:
        # its own interval, which knows the tails
        mean = used[0][1]
    else:
        errors = [error_of(effect, level) for _, effect in used]
        mean = pool([effect.estimate for _, effect in used], errors, level=level).mean
    customers = sum(int((plan.state == state).sum()) for plan, _ in used)
    return LearnedEffect(len(used), customers, mean), [plan for plan, _ in used]


def _notes(plans: Sequence[ClosedPlan]) -> tuple[str, ...]:
    standing = [p.plan.request["seed"] for p in plans if p.plan.request["standing"]]
    shared = max((standing.count(seed) for seed in standing), default=0)
    if shared < 2:
        return ()
    return (
        f"{shared} of the plans held out the same customers, whose luck they share, so that the "
        "intervals are too narrow",
    )

"""Which ranking of the customers of a closed plan would have been the best.

The hold-out was drawn at random within strata, so that the share contacted within a stratum is the
propensity of its customers. The plan's own ranking (the expected gain) and that by risk compete
with response and the learners of effects; see :mod:`stagecast.training.uplift.choice`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features import plain_json
from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.learned.closed import ClosedPlan
from stagecast.serving.targeting.trial.contrast import merge_strata
from stagecast.training.uplift.choice import Choice, choose_ranking
from stagecast.training.uplift.model import UPLIFT
from stagecast.training.uplift.trial import make_trial

GAIN, RISK = "gain", "risk"


@dataclass(frozen=True)
class PlanRanking:
    """What the contacts of a plan say of its ranking.

    Parameters
    ----------
    plan
        Name of the plan.
    contacted, held_out, bought
        Numbers of customers.
    depth
        Share of the list that is contacted; None: whom it pays to contact.
    worth, cost
        What an order and a contact count for; 1 and 0 at a depth.
    choice
        The ranking to use, and why.
    """

    plan: str
    contacted: int
    held_out: int
    bought: int
    depth: float | None
    worth: float
    cost: float
    choice: Choice

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain: dict[str, Any] = plain_json.to_json(self)
        return plain


def rank_plan(
    plan: ClosedPlan,
    names: tuple[str, ...],
    X: Array,
    *,
    depth: float = 0.5,
    worth: float | None = None,
    learners: tuple[str, ...] = UPLIFT,
) -> PlanRanking:
    """Compare rankings on the customers of a closed plan, and choose one.

    Parameters
    ----------
    plan
        The plan.
    names, X
        Features as of its as_of, X of shape (n, k), in the order of its customers.
    depth
        Share of the list to contact, above 0 and below 1; not used with a ``worth``.
    worth
        What an order brings, in money: whom it pays to contact is contacted, at the mean expected
        cost of a contact of the plan. None: the depth decides.
    learners
        Of effects.

    Raises
    ------
    NotEnoughDataError
        All or none of the customers were held out.
    DataRefusedError
        The contacts do not look as if they had been drawn at random.
    """
    if plan.contacted.all() or not plan.contacted.any():
        raise NotEnoughDataError(
            f"of the {len(plan.contacted):,} customers of plan '{plan.plan.name}' "
            f"{int((~plan.contacted).sum()):,} were held out, so that there is nothing to compare; "
            "hold out a part of the next plan (--holdout 10%)"
        )
    # a stratum with one arm alone shows no effect: small ones are merged, as for the read-out
    stratum = merge_strata(plan.stratum, plan.contacted)
    share = np.bincount(stratum, plan.contacted) / np.bincount(stratum)
    trial = make_trial(X, names, plan.contacted, share[stratum], plan.bought)
    rule = worth is not None
    margin, cost = (worth, float(plan.cost.mean())) if worth is not None else (1.0, 0.0)
    choice = choose_ranking(
        trial,
        {GAIN: plan.gain, RISK: 1 - plan.expected_purchase},
        depth=None if rule else depth,
        margin=margin,
        cost=cost,
        learners=learners,
    )
    return PlanRanking(
        plan.plan.name,
        int(plan.contacted.sum()),
        int((~plan.contacted).sum()),
        int(plan.bought.sum()),
        None if rule else depth,
        margin,
        cost,
        choice,
    )

"""What a rule would have brought: its value, net of the cost of the contacts.

A rule contacts row i with the probability ``p_i`` (0 or 1, or between them where ties share the
last places). With the unbiased outcomes ``g_0`` and ``g_1`` of :func:`.pseudo_outcomes.arm_values`,

    value = mean(p (margin g_1 - cost) + (1 - p) margin g_0)      per customer of the list
    gain  = mean(p (margin (g_1 - g_0) - cost))                   the same, over contacting nobody

By inverse propensity where no expected outcomes are passed, doubly robust where they are: both are
unbiased with known propensities, and the second has the narrower interval. The rule must not have
learned from the rows that it is judged on.

Source: Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning", equations 1
and 2; Athey and Wager (2021), "Policy learning with observational data", section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.uplift.curves import share_contacted
from stagecast.training.uplift.estimate import Estimate, mean_estimate
from stagecast.training.uplift.pseudo_outcomes import Outcomes, arm_values
from stagecast.training.uplift.trial import Trial


@dataclass(frozen=True)
class AtDepth:
    """A ranking at a depth, in money per customer of the whole list.

    Parameters
    ----------
    depth
        Share of the list that is contacted.
    value
        Net outcome where the first share is contacted.
    gain
        The same over contacting nobody.
    over_random
        The same over contacting as many, drawn at random.
    """

    depth: float
    value: Estimate
    gain: Estimate
    over_random: Estimate


def rule_value(
    trial: Trial,
    contact: ArrayLike,
    outcomes: Outcomes | None = None,
    *,
    margin: float = 1.0,
    cost: float = 0.0,
) -> Estimate:
    """Return the net outcome per customer where a rule is followed.

    Parameters
    ----------
    trial
        The contacts, of customers that the rule did not learn from.
    contact
        Whether the rule contacts each row, or with which probability, shape (n,).
    outcomes
        Cross-fitted expected outcomes for the doubly robust value; None for inverse propensity.
    margin
        What one unit of the outcome brings.
    cost
        What one contact costs.

    Raises
    ------
    UsageError
        ``contact`` does not have one probability for each row.
    """
    p = _probability(trial, contact)
    alone, contacted = arm_values(trial, outcomes)
    values = p * (margin * contacted - cost) + (1 - p) * margin * alone
    return mean_estimate(values, trial.customer)


def rule_gain(
    trial: Trial,
    contact: ArrayLike,
    outcomes: Outcomes | None = None,
    *,
    margin: float = 1.0,
    cost: float = 0.0,
) -> Estimate:
    """Return the net gain per customer over contacting nobody; see :func:`rule_value`.

    Examples
    --------
    >>> from stagecast.training.uplift.trial import make_trial
    >>> trial = make_trial([[0.0]] * 4, ["x"], [1, 0, 1, 0], 0.5, [1, 0, 1, 1])
    >>> rule_gain(trial, [1, 1, 0, 0], margin=10.0, cost=0.5).value
    4.75
    """
    return mean_estimate(
        _probability(trial, contact) * net_effect(trial, outcomes, margin, cost), trial.customer
    )


def net_effect(
    trial: Trial, outcomes: Outcomes | None, margin: float = 1.0, cost: float = 0.0
) -> Array:
    """Return the unbiased net gain of contacting each row, shape (n,); see :func:`rule_value`."""
    alone, contacted = arm_values(trial, outcomes)
    return margin * (contacted - alone) - cost


def by_depth(
    trial: Trial,
    score: Array,
    depths: Sequence[float],
    outcomes: Outcomes | None = None,
    *,
    margin: float = 1.0,
    cost: float = 0.0,
) -> tuple[AtDepth, ...]:
    """Return what contacting the first of a ranking brings, at each depth.

    Parameters
    ----------
    trial, outcomes, margin, cost
        As for :func:`rule_value`.
    score
        The highest is contacted first, shape (n,).
    depths
        Shares of the list, from 0 to 1.
    """
    net = net_effect(trial, outcomes, margin, cost)
    rows = []
    for depth in depths:
        p = share_contacted(score, depth)
        rows.append(
            AtDepth(
                depth,
                rule_value(trial, p, outcomes, margin=margin, cost=cost),
                mean_estimate(p * net, trial.customer),
                mean_estimate((p - depth) * net, trial.customer),
            )
        )
    return tuple(rows)


def _probability(trial: Trial, contact: ArrayLike) -> Array:
    p = np.asarray(contact, dtype=np.float64)
    if p.shape != (len(trial),) or not ((p >= 0) & (p <= 1)).all():
        raise UsageError(
            f"the rule has the shape {p.shape}; give each of the {len(trial)} rows yes, no, or a "
            "probability from 0 to 1"
        )
    return p

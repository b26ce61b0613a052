"""Whether the active customers can be told apart by their risk, decided once for all surfaces.

A list ranked by probabilities that are the same for everybody is a list by lot. The decision is
part of the card; the terminal, the report, the pages and ``churn_percentile`` follow it.

Source of the variance of the AUC of a lottery: Mann and Whitney (1947), "On a test of whether one
of two random variables is stochastically larger than the other".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stagecast.features.arrays import Array
from stagecast.training.judging.evaluation_result import Evaluation
from stagecast.training.learners.customer_base import log_odds

NEGLIGIBLE = 0.05
"""Standard deviation of the log odds below which probabilities are alike: at one half, a point and
a quarter."""
SMALL = 0.25
"""Standard deviation of the log odds below which a ranking has to be better than a lottery on the
later period."""
NOBODY_LEAVES = 0.002
"""Share of the clv below which the value at risk ranks nobody: as far as the log shows, customers
buy rarely, and do not leave for good."""
BEYOND_CHANCE = 1.96
"""Standard errors from the AUC of a lottery."""


@dataclass(frozen=True)
class Ranking:
    """Whether the active customers can be told apart.

    Parameters
    ----------
    told_apart
        Whether a ranking by risk says anything.
    spread
        Standard deviation of the log odds of leaving among the active; None with fewer than two.
    sentence
        Why they are not ranked; None where they are.
    """

    told_apart: bool
    spread: float | None
    sentence: str | None


def nobody_leaves(value_at_risk: float, clv: float) -> bool:
    """Return whether the value at risk is so small a part of the clv that it ranks nobody.

    Parameters
    ----------
    value_at_risk, clv
        Sums over the same customers, in money.

    >>> nobody_leaves(1.0, 84_000.0), nobody_leaves(9_000.0, 84_000.0)
    (True, False)
    """
    return value_at_risk < NOBODY_LEAVES * clv


def ranking(risk: Array, evaluation: Evaluation | None) -> Ranking:
    """Return whether customers can be told apart by their risk.

    They cannot where the log odds differ by less than :data:`NEGLIGIBLE`, or by less than
    :data:`SMALL` and the ranking of the later period was no better than a lottery.

    Parameters
    ----------
    risk
        P(leaving within the horizon) of the active customers, shape (n_active,).
    evaluation
        Of the later period; None where the log is too young for one.

    Examples
    --------
    >>> import numpy as np
    >>> ranking(np.array([0.5999, 0.6, 0.6]), None).told_apart
    False
    >>> ranking(np.array([0.2, 0.6, 0.9]), None).told_apart
    True
    """
    if len(risk) < 2:
        return Ranking(True, None, None)
    spread = float(log_odds(risk).std())
    if spread >= NEGLIGIBLE and (spread >= SMALL or _ranks(evaluation) is not False):
        return Ranking(True, spread, None)
    low, high = float(risk.min()), float(risk.max())
    between = f"{low:.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"{low:.1%} to {high:.1%}"
    why = (
        "differences that small are chance"
        if spread < NEGLIGIBLE
        else "on the later period their order by risk was no better than one drawn by lot"
    )
    sentence = (
        f"The {len(risk):,} active customers cannot be told apart: the risk of all of them is "
        f"{between}, and {why}. They are not ranked."
    )
    return Ranking(False, spread, sentence)


def _ranks(evaluation: Evaluation | None) -> bool | None:
    """Return whether the AUC on the later period was beyond chance; None where it is not known."""
    if evaluation is None or evaluation.active is None:
        return None
    active = evaluation.active
    auc, left = active.models[0].auc, round(active.customers * active.base_rate)
    pairs = left * (active.customers - left)
    if auc is None or not pairs:
        return None
    standard_error = math.sqrt((active.customers + 1) / (12 * pairs))
    return auc - 0.5 > BEYOND_CHANCE * standard_error

"""How much each member of the churn model uses each feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stagecast.training.cancellation.ages import AgeHazard
from stagecast.training.inactivity.members import GapRuleOdds
from stagecast.training.inactivity.own_members import EstimatorOdds
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.customer_base import HISTORY
from stagecast.training.learners.linear import Linear

if TYPE_CHECKING:
    from stagecast.training.models import Models

COLUMNS = ["feature", "member", "weight", "gain", "effect", "share"]
"""What a customer-base model reads."""


def importances(models: Models) -> pd.DataFrame:
    """Return the use of features by the members of the model of churn.

    Gains and coefficients are not on one scale, so ``share`` is within a member: how the member
    divides its own attention. ``weight * share`` orders the rows. Customer-base models read three
    numbers of a history together, and rules the days since the last purchase; their share is that
    of the group.

    Returns
    -------
    pandas.DataFrame
        ``feature``, ``member``, ``weight`` (of the member in the pool, 0 to 1), ``gain`` (share of
        the gain of all splits of the trees; NaN elsewhere), ``effect`` (sum of the absolute
        coefficients of the feature's standardised columns, or of a member of the user the mean
        absolute effect on its log odds; NaN elsewhere) and
        ``share`` (of the member's total, 0 to 1).
    """
    if models.cancellation is not None:
        weights = models.cancellation.weights
        members: Mapping[str, Any] = {
            "ages": models.cancellation.ages,
            "glm": models.cancellation.glm,
            "trees": models.cancellation.trees,
        }
    else:
        weights, members = models.churn.weights, models.churn.members
    rows = [
        (feature, name, weight, gain, effect, share)
        for name, weight in weights.items()
        for feature, gain, effect, share in _of_member(members[name])
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = (-table["weight"] * table["share"]).sort_values(kind="stable").index
    return table.loc[order].reset_index(drop=True)


def weights(models: Models) -> pd.DataFrame:
    """Return the weights of the members of the models of churn, orders and spend.

    Returns
    -------
    pandas.DataFrame
        ``part``, ``member`` and ``weight``; the weights of a part sum to 1.
    """
    churn = (models.cancellation or models.churn).weights
    rows = [("churn", name, weight) for name, weight in churn.items()]
    for part, factor in (("orders", models.value.orders), ("spend", models.value.spend)):
        own = {} if factor.own is None else factor.own.weights
        rows += [(part, "ours", 1.0 - sum(own.values())), *((part, *item) for item in own.items())]
    return pd.DataFrame(rows, columns=["part", "member", "weight"])


def _of_member(member: Any) -> Iterator[tuple[str, float, float, float]]:
    """Yield feature, gain, effect and share."""
    nan = float("nan")
    if isinstance(member, Boosted):
        gains = member.gains()
        total = float(gains.sum()) or 1.0
        for name, gain in zip(member.columns, gains, strict=True):
            if gain > 0:
                yield name, float(gain) / total, nan, float(gain) / total
    elif isinstance(member, Linear):
        effects = _linear(member)
        total = sum(effects.values()) or 1.0
        for name, effect in effects.items():
            yield name, nan, effect, effect / total
    elif isinstance(member, EstimatorOdds):
        total = sum(member.usage.values()) or 1.0
        for name, effect in member.usage.items():
            if effect > 0:
                yield name, nan, effect, effect / total
    elif isinstance(member, AgeHazard):
        yield "age_days", nan, nan, 1.0
    elif isinstance(member, GapRuleOdds):
        yield "recency_days", nan, nan, 1.0
    else:
        yield ", ".join(HISTORY), nan, nan, 1.0


def _linear(model: Linear) -> dict[str, float]:
    effects: dict[str, float] = {}
    start = 0
    for term in model.design.terms:
        size = float(np.abs(model.weights[start : start + term.width]).sum())
        effects[term.column] = effects.get(term.column, 0.0) + size
        start += term.width
    return effects

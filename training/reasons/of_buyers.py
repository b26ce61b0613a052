"""Reasons: what in a customer's past moves their risk, in the words of the catalogue.

Each member of the pool says how much each of its columns adds to the log odds (LightGBM's
contributions, coefficient times standardised column for the linear members); columns are gathered
in families that mean one thing to a reader. An effect is told against the mean of customers in the
same state (active with active), and the three families that push furthest in the direction in which
this customer differs from them are the reasons. A family whose shown number says the contrary of
its effect (more orders than usual, and yet more risk), or nothing, is passed over: it would puzzle,
not explain. Each feature of the user's own is a family of its own, told in the words of its
meaning.

Source: Lundberg et al. (2020), "From local explanations to global understanding with explainable AI
for trees".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.own import OwnFeatures
from stagecast.training.learners.pool import Pool
from stagecast.training.models import Models

MOST_REASONS = 3
# Effects below this (log odds) are not worth a sentence.
SMALLEST_EFFECT = 0.05
# What tells a reason to stay from a reason to leave.
LOWERS = " (lowers the risk)"
# The family that is told without numbers.
TIMELESS = "season"
# Buyers that the mean effects are taken over, about.
SAMPLE = 5_000


@dataclass(frozen=True)
class Family:
    """Columns that mean one thing to a reader: the feature that is shown, how columns are
    recognised, and which way.

    ``raises`` is 1 where more of the feature means more risk, -1 where less, 0 where it depends;
    ``meaning`` is that of a feature of the user's own, whose one column it is.
    """

    feature: str
    starts: tuple[str, ...] = ()
    raises: int = 0
    meaning: str = ""

    def has(self, column: str) -> bool:
        """Tell whether a column belongs to it."""
        return column == self.feature if self.meaning else column.startswith(self.starts)


FAMILIES = (
    Family("refund_share", ("refund",)),
    Family(
        "orders_90d", ("orders_30d", "orders_90d", "orders_180d", "orders_prev", "trend_orders"), -1
    ),
    Family("spend_mean", ("spend", "monetary", "purchase_spend", "trend_spend"), -1),
    Family("activity_30d", ("activity", "silence"), -1),
    Family("gap_mean", ("gap", "return_ratio", "rhythm")),
    Family("T_days", ("T_days", "tenure")),
    Family("orders", ("orders", "frequency", "order_rate"), -1),
    # everything that tells how long the silence is against what is usual, the customer-base models'
    # own word included
    Family("recency_days", ("",), 1),
)


@dataclass(frozen=True)
class Reason:
    """One reason: the feature shown, its value, what is usual, its effect on the log odds, and
    the sentence.
    """

    feature: str
    value: float
    usual: float
    effect: float
    sentence: str


def of_own(own: OwnFeatures) -> tuple[Family, ...]:
    """Return the families of the features of the user's own that models learn from."""
    return tuple(Family(one.name, meaning=one.meaning) for one in own.features if one.predictor)


def families_of(models: Models) -> tuple[Family, ...]:
    """Return the families of the columns that models of buyers see."""
    return (*of_own(models.config.own), *FAMILIES)


def reasons(
    models: Models, columns: Mapping[str, Array], state: NDArray[np.str_], threads: int = 0
) -> list[list[Reason]]:
    """Return at most three reasons for each buyer why a purchase is likely or not, strongest first.

    Parameters
    ----------
    columns
        Columns of buyers, as :func:`stagecast.training.columns.buyer_columns` makes them.
    state
        ``active`` or ``lapsed``, one per row.
    """
    if not len(state):
        return []
    effects = total_effects(models, columns, threads)
    for name, mean in models.reference.mean_effects.items():
        effects[state == name] -= np.array(mean)
    return strongest(families_of(models), effects, columns, state, models.reference.usual)


def strongest(
    families: Sequence[Family],
    effects: Array,
    columns: Mapping[str, Array],
    state: NDArray[np.str_],
    usual: Mapping[str, Mapping[str, float]],
) -> list[list[Reason]]:
    """Return at most three reasons for each row, of families by what they add to the log odds
    beyond the usual.

    Parameters
    ----------
    effects
        Shape (rows, families).
    columns
        Those that families show; one that is null says nothing.
    usual
        State -> feature -> median in it.
    """
    direction = np.where(effects.sum(axis=1) >= 0, 1.0, -1.0)
    towards = effects * direction[:, None]
    order = np.argsort(-towards, axis=1, kind="stable")
    # of a buyer's past what is null is nothing yet; of others, and of features of the user's own,
    # it says nothing
    bought = columns["orders"] > 0
    shown = [
        np.where(
            bought & (not family.meaning),
            np.nan_to_num(columns[family.feature]),
            columns[family.feature],
        )
        for family in families
    ]
    told = []
    for row in range(len(state)):
        mine: list[Reason] = []
        for k in order[row]:
            if towards[row, k] < SMALLEST_EFFECT or len(mine) == MOST_REASONS:
                break
            family, value = families[k], float(shown[k][row])
            compared = _usual(family.feature, columns, row, usual[str(state[row])])
            if _puzzles(family, value, compared, float(direction[row])):
                continue
            text = _sentence(family, value, compared) + ("" if direction[row] > 0 else LOWERS)
            mine.append(Reason(family.feature, value, compared, float(effects[row, k]), text))
        told.append(mine)
    return told


def _puzzles(family: Family, value: float, usual: float, direction: float) -> bool:
    """Tell whether the numbers do not say what the effect does: there are none, they are alike,
    or say the contrary.
    """
    if family.feature == TIMELESS:
        return False
    alike = np.isnan(value) or np.isnan(usual) or _number(value) == _number(usual)
    return alike or bool(family.raises and family.raises * (value - usual) * direction <= 0)


def mean_effects(
    models: Models, columns: Mapping[str, Array], state: NDArray[np.str_]
) -> dict[str, tuple[float, ...]]:
    """Return the mean effect of each family over the buyers in each state, from a few thousand
    of them.
    """
    every = slice(None, None, max(1, len(state) // SAMPLE))
    effects = total_effects(models, {name: values[every] for name, values in columns.items()})
    return {
        str(name): tuple(effects[state[every] == name].mean(axis=0).tolist())
        for name in np.unique(state[every])
    }


def family_of(families: Sequence[Family], column: str) -> int:
    """Return the first family that has the column."""
    return next(k for k, family in enumerate(families) if family.has(column))


def total_effects(models: Models, columns: Mapping[str, Array], threads: int = 0) -> Array:
    """Return what each family adds to the log odds, shape (rows, families), against each
    member's own base.
    """
    families = families_of(models)
    return effects_of_families(models.churn.pool, families, columns, threads)


def effects_of_families(
    pool: Pool, families: Sequence[Family], columns: Mapping[str, Array], threads: int
) -> Array:
    """Return what each family of columns adds to the log odds of a pool, shape (rows, families)."""
    effects = np.zeros((len(next(iter(columns.values()))), len(families)))
    for column, effect in pool.effects(columns, threads):
        effects[:, family_of(families, column)] += effect
    return effects


def _usual(
    feature: str, columns: Mapping[str, Array], row: int, usual: Mapping[str, float]
) -> float:
    """Return what the value is set against: the customer's own past, else the median in the same
    state.
    """
    own = {"recency_days": "rhythm_days", "orders_90d": "orders_prev_90d"}.get(feature)
    return float(columns[own][row]) if own is not None else usual[feature]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"


def _count(value: float, one: str, many: str) -> str:
    return f"{_number(value)} {one if value == 1 else many}"


def _sentence(family: Family, value: float, usual: float) -> str:
    feature, a, b = family.feature, _number(value), _number(usual)
    if family.meaning:
        return f"{family.meaning}: {a}; {b} is usual"
    if feature == "gap_mean" and not value:
        return "one order only, no rhythm yet"
    return {
        "recency_days": f"no order for {_count(value, 'day', 'days')}; the usual gap is {b}",
        "orders": f"{_count(value, 'order', 'orders')} so far; {b} is usual",
        "orders_90d": (
            f"{_count(value, 'order', 'orders')} in the last 90 days, {b} in the 90 before"
        ),
        "spend_mean": f"spends {a} an order; {b} is usual",
        "activity_30d": (
            f"{_count(value, 'visit', 'visits')} or other events in the last 30 days; {b} is usual"
        ),
        "gap_mean": f"{a} days between orders on average; {b} is usual",
        "T_days": f"first order {_count(value, 'day', 'days')} ago; {b} is usual",
        "refund_share": f"{value:.0%} of the spend was given back; {usual:.0%} is usual",
        "contract_days": f"the contract is {_count(value, 'day', 'days')} old; {b} is usual",
        "earlier_contracts": (
            f"{_count(value, 'contract', 'contracts')} cancelled before; {b} is usual"
        ),
        "season": "the time of the year",
    }[feature]

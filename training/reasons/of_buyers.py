"""Reasons of P(no purchase): the features that raise or lower a buyer's risk most.

Each member of the pool gives the effect of each of its columns on the log odds (LightGBM's
contributions; coefficient times standardised column for the linear members). Columns are grouped
in families that mean one thing to a reader. Effects are relative to the mean of the customers in
the same state, and the reasons are the three families with the largest effects in the direction in
which this customer differs from them. A family is left out where the number shown contradicts its
effect (more orders than usual, yet more risk) or equals the usual one, because it would not explain
anything. Each of the user's own features is a family, described by its meaning.

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

MAX_REASONS = 3
# Effects below this, in log odds, are no reasons.
SMALLEST_EFFECT = 0.05
# Ends the sentence of a reason that lowers the risk.
LOWERS = " (lowers the risk)"
# The family that is shown without numbers.
SEASON = "season"
# About how many buyers the mean effects are taken over.
SAMPLE = 5_000


@dataclass(frozen=True)
class Family:
    """Columns that mean one thing to a reader.

    Parameters
    ----------
    feature
        The feature that is shown.
    starts
        How the names of the columns of the family start.
    raises
        1 where more of the feature means more risk, -1 where less, 0 where it depends.
    meaning
        Meaning of one of the user's own features, which is the only column of its family; else
        empty.
    """

    feature: str
    starts: tuple[str, ...] = ()
    raises: int = 0
    meaning: str = ""

    def has(self, column: str) -> bool:
        """Return whether a column belongs to the family."""
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
    # the length of the silence relative to what is usual, with the columns of the customer base
    Family("recency_days", ("",), 1),
)


@dataclass(frozen=True)
class Reason:
    """One reason of a risk.

    Parameters
    ----------
    feature
        The feature that is shown.
    value
        Its value.
    usual
        The value that it is compared with.
    effect
        Effect on the log odds, relative to the mean of the customers in the same state.
    sentence
        The reason in words.
    """

    feature: str
    value: float
    usual: float
    effect: float
    sentence: str


def own_families(own: OwnFeatures) -> tuple[Family, ...]:
    """Return the families of the user's own features that models learn from."""
    return tuple(
        Family(feature.name, meaning=feature.meaning)
        for feature in own.features
        if feature.predictor
    )


def buyer_families(models: Models) -> tuple[Family, ...]:
    """Return the families of the columns of models of buyers."""
    return (*own_families(models.config.own), *FAMILIES)


def reasons(
    models: Models, columns: Mapping[str, Array], state: NDArray[np.str_], threads: int = 0
) -> list[list[Reason]]:
    """Return up to three reasons for each buyer why a purchase is likely or not, strongest first.

    Parameters
    ----------
    models
        The fitted models, with the reference of the training.
    columns
        Columns of buyers by :func:`stagecast.training.columns.buyer_columns`, shape (n_buyers,).
    state
        ``active`` or ``lapsed``, shape (n_buyers,).
    threads
        Threads of the trees; 0 uses all cores.
    """
    if not len(state):
        return []
    effects = total_effects(models, columns, threads)
    for name, mean in models.reference.mean_effects.items():
        effects[state == name] -= np.array(mean)
    return strongest_reasons(
        buyer_families(models), effects, comparable(models, columns), state, models.reference.usual
    )


def comparable(models: Models, columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return columns in which a customer's usual gap is null where it rests on an assumed one.

    The gap of a shop with too few gaps is a constant, no fact of its log: no silence is compared
    with it.
    """
    if "shop_gap_days" not in models.scheme.assumed:
        return columns
    return {**columns, "rhythm_days": np.full(len(columns["rhythm_days"]), np.nan)}


def strongest_reasons(
    families: Sequence[Family],
    effects: Array,
    columns: Mapping[str, Array],
    state: NDArray[np.str_],
    usual: Mapping[str, Mapping[str, float]],
) -> list[list[Reason]]:
    """Return up to three reasons for each row, by the effects of the families, strongest first.

    Parameters
    ----------
    families
        The families.
    effects
        Effects on the log odds, relative to the mean, shape (rows, families).
    columns
        Feature of a family -> values, shape (rows,); a null value is no reason.
    state
        State of each row, shape (rows,).
    usual
        State -> feature -> median in it.
    """
    direction = np.where(effects.sum(axis=1) >= 0, 1.0, -1.0)
    strength = effects * direction[:, None]
    order = np.argsort(-strength, axis=1, kind="stable")
    # null in a catalogue feature of a buyer means none yet and counts as 0; else it is unknown
    bought = columns["orders"] > 0
    shown = [
        np.where(
            bought & (not family.meaning),
            np.nan_to_num(columns[family.feature]),
            columns[family.feature],
        )
        for family in families
    ]
    result = []
    for row in range(len(state)):
        row_reasons: list[Reason] = []
        for k in order[row]:
            if strength[row, k] < SMALLEST_EFFECT or len(row_reasons) == MAX_REASONS:
                break
            family, value = families[k], float(shown[k][row])
            own_past = _own_past(family.feature, usual[str(state[row])])
            usual_value = (
                usual[str(state[row])][family.feature]
                if own_past is None
                else float(columns[own_past][row])
            )
            if _contradicts(family, value, usual_value, float(direction[row])):
                continue
            sentence = _sentence(family, value, usual_value, own_past) + (
                "" if direction[row] > 0 else LOWERS
            )
            row_reasons.append(
                Reason(family.feature, value, usual_value, float(effects[row, k]), sentence)
            )
        result.append(row_reasons)
    return result


def _contradicts(family: Family, value: float, usual: float, direction: float) -> bool:
    """Return whether value and usual value are unknown, equal, or contradict the effect."""
    if family.feature == SEASON:
        return False
    indistinct = np.isnan(value) or np.isnan(usual) or _number(value) == _number(usual)
    return indistinct or bool(family.raises and family.raises * (value - usual) * direction <= 0)


def mean_effects(
    models: Models, columns: Mapping[str, Array], state: NDArray[np.str_]
) -> dict[str, tuple[float, ...]]:
    """Return the mean effect of each family over a sample of the buyers in each state."""
    sample = slice(None, None, max(1, len(state) // SAMPLE))
    effects = total_effects(models, {name: values[sample] for name, values in columns.items()})
    return {
        str(name): tuple(effects[state[sample] == name].mean(axis=0).tolist())
        for name in np.unique(state[sample])
    }


def family_index(families: Sequence[Family], column: str) -> int:
    """Return the position of the first family that has the column."""
    return next(k for k, family in enumerate(families) if family.has(column))


def total_effects(models: Models, columns: Mapping[str, Array], threads: int = 0) -> Array:
    """Return the effect of each family on the log odds of churn, shape (rows, families)."""
    families = buyer_families(models)
    return family_effects(models.churn.pool, families, columns, threads)


def family_effects(
    pool: Pool, families: Sequence[Family], columns: Mapping[str, Array], threads: int
) -> Array:
    """Return the effect of each family on the log odds of a pool, shape (rows, families)."""
    effects = np.zeros((len(next(iter(columns.values()))), len(families)))
    for column, effect in pool.effects(columns, threads):
        effects[:, family_index(families, column)] += effect
    return effects


def _own_past(feature: str, usual: Mapping[str, float]) -> str | None:
    """Return the feature of the customer's past to compare with; None: the median of the state.

    Where the usual gap is not known (``rhythm_days`` is null in ``usual``), the rhythm of each
    customer leans on a constant, which is no fact of the log.
    """
    if feature == "recency_days":
        return None if np.isnan(usual["rhythm_days"]) else "rhythm_days"
    return "orders_prev_90d" if feature == "orders_90d" else None


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"


def _count(value: float, singular: str, plural: str) -> str:
    return f"{_number(value)} {singular if value == 1 else plural}"


def _sentence(family: Family, value: float, usual: float, own_past: str | None) -> str:
    feature, a, b = family.feature, _number(value), _number(usual)
    if family.meaning:
        return f"{family.meaning}: {a}; {b} is usual"
    if feature == "gap_mean" and not value:
        return "one order only, no rhythm yet"
    return {
        "recency_days": f"no order for {_count(value, 'day', 'days')}; "
        + (f"{b} is usual" if own_past is None else f"the usual gap is {b}"),
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

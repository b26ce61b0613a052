"""Whether a scheme can work at all: every customer on a stage, every stage with customers, before any log is read.

The rules are tried on made-up customers: for each fact every value at, below, between and above the numbers that rules
compare it with, in all combinations that a customer can have. What holds there holds for every log, since a rule
depends on nothing but the side of each number on which a fact stands.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from features.errors import UsageError
from features.stages import Scheme, first_that_holds

Array = NDArray[np.float64]

# Thresholds of a middling shop; only their order matters.
TYPICAL = {
    "shop_gap_days": 30.0,
    "at_risk_ratio": 2.0,
    "sleeping_ratio": 4.0,
    "lost_after_days": 400.0,
    "loyal_orders": 4.0,
    "loyal_spend": 100.0,
}
MOST_CUSTOMERS = 300_000
_ORDERS = (0.0, 1.0, 2.0, 3.0, 5.0)
# facts that nobody has before the first purchase, and before the second
_FROM_FIRST = ("recency_days", "overdue_ratio", "T_days", "t_x_days", "spend_mean", "spend_first", "spend_last")
_FROM_SECOND = ("return_ratio", "gap_last", "gap_mean", "gap_spread", "monetary")


def check_rules(scheme: Scheme, where: str) -> None:
    """Refuse a scheme whose rules leave somebody without a stage, or a stage without anybody.

    Raises
    ------
    UsageError
        The message names the stage, and the one that takes its customers, or the customer whom no rule takes.
    """
    rules = [scheme[stage].rule for stage in scheme.order]
    stood: set[int] = set()
    for limits in shops(scheme):
        facts = customers_of_all_kinds(scheme, limits)
        first = first_that_holds(rules, facts, limits)
        if (first < 0).any():
            row = int(np.flatnonzero(first < 0)[0])
            who = ", ".join(f"{name} {facts[name][row]:g}" for name in sorted(scheme.features) if name in facts)
            raise UsageError(
                f"{where}: no rule holds for a customer with {who}; give the last stage of 'order' a rule that takes "
                "everybody who is left, like 'orders >= 0'"
            )
        stood |= set(first.tolist())
    for position, stage in enumerate(scheme.order):
        if position in stood:
            continue
        alone = first_that_holds([rules[position]], facts, limits) == 0
        if not alone.any():
            raise UsageError(
                f"{where}, stage '{stage}': nobody can be on it, its conditions contradict each other: "
                f"{' and '.join(str(clause) for clause in rules[position])}"
            )
        taker = scheme.order[int(np.bincount(first[alone]).argmax())]
        raise UsageError(
            f"{where}, stage '{stage}': nobody can be on it, since the rules before it in 'order' take everybody on "
            f"whom its own holds, '{taker}' most of them; name '{stage}' before '{taker}' in 'order'"
        )
    _check_states(scheme, facts["orders"], first, where)
    _check_ways(scheme, facts, first, where)


def _check_states(scheme: Scheme, orders: Array, first: NDArray[np.int64], where: str) -> None:
    """Refuse a stage whose state says otherwise than its rule: prospects are those without an order, and no others."""
    for position, stage in enumerate(scheme.order):
        here = orders[first == position]
        prospect = scheme[stage].state == "prospect"
        if (here > 0).any() if prospect else (here == 0).any():
            what = "with an order" if prospect else "without an order"
            try_next = "add 'orders == 0' to its rule" if prospect else "add 'orders >= 1' to its rule"
            raise UsageError(
                f"{where}, stage '{stage}': its state is '{scheme[stage].state}', but a customer {what} can be on it; "
                f"{try_next}, or change the state"
            )


def _check_ways(scheme: Scheme, facts: Mapping[str, Array], first: NDArray[np.int64], where: str) -> None:
    """Refuse a stage that nobody can come to: none names it as next, and it is not one to begin on."""
    beginning = {scheme.order[int(position)] for position in np.unique(first[facts["orders"] <= 1])}
    for stage in scheme.ids:
        named = any(stage in other.next for other in scheme.stages if other.id != stage)
        if not named and stage not in beginning:
            raise UsageError(
                f"{where}, stage '{stage}': nobody can come to it: name it among the 'next' of the stages before it"
            )


def merged(scheme: Scheme, absent: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return which stages cannot be told apart where the log has no event of some signals.

    Parameters
    ----------
    absent
        Names of the scheme's signals of which the log has no event.

    Returns
    -------
    dict
        Stage that nobody can be seen on -> the stages on which its customers stand instead.
    """
    if not absent:
        return {}
    limits = shops(scheme)[0]
    facts = customers_of_all_kinds(scheme, limits)
    rules = [scheme[stage].rule for stage in scheme.order]
    full = first_that_holds(rules, facts, limits)
    seen = {name: np.zeros_like(values) if name in absent else values for name, values in facts.items()}
    told = first_that_holds(rules, seen, limits)
    standing = set(told.tolist())
    return {
        stage: tuple(one for one in scheme.ids if (told[full == position] == scheme.order.index(one)).any())
        for position, stage in enumerate(scheme.order)
        if position not in standing
    }


def orders_possible(scheme: Scheme) -> dict[str, float]:
    """Return the most orders with which a customer can be on each stage; 5 stands for any number."""
    limits = shops(scheme)[0]
    facts = customers_of_all_kinds(scheme, limits)
    first = first_that_holds([scheme[stage].rule for stage in scheme.order], facts, limits)
    return {
        stage: float(facts["orders"][first == position].max(initial=0.0)) for position, stage in enumerate(scheme.order)
    }


def shops(scheme: Scheme) -> list[dict[str, float]]:
    """Return thresholds of shops that differ in what matters to the rules.

    The first is a middling shop. Where a rule compares a fact with a threshold and another with a number, shops whose
    threshold is below and above that number follow. Pinned thresholds are the same in all of them.
    """
    middling = {**TYPICAL, **scheme.pins}
    if middling["sleeping_ratio"] <= middling["at_risk_ratio"]:  # one of them is pinned: the other gives way
        if "sleeping_ratio" not in scheme.pins:
            middling["sleeping_ratio"] = 2 * middling["at_risk_ratio"]
        elif "at_risk_ratio" not in scheme.pins:
            middling["at_risk_ratio"] = middling["sleeping_ratio"] / 2
    found = [middling]
    conditions = list(scheme.conditions)
    for name in sorted({c.bound for c in conditions if not c.is_number} - set(scheme.pins)):
        facts = {c.feature for c in conditions if c.bound == name}
        numbers = [float(c.bound) for c in conditions if c.is_number and c.feature in facts]
        for number in {min(numbers), max(numbers)} if numbers else ():
            found += [{**middling, name: max(number / 2, 0.5)}, {**middling, name: 2 * number + 1}]
    return found


def customers_of_all_kinds(scheme: Scheme, limits: Mapping[str, float]) -> dict[str, Array]:
    """Return the facts of made-up customers who stand on every side of every number and threshold in the rules."""
    bounds: dict[str, set[float]] = {"orders": set()}
    rules = [*(stage.rule for stage in scheme.stages), *(group.rule for group in scheme.groups)]
    for condition in (c for rule in rules for clause in rule for c in clause.alternatives):
        bounds.setdefault(condition.feature, set()).add(condition.limit(limits))
    values = {name: _around(name, limits) for name, limits in bounds.items()}
    names = list(values)
    total = math.prod(len(some) for some in values.values())
    if total <= MOST_CUSTOMERS:
        table = np.array(list(itertools.product(*values.values())), dtype=np.float64)
    else:
        random = np.random.default_rng(0)
        table = np.column_stack([random.choice(values[name], MOST_CUSTOMERS) for name in names])
    facts = {name: table[:, k] for k, name in enumerate(names)}
    orders = facts["orders"]
    for name in names:
        if name in _FROM_FIRST or name in _FROM_SECOND:
            fewest = 1 if name in _FROM_FIRST else 2
            facts[name] = np.where(orders >= fewest, facts[name], np.nan)
        elif name == "spend" or name.startswith("spend_"):
            facts[name] = np.where(orders > 0, facts[name], 0.0)
        elif name.startswith("orders_"):
            facts[name] = np.minimum(facts[name], orders)
        elif name == "frequency":
            facts[name] = np.maximum(orders - 1, 0.0)
    return facts


def _around(name: str, limits: set[float]) -> list[float]:
    """Return values at, below, between and above the limits of one fact; orders also as a shop has them."""
    at = sorted(limit for limit in limits if math.isfinite(limit))
    between = [(low + high) / 2 for low, high in itertools.pairwise(at)]
    beside = [at[0] - 1, at[-1] + 1] if at else []
    found = {*at, *between, *beside, *(_ORDERS if name == "orders" else (0.0,))}
    return sorted(value for value in found if value >= 0 and (name != "orders" or value == round(value)))

"""Checks that every customer can be on a stage, and every stage have customers, without a log.

The rules are tried on synthetic customers: for each fact every value at, below, between and above
the numbers that rules compare it with, in all combinations that a customer can have. A result on
these holds for every log, since a rule depends only on the side of each number on which a fact
lies. If there are more combinations than ``MOST_CUSTOMERS``, that many are drawn at random, and for
each rule some customers on whom it holds are added.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError
from stagecast.features.record import ACTIVITY, PurchaseDays
from stagecast.features.stages.facts import CLOCKS, Vocabulary
from stagecast.features.stages.scheme import Scheme, first_matching_rule, rule_text

# Thresholds of a typical shop; only their order matters.
TYPICAL = {
    "shop_gap_days": 30.0,
    "at_risk_ratio": 2.0,
    "sleeping_ratio": 4.0,
    "lost_after_days": 400.0,
    "loyal_orders": 4.0,
    "loyal_spend": 100.0,
}
MOST_CUSTOMERS = 300_000
_HORIZON_DAYS = 90
_ORDERS = (0.0, 1.0, 2.0, 3.0, 5.0)


def check_rules(scheme: Scheme, where: str) -> None:
    """Raise an error if a customer can be on no stage, or a stage can have no customers.

    Parameters
    ----------
    scheme
        As read from its file.
    where
        Place of the scheme, for the error message.

    Raises
    ------
    UsageError
        The message names the customer on whom no rule holds; or the stage without customers, with
        the stage whose rule takes them; or the stage whose state or ``next`` is wrong.
    """
    rules = scheme.rules
    occupied: set[int] = set()
    for limits in example_thresholds(scheme):
        facts = synthetic_customers(scheme, limits)
        first = first_matching_rule(rules, facts, limits)
        if (first < 0).any():
            row = int(np.flatnonzero(first < 0)[0])
            customer = ", ".join(
                f"{name} {_value_text(facts[name][row])}"
                for name in sorted(scheme.features)
                if name in facts
            )
            raise UsageError(
                f"{where}: no rule holds for a customer with {customer}; give the last stage "
                "of 'order' a rule that takes "
                "everybody who is left, like 'orders >= 0'"
            )
        occupied |= set(first.tolist())
    for position, stage in enumerate(scheme.order):
        if position in occupied:
            continue
        holds = first_matching_rule([rules[position]], facts, limits) == 0
        if not holds.any():
            raise UsageError(
                f"{where}, stage '{stage}': nobody can be on it, its conditions "
                "contradict each other: "
                f"{rule_text(rules[position])}"
            )
        earlier_stage = scheme.order[int(np.bincount(first[holds]).argmax())]
        raise UsageError(
            f"{where}, stage '{stage}': nobody can be on it, since the rules before it in "
            f"'order' take everybody on whom its own holds, '{earlier_stage}' most of them; "
            f"name '{stage}' before '{earlier_stage}' in 'order'"
        )
    if not scheme.reads_contracts:
        _check_states(scheme, facts["orders"], first, where)
    _check_reachable(scheme, facts, first, where)


def _value_text(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:g}"


def _check_states(scheme: Scheme, orders: Array, first: NDArray[np.int64], where: str) -> None:
    """Raise an error if the state of a stage contradicts its rule.

    Prospects are the customers without an order, and no others. Where rules read contracts, states
    go by these and are not checked.
    """
    for position, stage in enumerate(scheme.order):
        orders_on_stage = orders[first == position]
        is_prospect = scheme[stage].state == "prospect"
        if (orders_on_stage > 0).any() if is_prospect else (orders_on_stage == 0).any():
            description = "with an order" if is_prospect else "without an order"
            remedy = (
                "add 'orders == 0' to its rule" if is_prospect else "add 'orders >= 1' to its rule"
            )
            raise UsageError(
                f"{where}, stage '{stage}': its state is '{scheme[stage].state}', but a "
                f"customer {description} can be on it; "
                f"{remedy}, or change the state"
            )


def _check_reachable(
    scheme: Scheme, facts: Mapping[str, Array], first: NDArray[np.int64], where: str
) -> None:
    """Raise an error if customers can neither begin on a stage nor come to it.

    They begin on the stages that hold for at most one order; they come to those that another stage
    names in ``next``.
    """
    start_stages = {
        scheme.order[int(position)] for position in np.unique(first[facts["orders"] <= 1])
    }
    for stage in scheme.ids:
        is_named = any(stage in other.next for other in scheme.stages if other.id != stage)
        if not is_named and stage not in start_stages:
            raise UsageError(
                f"{where}, stage '{stage}': nobody can come to it: name it among the "
                "'next' of the stages before it"
            )


def merged_stages(scheme: Scheme, absent: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the stages that cannot be distinguished if the log has no event of some signals.

    Parameters
    ----------
    scheme
        Its thresholds do not matter.
    absent
        Names of the scheme's signals of which the log has no event.

    Returns
    -------
    dict
        Stage that no customer is ever on -> the stages that its customers are on instead.
    """
    if not absent:
        return {}
    limits = example_thresholds(scheme)[0]
    facts = synthetic_customers(scheme, limits)
    true_stage = first_matching_rule(scheme.rules, facts, limits)
    visible_facts = {
        name: np.zeros_like(values) if name in absent else values for name, values in facts.items()
    }
    visible_stage = first_matching_rule(scheme.rules, visible_facts, limits)
    occupied = set(visible_stage.tolist())
    return {
        stage: tuple(
            stage_id
            for stage_id in scheme.ids
            if (visible_stage[true_stage == position] == scheme.order.index(stage_id)).any()
        )
        for position, stage in enumerate(scheme.order)
        if position not in occupied
    }


def most_orders_by_stage(scheme: Scheme) -> dict[str, float]:
    """Return the most orders that a customer on each stage can have; 5 stands for any number."""
    limits = example_thresholds(scheme)[0]
    facts = synthetic_customers(scheme, limits)
    first = first_matching_rule(scheme.rules, facts, limits)
    return {
        stage: float(facts["orders"][first == position].max(initial=0.0))
        for position, stage in enumerate(scheme.order)
    }


def example_thresholds(scheme: Scheme) -> list[dict[str, float]]:
    """Return thresholds of example shops that differ in what matters to the rules.

    The first is a typical shop. If a fact is compared with a threshold in one rule and with a
    number in another, shops whose threshold is below and above that number follow. Pinned
    thresholds are the same in all of them.
    """
    typical = {**TYPICAL, **scheme.pins}
    # one of the two may be pinned: the other is moved
    if typical["sleeping_ratio"] <= typical["at_risk_ratio"]:
        if "sleeping_ratio" not in scheme.pins:
            typical["sleeping_ratio"] = 2 * typical["at_risk_ratio"]
        elif "at_risk_ratio" not in scheme.pins:
            typical["at_risk_ratio"] = typical["sleeping_ratio"] / 2
    examples = [typical]
    conditions = list(scheme.conditions)
    for name in sorted({c.bound for c in conditions if not c.is_number} - set(scheme.pins)):
        facts = {c.feature for c in conditions if c.bound == name}
        numbers = [float(c.bound) for c in conditions if c.is_number and c.feature in facts]
        for number in {min(numbers), max(numbers)} if numbers else ():
            examples += [{**typical, name: max(number / 2, 0.5)}, {**typical, name: 2 * number + 1}]
    return examples


def synthetic_customers(scheme: Scheme, limits: Mapping[str, float]) -> dict[str, Array]:
    """Return facts of synthetic customers on every side of each number that the rules compare.

    Parameters
    ----------
    scheme
        Rules of its stages and groups count.
    limits
        Name of a threshold -> its value.

    Returns
    -------
    dict
        Name of a fact -> values, shape (n_customers,); NaN where the fact is null.
    """
    bounds: dict[str, set[float]] = {"orders": set()}
    rules = [*(stage.rule for stage in scheme.stages), *(group.rule for group in scheme.groups)]
    for condition in (c for rule in rules for clause in rule for c in clause.alternatives):
        bounds.setdefault(condition.feature, set()).add(condition.limit(limits))
    values = {name: _test_values(name, limits) for name, limits in bounds.items()}
    names = list(values)
    total = math.prod(len(choices) for choices in values.values())
    if total <= MOST_CUSTOMERS:
        table = np.array(list(itertools.product(*values.values())), dtype=np.float64)
    else:
        rng = np.random.default_rng(0)
        table = np.column_stack([rng.choice(values[name], MOST_CUSTOMERS) for name in names])
        table = np.vstack([table, *_matching_customers(scheme, limits, values)])
    facts = {name: table[:, k] for k, name in enumerate(names)}
    orders = facts["orders"]
    fewest = _fewest_orders(names)
    for name in names:
        if name in fewest:
            facts[name] = np.where(orders >= fewest[name], facts[name], np.nan)
        elif name == "spend" or name.startswith("spend_"):
            facts[name] = np.where(orders > 0, facts[name], 0.0)
        elif name.startswith("orders_"):
            facts[name] = np.minimum(facts[name], orders)
        elif name == "frequency":
            facts[name] = np.maximum(orders - 1, 0.0)
    return facts


def _matching_customers(
    scheme: Scheme, limits: Mapping[str, float], values: Mapping[str, list[float]]
) -> list[Array]:
    """Return for each rule customers on whom it holds, for rules that random draws would miss.

    One customer for each combination of the alternatives in the clauses, at most 64 for each rule.
    """
    customers = []
    for stage in scheme.stages:
        for conditions in itertools.islice(
            itertools.product(*(clause.alternatives for clause in stage.rule)), 64
        ):
            row = []
            for name, choices in values.items():
                candidates = {name: np.array(choices)}
                holds = np.ones(len(choices), dtype=np.bool_)
                for condition in conditions:
                    if condition.feature == name:
                        holds &= condition.holds(candidates, limits)
                row.append([value for value, ok in zip(choices, holds, strict=True) if ok][:1])
            if all(row):
                customers.append(np.array([[matches[0] for matches in row]]))
    return customers


def _fewest_orders(names: Sequence[str]) -> dict[str, float]:
    """Return for each fact that can be null the number of orders from which it is known.

    They are derived by evaluating the catalogue for one customer with five orders.
    """
    catalog = standard(_HORIZON_DAYS).with_parameters(shop_gap_days=TYPICAL["shop_gap_days"])
    # uneven gaps and spends, so that no fact is null by coincidence
    day = np.array([0, 10, 37, 41, 90])
    days = PurchaseDays(
        np.zeros(5, dtype=np.int64),
        day,
        np.array([5.0, 8.0, 2.0, 9.0, 4.0]),
        day * DAY_MICROSECONDS,
    )
    fact_names = set(Vocabulary.fact_names(catalog, ())) - set(CLOCKS)
    windows = {feature.name for feature in catalog.features if feature.window_days is not None}
    steps = frozenset(
        name for name in names if name in fact_names and name not in windows and name != ACTIVITY
    )
    vocabulary = Vocabulary(steps, catalog, (), "scheme")
    after, before = vocabulary.after_purchases(days), vocabulary.before_purchases
    fewest = {
        name: float(np.flatnonzero(~np.isnan(after[name]))[0] + 1)
        for name in steps
        if np.isnan(after[name]).any()
    }
    fewest |= {name: 1.0 for name in steps if name not in fewest and np.isnan(before[name][0])}
    return fewest | {
        name: 1.0 for name in names if CLOCKS.get(name, ("", None))[0] in ("last_day", "first_day")
    }


def _test_values(name: str, limits: set[float]) -> list[float]:
    """Return values at, below, between and above the limits of one fact, ascending."""
    finite = sorted(limit for limit in limits if math.isfinite(limit))
    between = [(low + high) / 2 for low, high in itertools.pairwise(finite)]
    outside = [finite[0] - 1, finite[-1] + 1] if finite else []
    candidates = {*finite, *between, *outside, *(_ORDERS if name == "orders" else (0.0,))}
    valid = sorted(
        value for value in candidates if value >= 0 and (name != "orders" or value == round(value))
    )
    # null for customers without any activity
    return [*valid, math.nan] if name == "silence_days" else valid

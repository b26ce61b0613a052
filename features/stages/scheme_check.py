"""Whether a scheme can work at all: every customer on a stage, every stage with customers, before
any log is read.

The rules are tried on made-up customers: for each fact every value at, below, between and above the
numbers that rules compare it with, in all combinations that a customer can have. What holds there
holds for every log, since a rule depends on nothing but the side of each number on which a fact
stands. Where there are more combinations than ``MOST_CUSTOMERS``, so many are drawn, and for each
rule some on which it holds.
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
from stagecast.features.stages.scheme import Scheme, first_that_holds, rule_text

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
_HORIZON_DAYS = 90
_ORDERS = (0.0, 1.0, 2.0, 3.0, 5.0)


def check_rules(scheme: Scheme, where: str) -> None:
    """Refuse a scheme whose rules leave somebody without a stage, or a stage without anybody.

    Raises
    ------
    UsageError
        The message names the stage, and the one that takes its customers, or the customer whom no
        rule takes.
    """
    rules = scheme.rules
    stood: set[int] = set()
    for limits in shops(scheme):
        facts = customers_of_all_kinds(scheme, limits)
        first = first_that_holds(rules, facts, limits)
        if (first < 0).any():
            row = int(np.flatnonzero(first < 0)[0])
            who = ", ".join(
                f"{name} {_told(facts[name][row])}"
                for name in sorted(scheme.features)
                if name in facts
            )
            raise UsageError(
                f"{where}: no rule holds for a customer with {who}; give the last stage "
                "of 'order' a rule that takes "
                "everybody who is left, like 'orders >= 0'"
            )
        stood |= set(first.tolist())
    for position, stage in enumerate(scheme.order):
        if position in stood:
            continue
        alone = first_that_holds([rules[position]], facts, limits) == 0
        if not alone.any():
            raise UsageError(
                f"{where}, stage '{stage}': nobody can be on it, its conditions "
                "contradict each other: "
                f"{rule_text(rules[position])}"
            )
        taker = scheme.order[int(np.bincount(first[alone]).argmax())]
        raise UsageError(
            f"{where}, stage '{stage}': nobody can be on it, since the rules before it in "
            "'order' take everybody on "
            f"whom its own holds, '{taker}' most of them; name '{stage}' before '{taker}' "
            "in 'order'"
        )
    _check_states(scheme, facts["orders"], first, where)
    _check_ways(scheme, facts, first, where)


def _told(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:g}"


def _check_states(scheme: Scheme, orders: Array, first: NDArray[np.int64], where: str) -> None:
    """Refuse a stage whose state says otherwise than its rule: prospects are those without an
    order, and no others.
    """
    for position, stage in enumerate(scheme.order):
        here = orders[first == position]
        prospect = scheme[stage].state == "prospect"
        if (here > 0).any() if prospect else (here == 0).any():
            what = "with an order" if prospect else "without an order"
            try_next = (
                "add 'orders == 0' to its rule" if prospect else "add 'orders >= 1' to its rule"
            )
            raise UsageError(
                f"{where}, stage '{stage}': its state is '{scheme[stage].state}', but a "
                f"customer {what} can be on it; "
                f"{try_next}, or change the state"
            )


def _check_ways(
    scheme: Scheme, facts: Mapping[str, Array], first: NDArray[np.int64], where: str
) -> None:
    """Refuse a stage that nobody can come to: none names it as next, and it is not one to begin
    on.
    """
    beginning = {scheme.order[int(position)] for position in np.unique(first[facts["orders"] <= 1])}
    for stage in scheme.ids:
        named = any(stage in other.next for other in scheme.stages if other.id != stage)
        if not named and stage not in beginning:
            raise UsageError(
                f"{where}, stage '{stage}': nobody can come to it: name it among the "
                "'next' of the stages before it"
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
    full = first_that_holds(scheme.rules, facts, limits)
    seen = {
        name: np.zeros_like(values) if name in absent else values for name, values in facts.items()
    }
    told = first_that_holds(scheme.rules, seen, limits)
    standing = set(told.tolist())
    return {
        stage: tuple(
            one for one in scheme.ids if (told[full == position] == scheme.order.index(one)).any()
        )
        for position, stage in enumerate(scheme.order)
        if position not in standing
    }


def orders_possible(scheme: Scheme) -> dict[str, float]:
    """Return the most orders with which a customer can be on each stage; 5 stands for any
    number.
    """
    limits = shops(scheme)[0]
    facts = customers_of_all_kinds(scheme, limits)
    first = first_that_holds(scheme.rules, facts, limits)
    return {
        stage: float(facts["orders"][first == position].max(initial=0.0))
        for position, stage in enumerate(scheme.order)
    }


def shops(scheme: Scheme) -> list[dict[str, float]]:
    """Return thresholds of shops that differ in what matters to the rules.

    The first is a middling shop. Where a rule compares a fact with a threshold and another with a
    number, shops whose threshold is below and above that number follow. Pinned thresholds are the
    same in all of them.
    """
    middling = {**TYPICAL, **scheme.pins}
    if (
        middling["sleeping_ratio"] <= middling["at_risk_ratio"]
    ):  # one of them is pinned: the other gives way
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
    """Return the facts of made-up customers who stand on every side of every number and
    threshold in the rules.
    """
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
        table = np.vstack([table, *_witnesses(scheme, limits, values)])
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


def _witnesses(
    scheme: Scheme, limits: Mapping[str, float], values: Mapping[str, list[float]]
) -> list[Array]:
    """Return customers on whom one rule holds and as little else as can be; for rules too rare
    to be drawn.
    """
    found = []
    for stage in scheme.stages:
        for chosen in itertools.islice(
            itertools.product(*(clause.alternatives for clause in stage.rule)), 64
        ):
            row = []
            for name, some in values.items():
                fits = {name: np.array(some)}
                here = np.ones(len(some), dtype=np.bool_)
                for condition in chosen:
                    if condition.feature == name:
                        here &= condition.holds(fits, limits)
                row.append([value for value, fit in zip(some, here, strict=True) if fit][:1])
            if all(row):
                found.append(np.array([[one[0] for one in row]]))
    return found


def _fewest_orders(names: Sequence[str]) -> dict[str, float]:
    """Return, of the facts that not everybody has, with how many orders one has them: as the
    catalogue says.
    """
    catalog = standard(_HORIZON_DAYS).with_parameters(shop_gap_days=TYPICAL["shop_gap_days"])
    # uneven gaps and spends, so that nothing is null by chance
    day = np.array([0, 10, 37, 41, 90])
    days = PurchaseDays(
        np.zeros(5, dtype=np.int64),
        day,
        np.array([5.0, 8.0, 2.0, 9.0, 4.0]),
        day * DAY_MICROSECONDS,
    )
    known = set(Vocabulary.known(catalog, ())) - set(CLOCKS)
    windows = {feature.name for feature in catalog.features if feature.window_days is not None}
    steps = frozenset(
        name for name in names if name in known and name not in windows and name != ACTIVITY
    )
    vocabulary = Vocabulary(steps, catalog, (), "scheme")
    after, before = vocabulary.after_purchases(days), vocabulary.before_purchases
    found = {
        name: float(np.flatnonzero(~np.isnan(after[name]))[0] + 1)
        for name in steps
        if np.isnan(after[name]).any()
    }
    found |= {name: 1.0 for name in steps if name not in found and np.isnan(before[name][0])}
    return found | {
        name: 1.0 for name in names if CLOCKS.get(name, ("", None))[0] in ("last_day", "first_day")
    }


def _around(name: str, limits: set[float]) -> list[float]:
    """Return values at, below, between and above the limits of one fact; orders also as a shop
    has them.
    """
    at = sorted(limit for limit in limits if math.isfinite(limit))
    between = [(low + high) / 2 for low, high in itertools.pairwise(at)]
    beside = [at[0] - 1, at[-1] + 1] if at else []
    found = {*at, *between, *beside, *(_ORDERS if name == "orders" else (0.0,))}
    kept = sorted(
        value for value in found if value >= 0 and (name != "orders" or value == round(value))
    )
    # whoever has never been active has no silence since
    return [*kept, math.nan] if name == "silence_days" else kept

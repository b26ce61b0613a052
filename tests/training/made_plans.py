"""Simulated members with plans of several billing periods, one of which may be dearer by far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.training.made import Row, day

MONTH, QUARTER, YEAR = 30.4, 91.3, 365.0


@dataclass(frozen=True)
class Plan:
    """A plan: days between two payments, prices, and P(no renewal) after each payment."""

    days: float
    prices: tuple[float, ...]
    ends: float


MONTHLY = Plan(MONTH, (10.0, 20.0, 30.0), 0.05)
YEARLY = Plan(YEAR, (120.0,), 0.3)


@dataclass(frozen=True)
class Member:
    """A simulated member: plan, price, and days of the payments and of the end; inf: none."""

    plan: Plan
    price: float
    paid: tuple[float, ...]
    ends: float

    def before(self, at: float) -> tuple[float, ...]:
        """Return the days of the payments before a day."""
        return tuple(paid for paid in self.paid if paid < at)


def members(
    plans: Sequence[Plan], customers: int, days: int, seed: int, *, ahead: int = 400
) -> dict[str, Member]:
    """Return members who join over a log of so many days and are followed ``ahead`` days longer.

    They have the plans in turn. Monthly members cancel at any time, the others half a day before a
    payment falls due.
    """
    random = np.random.default_rng(seed)
    result = {}
    for k in range(customers):
        plan = plans[k % len(plans)]
        begins, until = float(random.uniform(0, 0.98 * days)), float(days + ahead)
        renewals = int(random.geometric(plan.ends)) - 1
        last = begins + renewals * plan.days
        part = float(random.uniform(0.05, 0.95)) if plan.days < 40 else 1.0
        ends = last + part * plan.days - 0.5
        paid = tuple(p for p in begins + plan.days * np.arange(renewals + 1) if p < until)
        price = float(random.choice(plan.prices))
        result[f"m{k:04d}"] = Member(plan, price, paid, ends if ends < until else np.inf)
    return result


def rows_of(made: dict[str, Member], days: float) -> list[Row]:
    """Return the events of the members before a day."""
    rows: list[Row] = []
    for name, member in made.items():
        rows.append((name, day(member.paid[0]), "subscribe", None))
        rows += [(name, day(at + 0.001), "purchase", member.price) for at in member.paid]
        if np.isfinite(member.ends):
            rows.append((name, day(member.ends), "cancel", None))
    return sorted((row for row in rows if row[1] < day(days)), key=lambda row: row[1])

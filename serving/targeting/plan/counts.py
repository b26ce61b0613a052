"""What a plan counts: buyers, or of contracts who is kept and who comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

Counts = Literal["extra_buyers", "customers_kept", "customers_back", "kept_or_back"]
WORDS: Mapping[Counts, str] = {
    "extra_buyers": "buyers",
    "customers_kept": "customers kept",
    "customers_back": "customers back",
    "kept_or_back": "customers kept or back",
}
"""What is counted, after the word "extra"."""


def counts_of(forecast: Mapping[str, Any]) -> Counts:
    """Return what a plan counts, by its forecast as plain data.

    A plan of an earlier version does not know how many of its customers had left.

    >>> of = {"churn": "cancellation", "contacts": {"contacts": 8, "former": 8}}
    >>> counts_of(of), counts_of(of | {"churn": "inactivity"})
    ('customers_back', 'extra_buyers')
    """
    if forecast.get("churn") != "cancellation":
        return "extra_buyers"
    contacts = forecast.get("contacts", {})
    former, number = contacts.get("former"), contacts.get("contacts", 0)
    if former is None or 0 < former < number:
        return "kept_or_back"
    return "customers_back" if former else "customers_kept"


def counts_of_members(churn: str, states: Collection[str]) -> Counts:
    """Return what a plan counts, by the states of its customers.

    >>> counts_of_members("cancellation", ["active", "active"])
    'customers_kept'
    """
    former = sum(state == "lapsed" for state in states)
    contacts = {"contacts": len(states), "former": former}
    return counts_of({"churn": churn, "contacts": contacts})


def counts_together(counted: Collection[Counts]) -> Counts:
    """Return what several plans of one kind of churn count together.

    >>> counts_together(["customers_kept", "customers_back"])
    'kept_or_back'
    """
    different = set(counted)
    return next(iter(different)) if len(different) == 1 else "kept_or_back"


def title(counts: Counts) -> str:
    """Return the heading of what is counted.

    >>> title("extra_buyers"), title("customers_kept")
    ('extra buyers', 'customers kept')
    """
    return "extra buyers" if counts == "extra_buyers" else WORDS[counts]

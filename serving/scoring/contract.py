"""What a model can be asked: the event types it knows, amounts, money, days, its first as_of.

A request that breaks the contract is refused where its score would say something else than what the
caller means, and otherwise answered with warnings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from stagecast.features.clock import instant_text, parse_instant
from stagecast.features.requests import CustomerEvents
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.without_amounts import has_amounts_of
from stagecast.training.bundle import Bundle

ALWAYS_READ = ("purchase", "refund")
"""Types that every model reads."""
MEANS_PURCHASE = frozenset(
    {
        "buy", "checkout_completed", "invoice", "order", "order_completed", "order_placed",
        "ordered", "orders", "paid", "payment", "purchased", "purchases", "sale", "sales",
        "sold", "transaction",
    }
)  # fmt: skip
"""Types by which other systems call a purchase."""
SAME_NAME = 0.75
"""Least similarity of two names at which one is proposed for the other."""
NAME_LENGTH, TYPES_NAMED = 100, 5
"""Of an unknown type so many characters are named, and of a customer so many types."""
COLUMNS_OF_EVENTS = (
    "timestamp", "event", "amount", "channel", "recorded_at", "event_id", "category", "discount"
)  # fmt: skip
WARNING_CODES = ("unknown_event_type", "no_amounts", "as_of_before_training", "model_outdated")
NOT_KNOWN = "the event type is not known to the model, and counts as a contact only"
AFTER_OWN_HORIZON = (
    "the as_of is later than the training and its horizon together; train again on newer events"
)
BEFORE_TRAINING = (
    "the as_of is before that of the training, which has seen what came after it: the score is no "
    "forecast"
)
MEANT_AS_PURCHASE = (
    "have no 'purchase', and one of a type that is not known to the model and means a purchase: "
    "the score would be that of a prospect. Did you mean 'purchase'?"
)
WITHOUT_AMOUNTS = (
    "no purchase has an amount, and the model was trained on amounts: what needs money is null"
)


@dataclass(frozen=True)
class Contract:
    """What a model can be asked.

    Parameters
    ----------
    known
        Event types that the log of the training had, or that the model reads.
    read
        Event types that the model reads, of which the others are no part of a score.
    is_complete
        Whether the types of the log are known; an earlier version did not store them.
    amounts
        Whether purchases had amounts; None: not known.
    first_as_of
        As_of of the training, UTC: the first that is a forecast.
    last_as_of
        The last within the horizon after it.
    """

    known: frozenset[str]
    read: tuple[str, ...]
    is_complete: bool
    amounts: bool | None
    first_as_of: datetime
    last_as_of: datetime

    def of_as_of(self, as_of: datetime) -> list[dict[str, str]]:
        """Return the warnings about an as_of, which all customers of a request share."""
        if as_of < self.first_as_of:
            return [_warning("as_of_before_training", BEFORE_TRAINING)]
        if as_of > self.last_as_of:
            return [_warning("model_outdated", AFTER_OWN_HORIZON)]
        return []

    def of_customer(self, customer: CustomerEvents) -> list[dict[str, str]]:
        """Return the warnings about the events of a customer."""
        warnings = [
            _unknown(kind, self.nearest(kind)) for kind in self.unknown(customer)[:TYPES_NAMED]
        ]
        if self.amounts and not has_amounts_of(customer):
            warnings.append(_warning("no_amounts", WITHOUT_AMOUNTS))
        return warnings

    def unknown(self, customer: CustomerEvents) -> list[str]:
        """Return the types of a customer's events that the model does not know, each once.

        Where the types of the log are not known, only those that mean a purchase are named.
        """
        strange = {event.event for event in customer.events} - self.known
        if not self.is_complete:
            strange = {kind for kind in strange if _means_purchase(kind)}
        return sorted(strange)

    def refusal(self, customer: CustomerEvents) -> str | None:
        """Return why a customer cannot be answered honestly; None: they can.

        A customer without a purchase is a prospect. One whose purchases have another name would be
        scored as a prospect as well, and nobody would notice.
        """
        if any(event.event == "purchase" for event in customer.events):
            return None
        strange = {event.event for event in customer.events} - self.known
        return MEANT_AS_PURCHASE if any(map(_means_purchase, strange)) else None

    def nearest(self, kind: str) -> str | None:
        """Return the known type that is most like another one; None: none is like it."""
        if _means_purchase(kind):
            return "purchase"
        names = [*self.read, *sorted(self.known.difference(self.read))]
        close = get_close_matches(kind[:NAME_LENGTH], names, n=1, cutoff=SAME_NAME)
        return close[0] if close else None


@lru_cache(maxsize=4096)
def _means_purchase(kind: str) -> bool:
    if kind in MEANS_PURCHASE:
        return True
    # a name that is much longer or shorter is not like it
    is_near = abs(len(kind) - len("purchase")) <= 4
    return is_near and bool(get_close_matches(kind, ["purchase"], cutoff=SAME_NAME))


def _warning(code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail}


def _unknown(kind: str, nearest: str | None) -> dict[str, str]:
    hint = "" if nearest is None else f". Did you mean '{nearest}'?"
    named = {"event": kind[:NAME_LENGTH]} | ({} if nearest is None else {"nearest": nearest})
    return {**_warning("unknown_event_type", f"{NOT_KNOWN}{hint}"), **named}


def read_types(bundle: Bundle) -> tuple[str, ...]:
    """Return the event types that the models, features and stages of a bundle read, in order."""
    models = bundle.models
    types = dict.fromkeys(ALWAYS_READ)
    for feature in models.catalog.features:
        types |= dict.fromkeys(feature.events)
    for kinds in models.scheme.signals.values():
        types |= dict.fromkeys(kinds)
    if models.config.churn == "cancellation" or models.scheme.reads_contracts:
        for kinds in models.config.terms.types:
            types |= dict.fromkeys(kinds)
    return tuple(types)


def contract_json(bundle: Bundle, stages: Sequence[str]) -> dict[str, Any]:
    """Return the contract of a bundle as it stands in its card and in ``GET /v1/model``.

    Parameters
    ----------
    bundle
        The model.
    stages
        Ids of the stages of its scheme.
    """
    clock, horizon_days = bundle.clock, bundle.models.config.horizon_days
    first = clock.shop(bundle.as_of)
    of_log = bundle.card.get("event_types")
    return {
        "event_types": None if of_log is None else list(of_log),
        "event_types_read": list(read_types(bundle)),
        **bundle.money.to_json(),
        "zone": clock.zone,
        "equal_events": "each" if bundle.card.get("equal_events") == "each" else "one",
        "first_as_of": instant_text(bundle.as_of),
        "last_as_of": instant_text(clock.instant(first + timedelta(days=horizon_days))),
        "horizon_days": horizon_days,
        "scheme": bundle.models.scheme.id,
        "event_columns": list(COLUMNS_OF_EVENTS),
        "attributes": list(bundle.models.config.known_at_start),
        "columns": [column.name for column in score_schema.columns(stages)],
    }


def contract_of(card: Mapping[str, Any]) -> Contract | None:
    """Return the contract that a card holds; None: it holds none."""
    stored = card.get("contract")
    if stored is None:
        return None
    of_log = stored["event_types"]
    read = tuple(stored["event_types_read"])
    return Contract(
        frozenset({*read, *(of_log or ())}),
        read,
        of_log is not None,
        stored["amounts"],
        parse_instant(stored["first_as_of"], "first_as_of"),
        parse_instant(stored["last_as_of"], "last_as_of"),
    )

"""Every aggregate that a catalogue may ask for, with and without windows, against the relations
that it describes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import _ANSWERED, Feature
from stagecast.features.requests import Event
from tests.parity import oracle
from tests.parity.evaluators import PARTS, Evaluate, by_each
from tests.parity.logs import DAY, KINDS, ODD, TICK, Customers, as_ofs, logs, midnights, utc

ASKED = [
    (relation, function, column)
    for relation, functions in _ANSWERED.items()
    for function, columns in functions.items()
    for column in columns
]
WINDOWS = [None, (0, 30), (30, 90), (365, 2000)]
EVENTS: dict[str, list[tuple[str, ...]]] = {
    "days": [()],
    "log": [()],
    "types": [("visit",), ("purchase", ODD, "contact"), ("refund", "cancel", "отказ", "never")],
    "values": [(), ("purchase", "ticket"), ("never",)],
}


def _every() -> list[Feature]:
    found: list[Feature] = []
    for relation, function, column in ASKED:
        windows = [(0, 30), (0, 2000), None] if relation == "values" else WINDOWS
        for window, of in itertools.product(
            [None] if function in ("first", "last") else windows, EVENTS[relation]
        ):
            name = f"{function}_{column}_{relation}_{len(found)}"
            found.append(Feature(name, "", "", relation, function, column, window, events=of))  # type: ignore[arg-type]
    return found


EVERY = Catalog(tuple(_every()), {})
Row = dict[str, Fraction | None]


class Relations:
    """One customer's past as rows, in the words of the catalogue; but an event each where it
    says one per day.
    """

    def __init__(self, known: Sequence[Event], as_of: datetime) -> None:
        self.known, self.as_of = known, as_of
        self.days = [*self._days(oracle.purchase_days(known))]
        self.log = [self._of_log(event) for event in known]

    def _when(self, day: date) -> Row:
        return {"day": oracle.number(day), "age": oracle.age(self.as_of, day)}

    def _days(self, spend_of: dict[date, Fraction]) -> Iterable[Row]:
        before: date | None = None
        gap: Fraction | None = None
        for day, spend in spend_of.items():
            gap, gap_before = (Fraction((day - before).days) if before else None), gap
            yield {
                **self._when(day),
                "spend": spend,
                "spend_change": abs(spend - spend_of[before]) if before else None,
                "gap": gap,
                "gap_entropy": oracle.times_logarithm(gap) if gap else None,
                "gap_unevenness": oracle.unevenness(gap_before, gap)
                if gap and gap_before
                else None,
                "weekday": Fraction(day.isoweekday()),
                "weekend": Fraction(day.isoweekday() in (6, 7)),
            }
            before = day

    def _of_log(self, event: Event) -> Row:
        when, bought, returned = (
            self._when(event.timestamp.date()),
            event.event == "purchase",
            event.event == "refund",
        )
        other = not bought and not returned and event.event not in oracle.BY_THE_SHOP
        return {
            **when,
            "purchases": Fraction(bought),
            "gross_spend": oracle.money(event) * bought,
            "discount": oracle.millionths(event.discount) * bought,
            "refunds": Fraction(returned),
            "refund": oracle.money(event) * returned,
            "activity": Fraction(other),
            "active_day": when["day"] if other else None,
            "hour": Fraction(event.timestamp.hour) if bought else None,
        }

    def types(self, events: Sequence[str]) -> list[Row]:
        """Return events of some types; the mean of their amounts is that of those that have one."""
        return [
            {
                **self._when(event.timestamp.date()),
                "events": Fraction(1),
                "amount": None if event.amount is None else oracle.money(event),
            }
            for event in self.known
            if event.event in events
        ]

    def different(self, feature: Feature) -> Fraction:
        """Return how many different values the events had whose latest stands within the window."""
        ages: dict[str, Fraction] = {}
        for event in self.known:
            value = oracle.told(event.channel if feature.column == "channel" else event.category)
            if value is not None and (not feature.events or event.event in feature.events):
                age = oracle.age(self.as_of, event.timestamp.date())
                ages[value] = min(age, ages.get(value, age))
        return oracle.count([age for age in ages.values() if _stands_in(feature, age)])

    def aggregate(self, feature: Feature) -> Fraction | None:
        if feature.relation == "values":
            return self.different(feature)
        rows = {"days": self.days, "log": self.log}.get(str(feature.relation), [])
        if feature.relation == "types":
            rows = self.types(feature.events)
        values = [
            row[str(feature.column)]
            for row in rows
            if _stands_in(feature, row["age"] or Fraction(0))
        ]
        if feature.function in ("first", "last"):
            return values[0 if feature.function == "first" else -1] if values else None
        some = [value for value in values if value is not None]
        match feature.function:
            case "count":
                return oracle.count(some)
            case "distinct":
                return Fraction(len(set(some)))
            case "sum":
                return oracle.total(some)
            case "mean":
                return oracle.over(oracle.total(some), oracle.count(some))
            case "sum_of_squares":
                return oracle.total(value * value for value in some) if some else None
            case "min":
                return min(some, default=None)
            case _:
                return max(some, default=None)


def _stands_in(feature: Feature, age: Fraction) -> bool:
    newer, older = feature.window_days or (-1, 10**9)
    return newer < age <= older


def check(
    evaluate: Evaluate, customers: Customers, as_of: datetime, catalog: Catalog = EVERY
) -> None:
    rows = evaluate(customers, as_of, [0], catalog)
    for name, some in customers.items():
        known = [event for event in some if event.seen_from(as_of)]
        relations = Relations(known, as_of)
        for feature in catalog.features if known else ():
            got, want = rows[name, 0][feature.name], relations.aggregate(feature)
            absolute = PARTS.get(str(feature.column), 0.0) * len(relations.days) or 1e-11
            ok = (
                math.isnan(got)
                if want is None
                else math.isclose(got, want, rel_tol=1e-12, abs_tol=absolute)
            )
            shown = None if want is None else float(want)
            assert ok, f"{feature.name}, {feature.how}, of {name}: {got!r}, by hand {shown!r}"


@by_each
@pytest.mark.parametrize("plain", [False, True])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_aggregate_that_can_be_asked_for(
    evaluate: Evaluate, plain: bool, data: st.DataObject
) -> None:
    as_of = data.draw(midnights() if plain else as_ofs())
    kinds = tuple(kind for kind in KINDS if not plain or kind != "refund")
    check(evaluate, data.draw(logs(as_of, late=not plain, kinds=kinds)), as_of)


@by_each
@pytest.mark.parametrize("refunds", [False, True])
def test_every_aggregate_of_sums_beyond_64_bits(evaluate: Evaluate, refunds: bool) -> None:
    as_of = utc("2020-06-01")
    some = [
        Event(as_of - (1 + i % 40) * DAY + i * TICK, kind, 99_999_999_999.123456, discount=1e11)
        for i in range(150)
        for kind in ("purchase", "visit", ODD)
    ]
    back = [
        Event(as_of - (1 + i % 30) * DAY, "refund", 99_999_999_999.654321)
        for i in range(100 * refunds)
    ]
    check(
        evaluate,
        {"a": (*some, *back), "b": (Event(as_of - DAY, "purchase", 0.1, discount=0.2),)},
        as_of,
    )


@by_each
@pytest.mark.parametrize("plain", [False, True])
def test_names_of_features_run_into_no_names_of_queries(evaluate: Evaluate, plain: bool) -> None:
    names = (
        *{column for _, _, column in ASKED} - {"spend"},
        *(
            "select",
            "Order",
            "date",
            "known",
            "happened",
            "event",
            "first_purchase",
            "day_before",
            "nth",
            "instant",
        ),
        *(
            "amounts",
            "given",
            "types",
            "typed",
            "daily",
            "dates",
            "aggregates",
            "marked",
            "seen",
            "latest",
            "snapshot",
        ),
    )
    some = EVERY.features[:: len(EVERY.features) // len(names)]
    catalog = Catalog(
        tuple(
            replace(feature, name=name) for feature, name in zip(some, sorted(names), strict=False)
        ),
        {},
    )
    as_of = utc("2020-06-01")
    life = [
        Event(as_of - days * DAY - TICK, kind, float(days), "web", category="books", discount=0.25)
        for days in (1, 2, 9, 40, 41, 500)
        for kind in ("purchase", "visit", ODD, "ticket")
    ]
    back = [] if plain else [Event(as_of - 30 * DAY, "refund", 100.0)]
    check(evaluate, {"a": (*life, *back), "b": (Event(as_of - DAY, "visit"),)}, as_of, catalog)

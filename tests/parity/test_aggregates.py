"""Every allowed aggregate, with and without windows, compared with slow relations."""

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
from stagecast.features.catalog.feature import COLUMNS_BY_FUNCTION, Feature
from stagecast.features.requests import Event
from tests.parity import oracle
from tests.parity.evaluators import ROUNDING, Evaluate, by_each
from tests.parity.logs import DAY, KINDS, ODD, TICK, Customers, as_ofs, logs, midnights, utc
from tests.profiles import examples

AGGREGATES = [
    (relation, function, column)
    for relation, functions in COLUMNS_BY_FUNCTION.items()
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


def _all_features() -> list[Feature]:
    features: list[Feature] = []
    for relation, function, column in AGGREGATES:
        windows = [(0, 30), (0, 2000), None] if relation == "values" else WINDOWS
        for window, events in itertools.product(
            [None] if function in ("first", "last") else windows, EVENTS[relation]
        ):
            name = f"{function}_{column}_{relation}_{len(features)}"
            features.append(
                Feature(name, "", "", relation, function, column, window, events=events)  # type: ignore[arg-type]
            )
    return features


ALL_FEATURES = Catalog(tuple(_all_features()), {})
Row = dict[str, Fraction | None]


class Relations:
    """One customer's past as the relations of the catalogue.

    ``log`` and ``types`` have a row per event rather than per day, which gives the same aggregates.
    """

    def __init__(self, known: Sequence[Event], as_of: datetime) -> None:
        self.known, self.as_of = known, as_of
        self.days = [*self._day_rows(oracle.purchase_days(known))]
        self.log = [self._log_row(event) for event in known]

    def _day_and_age(self, day: date) -> Row:
        return {"day": oracle.number(day), "age": oracle.age(self.as_of, day)}

    def _day_rows(self, spend_of: dict[date, Fraction]) -> Iterable[Row]:
        day_before: date | None = None
        gap: Fraction | None = None
        for day, spend in spend_of.items():
            gap, gap_before = (Fraction((day - day_before).days) if day_before else None), gap
            yield {
                **self._day_and_age(day),
                "spend": spend,
                "spend_change": abs(spend - spend_of[day_before]) if day_before else None,
                "gap": gap,
                "gap_log": oracle.logarithm(gap) if gap else None,
                "gap_entropy": oracle.times_logarithm(gap) if gap else None,
                "gap_unevenness": oracle.unevenness(gap_before, gap)
                if gap and gap_before
                else None,
                "weekday": Fraction(day.isoweekday()),
                "weekend": Fraction(day.isoweekday() in (6, 7)),
            }
            day_before = day

    def _log_row(self, event: Event) -> Row:
        day_and_age = self._day_and_age(event.timestamp.date())
        is_purchase, is_refund = event.event == "purchase", event.event == "refund"
        is_activity = (
            not is_purchase and not is_refund and event.event not in oracle.MARKETER_EVENTS
        )
        return {
            **day_and_age,
            "purchases": Fraction(is_purchase),
            "gross_spend": oracle.money(event) * is_purchase,
            "discount": oracle.millionths(event.discount) * is_purchase,
            "refunds": Fraction(is_refund),
            "refund": oracle.money(event) * is_refund,
            "activity": Fraction(is_activity),
            "active_day": day_and_age["day"] if is_activity else None,
            "hour": Fraction(event.timestamp.hour) if is_purchase else None,
        }

    def types(self, events: Sequence[str]) -> list[Row]:
        """Return the events of some types; ``amount`` is None for an event without one."""
        return [
            {
                **self._day_and_age(event.timestamp.date()),
                "events": Fraction(1),
                "amount": None if event.amount is None else oracle.money(event),
            }
            for event in self.known
            if event.event in events
        ]

    def distinct_count(self, feature: Feature) -> Fraction:
        """Return the number of values whose latest event is within the window."""
        ages: dict[str, Fraction] = {}
        for event in self.known:
            text = event.channel if feature.column == "channel" else event.category
            value = oracle.stripped(text)
            if value is not None and (not feature.events or event.event in feature.events):
                age = oracle.age(self.as_of, event.timestamp.date())
                ages[value] = min(age, ages.get(value, age))
        return oracle.count([age for age in ages.values() if _is_in_window(feature, age)])

    def aggregate(self, feature: Feature) -> Fraction | None:
        """Return the value of a feature; None is null."""
        if feature.relation == "values":
            return self.distinct_count(feature)
        rows = {"days": self.days, "log": self.log}.get(str(feature.relation), [])
        if feature.relation == "types":
            rows = self.types(feature.events)
        values = [
            row[str(feature.column)]
            for row in rows
            if _is_in_window(feature, row["age"] or Fraction(0))
        ]
        if feature.function in ("first", "last"):
            return values[0 if feature.function == "first" else -1] if values else None
        not_null = [value for value in values if value is not None]
        match feature.function:
            case "count":
                return oracle.count(not_null)
            case "distinct":
                return Fraction(len(set(not_null)))
            case "sum":
                return oracle.total(not_null)
            case "mean":
                return oracle.ratio(oracle.total(not_null), oracle.count(not_null))
            case "sum_of_squares":
                return oracle.total(value * value for value in not_null) if not_null else None
            case "min":
                return min(not_null, default=None)
            case "max":
                return max(not_null, default=None)
            case other:
                raise NotImplementedError(other)


def _is_in_window(feature: Feature, age: Fraction) -> bool:
    newer, older = feature.window_days or (-1, 10**9)
    return newer < age <= older


def check(
    evaluate: Evaluate, customers: Customers, as_of: datetime, catalog: Catalog = ALL_FEATURES
) -> None:
    """Compare each feature of each customer with :class:`Relations`."""
    rows = evaluate(customers, as_of, [0], catalog)
    for name, events in customers.items():
        known = [event for event in events if event.is_known_before(as_of)]
        relations = Relations(known, as_of)
        for feature in catalog.features if known else ():
            value, expected = rows[name, 0][feature.name], relations.aggregate(feature)
            absolute = ROUNDING.get(str(feature.column), 0.0) * len(relations.days) or 1e-11
            is_same = (
                math.isnan(value)
                if expected is None
                else math.isclose(value, expected, rel_tol=1e-12, abs_tol=absolute)
            )
            assert is_same, (
                f"{feature.name}, {feature.definition}, of {name}: {value!r}, expected "
                f"{None if expected is None else float(expected)!r}"
            )


@pytest.mark.slow
@by_each
@pytest.mark.parametrize("plain", [False, True])
@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_allowed_aggregate(evaluate: Evaluate, plain: bool, data: st.DataObject) -> None:
    as_of = data.draw(midnights() if plain else as_ofs())
    kinds = tuple(kind for kind in KINDS if not plain or kind != "refund")
    check(evaluate, data.draw(logs(as_of, late=not plain, kinds=kinds)), as_of)


@pytest.mark.slow
@by_each
@pytest.mark.parametrize("refunds", [False, True])
def test_every_aggregate_of_sums_beyond_64_bits(evaluate: Evaluate, refunds: bool) -> None:
    as_of = utc("2020-06-01")
    events = [
        Event(as_of - (1 + i % 40) * DAY + i * TICK, kind, 99_999_999_999.123456, discount=1e11)
        for i in range(150)
        for kind in ("purchase", "visit", ODD)
    ]
    refund_events = [
        Event(as_of - (1 + i % 30) * DAY, "refund", 99_999_999_999.654321)
        for i in range(100 * refunds)
    ]
    check(
        evaluate,
        {
            "a": (*events, *refund_events),
            "b": (Event(as_of - DAY, "purchase", 0.1, discount=0.2),),
        },
        as_of,
    )


@by_each
@pytest.mark.parametrize("plain", [False, True])
def test_features_may_have_the_names_used_in_queries(evaluate: Evaluate, plain: bool) -> None:
    names = (
        *{column for _, _, column in AGGREGATES} - {"spend"},
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
            "with_amount",
            "types",
            "typed",
            "daily",
            "dates",
            "aggregates",
            "with_lags",
            "known_rows",
            "latest",
            "snapshot",
        ),
    )
    features = ALL_FEATURES.features[:: len(ALL_FEATURES.features) // len(names)]
    catalog = Catalog(
        tuple(
            replace(feature, name=name)
            for feature, name in zip(features, sorted(names), strict=False)
        ),
        {},
    )
    as_of = utc("2020-06-01")
    events = [
        Event(as_of - days * DAY - TICK, kind, float(days), "web", category="books", discount=0.25)
        for days in (1, 2, 9, 40, 41, 500)
        for kind in ("purchase", "visit", ODD, "ticket")
    ]
    refunds = [] if plain else [Event(as_of - 30 * DAY, "refund", 100.0)]
    customers = {"a": (*events, *refunds), "b": (Event(as_of - DAY, "visit"),)}
    check(evaluate, customers, as_of, catalog)

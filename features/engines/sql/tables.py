"""The tables that are made once per log: ``daily`` of all events; ``typed``, ``valued``,
``told`` of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stagecast.features.catalog.feature import MILLION, NO_ACTIVITY, Feature
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.engines.sql.steps import ANY, Shape, Step

_PURCHASE, _REFUND = "event = 'purchase'", "event = 'refund'"
_ACTIVITY = f"event not in ({', '.join(repr(event) for event in NO_ACTIVITY)})"


@dataclass(frozen=True)
class Clock:
    """The engine's expressions for when an event happened and when it was known, and the as_of.

    Parameters
    ----------
    happened, known
        Whole microseconds since 1970.
    day, hour
        The UTC day on which it happened, as days since 1970, and the hour of that day; whole
        numbers.
    anchor
        The as_of in microseconds. ``happened`` and ``known`` of a table count days from it, rounded
        down, so an event is seen at the as_of ``back`` days before the anchor exactly where ``known
        < -back``, at any time of day.
    """

    happened: str
    known: str
    day: str
    hour: str
    anchor: int

    def grouped(
        self, source: str, keys: Sequence[str], columns: Mapping[str, str], where: str, shape: Shape
    ) -> str:
        """Return the query that groups events by keys and day, and by when they were known where
        that tells more.

        A column that is no aggregate (a constant, or another's name) is put beside those that are.
        """
        given = [*keys, f"cast({self.day} as bigint) as day"]
        slots = [
            f"day - {self.anchor // DAY_MICROSECONDS} as {name}" for name in ("happened", "known")
        ]
        if shape.late:
            given += [
                (
                    f"cast(floor(({self.happened} - {self.anchor}) / {DAY_MICROSECONDS}.0) as "
                    "bigint) as happened"
                ),
                (
                    f"cast(floor(({self.known} - {self.anchor}) / {DAY_MICROSECONDS}.0) as "
                    "bigint) as known"
                ),
            ]
            slots = []
        asked = [f"{value} as {name}" for name, value in columns.items() if "(" in value]
        beside = [
            *slots,
            *(f"{value} as {name}" for name, value in columns.items() if "(" not in value),
        ]
        chosen = f" where {where}" if where else ""
        numbers = ", ".join(str(n) for n in range(1, len(given) + 1))
        query = f"select {', '.join([*given, *asked])} from {source}{chosen} group by {numbers}"
        return f"select {', '.join(['*', *beside])} from ({query}) as grouped" if beside else query


def daily(clock: Clock, source: str = "events", shape: Shape = ANY) -> Step:
    """One row per customer, UTC day and pair of slots: what later steps read of all events."""

    def of(condition: str, value: str, otherwise: str = "0") -> str:
        if condition == _PURCHASE and shape.purchases_alone:
            return value
        return f"case when {condition} then {value} else {otherwise} end"

    alone = shape.purchases_alone
    bought = f"min({of(_PURCHASE, clock.happened, 'null')})"
    columns = {
        "purchases": f"sum({of(_PURCHASE, '1')})",
        "gross_spend": f"sum({of(_PURCHASE, _millionths('amount', shape))})",
        "discount": f"sum({of(_PURCHASE, _millionths('discount', shape))})"
        if shape.discounts
        else "0",
        "refunds": f"sum({of(_REFUND, '1')})" if shape.refunds else "0",
        "refund": f"sum({of(_REFUND, _millionths('amount', shape))})" if shape.refunds else "0",
        "activity": "0" if alone else f"sum({of(_ACTIVITY, '1')})",
        "hour": f"bit_or({of(_PURCHASE, f'1 << cast({clock.hour} as integer)')})",
        "first_event": f"min({clock.happened})",
        "first_purchase": "first_event" if alone else bought,
    }
    return Step("daily", clock.grouped(source, ["customer"], columns, "", shape))


def typed(clock: Clock, types: Sequence[str], source: str = "events", shape: Shape = ANY) -> Step:
    """One row per customer, event type of some, UTC day and pair of slots: what ``types`` are
    made of.
    """
    columns = {
        "events": "count(*)",
        "amount": f"sum({_millionths('amount', shape)})",
        "given": "count(amount)",
    }
    return Step(
        "typed",
        clock.grouped(source, ["customer", "event"], columns, f"event in ({texts(types)})", shape),
    )


def valued(
    clock: Clock, columns: Sequence[str], source: str = "events", shape: Shape = ANY
) -> Step:
    """One row per customer, event type, values of some columns, UTC day and slots: what
    ``values`` are made of.
    """
    some = " or ".join(f"{column} is not null" for column in columns)
    return Step("valued", clock.grouped(source, ["customer", "event", *columns], {}, some, shape))


def told(features: Sequence[Feature]) -> Step:
    """One row per customer with features of the relation ``customer``, from the engine's view
    ``known_at_start``.

    That view has the attributes, and as ``customer_id`` what the engine groups events by.
    """
    asked = ", ".join(f"{_attribute(feature)} as {_quoted(feature.name)}" for feature in features)
    return Step("told", f"select customer_id as customer, {asked} from known_at_start")


def _attribute(feature: Feature) -> str:
    column = _quoted(str(feature.column))
    if feature.function == "value":
        return f"cast({column} as double)"
    there = f"cast({column} as varchar) in ({texts(feature.values)})"
    return f"cast(case when {there} then 1 when {column} is not null then 0 end as double)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _millionths(amount: str, shape: Shape) -> str:
    if shape.wide:
        whole = f"cast({amount} as decimal(29, 6)) * cast({MILLION} as decimal(8, 0))"
        return f"coalesce(cast({whole} as decimal(38, 0)), 0)"
    # six decimals times a million: whole but for the last bit
    return f"coalesce(floor(cast({amount} as double) * {MILLION} + 0.5), 0)"


def texts(texts: Iterable[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)

"""Steps for the tables created once per log: ``daily``, ``typed``, ``valued`` and ``told``."""

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
    """An engine's SQL expressions for the times of an event, and the as_of.

    Parameters
    ----------
    happened, known
        Expressions for when an event happened and when it was known, whole microseconds since 1970,
        UTC.
    day, hour
        Expressions for the UTC day on which it happened, days since 1970, and the hour of that day;
        whole numbers.
    anchor
        The as_of, microseconds since 1970, UTC. The columns ``happened`` and ``known`` of a table
        are whole days from the anchor, rounded down. So an event was known at the date ``back``
        days before the anchor exactly if ``known < -back``, whatever the time of day of the anchor.
    """

    happened: str
    known: str
    day: str
    hour: str
    anchor: int

    def grouped_query(
        self, source: str, keys: Sequence[str], columns: Mapping[str, str], where: str, shape: Shape
    ) -> str:
        """Return the query that groups events by keys, day and the days of ``happened``, ``known``.

        Parameters
        ----------
        source
            Table or view of events.
        keys
            Columns to group by.
        columns
            Name -> expression. An expression that is not an aggregate (a constant, or the name of
            another column) is added outside the group by.
        where
            Condition on the events; empty: all events.
        shape
            Shape of the log. Without late records ``happened`` and ``known`` follow from the day,
            and are also added outside the group by.
        """
        group_columns = [*keys, f"cast({self.day} as bigint) as day"]
        added = []
        if shape.late:
            for name, instant in (("happened", self.happened), ("known", self.known)):
                days = f"floor(({instant} - {self.anchor}) / {DAY_MICROSECONDS}.0)"
                group_columns.append(f"cast({days} as bigint) as {name}")
        else:
            anchor_day = self.anchor // DAY_MICROSECONDS
            added = [f"day - {anchor_day} as {name}" for name in ("happened", "known")]
        aggregates = [f"{value} as {name}" for name, value in columns.items() if "(" in value]
        added += [f"{value} as {name}" for name, value in columns.items() if "(" not in value]
        condition = f" where {where}" if where else ""
        positions = ", ".join(str(n) for n in range(1, len(group_columns) + 1))
        query = (
            f"select {', '.join([*group_columns, *aggregates])} from {source}{condition} "
            f"group by {positions}"
        )
        return f"select {', '.join(['*', *added])} from ({query}) as grouped" if added else query


def daily_step(clock: Clock, source: str = "events", shape: Shape = ANY) -> Step:
    """Return the step ``daily``: one row per customer, UTC day, and days of happened and known.

    Parameters
    ----------
    clock
        The engine's expressions of time.
    source
        Table or view of events.
    shape
        Shape of the log.
    """

    def if_event(condition: str, value: str, otherwise: str = "0") -> str:
        if condition == _PURCHASE and shape.purchases_alone:
            return value
        return f"case when {condition} then {value} else {otherwise} end"

    purchases_alone = shape.purchases_alone
    amount, discount = _millionths("amount", shape), _millionths("discount", shape)
    first_purchase = f"min({if_event(_PURCHASE, clock.happened, 'null')})"
    columns = {
        "purchases": f"sum({if_event(_PURCHASE, '1')})",
        "gross_spend": f"sum({if_event(_PURCHASE, amount)})",
        "discount": f"sum({if_event(_PURCHASE, discount)})" if shape.discounts else "0",
        "refunds": f"sum({if_event(_REFUND, '1')})" if shape.refunds else "0",
        "refund": f"sum({if_event(_REFUND, amount)})" if shape.refunds else "0",
        "activity": "0" if purchases_alone else f"sum({if_event(_ACTIVITY, '1')})",
        # one bit per hour
        "hour": f"bit_or({if_event(_PURCHASE, f'1 << cast({clock.hour} as integer)')})",
        "first_event": f"min({clock.happened})",
        "first_purchase": "first_event" if purchases_alone else first_purchase,
    }
    return Step("daily", clock.grouped_query(source, ["customer"], columns, "", shape))


def typed_step(
    clock: Clock, types: Sequence[str], source: str = "events", shape: Shape = ANY
) -> Step:
    """Return the step ``typed``, from which the relation ``types`` is computed.

    It has one row per customer, event type in ``types``, UTC day, and days of happened and known.

    Parameters
    ----------
    clock
        The engine's expressions of time.
    types
        Event types to select.
    source
        Table or view of events.
    shape
        Shape of the log.
    """
    columns = {
        "events": "count(*)",
        "amount": f"sum({_millionths('amount', shape)})",
        "with_amount": "count(amount)",
    }
    where = f"event in ({text_list(types)})"
    return Step("typed", clock.grouped_query(source, ["customer", "event"], columns, where, shape))


def valued_step(
    clock: Clock, columns: Sequence[str], source: str = "events", shape: Shape = ANY
) -> Step:
    """Return the step ``valued``, from which the relation ``values`` is computed.

    It has one row per customer, event type, value of the ``columns``, UTC day, and days of happened
    and known.

    Parameters
    ----------
    clock
        The engine's expressions of time.
    columns
        ``channel``, ``category`` or both.
    source
        Table or view of events.
    shape
        Shape of the log.
    """
    where = " or ".join(f"{column} is not null" for column in columns)
    keys = ["customer", "event", *columns]
    return Step("valued", clock.grouped_query(source, keys, {}, where, shape))


def attributes_step(features: Sequence[Feature]) -> Step:
    """Return the step ``told``: one row per customer with features of the relation ``customer``.

    It reads the engine's view ``known_at_start``, which has the attributes and, as ``customer_id``,
    the column that the engine groups events by. The name ``told`` is a key in the output of
    ``stagecast features --explain-sql --json``.

    Parameters
    ----------
    features
        Features of the relation ``customer``.
    """
    columns = ", ".join(f"{_attribute(feature)} as {_quoted(feature.name)}" for feature in features)
    return Step("told", f"select customer_id as customer, {columns} from known_at_start")


def _attribute(feature: Feature) -> str:
    column = _quoted(str(feature.column))
    if feature.function == "value":
        return f"cast({column} as double)"
    matches = f"cast({column} as varchar) in ({text_list(feature.values)})"
    return f"cast(case when {matches} then 1 when {column} is not null then 0 end as double)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _millionths(amount: str, shape: Shape) -> str:
    if shape.wide:
        whole = f"cast({amount} as decimal(29, 6)) * cast({MILLION} as decimal(8, 0))"
        return f"coalesce(cast({whole} as decimal(38, 0)), 0)"
    # the product of an amount with six decimals and a million is whole up to rounding
    return f"coalesce(floor(cast({amount} as double) * {MILLION} + 0.5), 0)"


def text_list(texts: Iterable[str]) -> str:
    """Return texts as SQL literals, separated by commas."""
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)

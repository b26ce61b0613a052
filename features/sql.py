"""The catalogue as SQL: a few small named steps, rendered to one query for an engine's dialect.

    events -> daily -> visible -> purchase_days -> days -> days_totals
                               -> log_totals                          -> aggregates -> snapshot

``daily`` is made once per log; every other step, for any number of dates, is one query over it. ``purchase_days`` are
net of refunds (:func:`net_days`). Steps are written in DuckDB's dialect within a set that engines share (filter,
equality and range join, group by with sum, min, max and conditions, sum and min over rows, lag, row_number, least,
greatest, cast, coalesce); :func:`render` parses them with sqlglot and writes the engine's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from features import formula
from features.catalog import MARKETER_EVENTS, Catalog, Feature
from features.clock import DAY_MICROSECONDS
from features.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Step:
    """One common table expression: what it is called and the query that makes it."""

    name: str
    sql: str


def render(steps: Sequence[Step], dialect: str) -> str:
    """Return the steps as one query in a dialect; the last step is the result."""
    *before, last = steps
    ctes = ",\n".join(f"{step.name} as ({step.sql})" for step in before)
    text = f"with {ctes}\n{last.sql}" if before else last.sql
    return sqlglot.transpile(text, read="duckdb", write=dialect, pretty=True)[0]


def daily(microseconds: str, known_microseconds: str, anchor: int, source: str = "events") -> Step:
    """One row per customer, UTC day and pair of slots; all later steps read this one only.

    Parameters
    ----------
    microseconds, known_microseconds
        The engine's expressions for when an event happened and when it was known, in microseconds since 1970.
    anchor
        The as_of in microseconds. ``happened`` and ``known`` count days from it, rounded down, so an event is seen at
        the as_of ``back`` days before the anchor exactly where ``known < -back``, at any time of day.
    """
    marketer = ", ".join(f"'{event}'" for event in MARKETER_EVENTS)
    purchase = "event = 'purchase'"
    return Step(
        "daily",
        f"""
        select customer,
            cast(floor({microseconds} / {DAY_MICROSECONDS}.0) as bigint) as day,
            cast(floor(({microseconds} - {anchor}) / {DAY_MICROSECONDS}.0) as bigint) as happened,
            cast(floor(({known_microseconds} - {anchor}) / {DAY_MICROSECONDS}.0) as bigint) as known,
            sum(case when {purchase} then 1 else 0 end) as purchases,
            sum(case when {purchase} then coalesce(amount, 0) else 0 end) as gross_spend,
            sum(case when event = 'refund' then coalesce(amount, 0) else 0 end) as refund,
            sum(case when event not in ('purchase', 'refund', {marketer}) then 1 else 0 end) as activity,
            min(case when {purchase} then {microseconds} end) as first_purchase,
            min({microseconds}) as first_event,
            max({microseconds}) as last_event
        from {source}
        group by 1, 2, 3, 4
        """,
    )


def net_days(source: str, keys: str, partition: str, *, refunds: bool) -> list[Step]:
    """Return the steps from rows of ``daily`` to ``purchase_days``: one row per day of which a purchase remains.

    Refunds of a day take back what was bought last: that day's own purchases, then those of the purchase day before,
    and so on; what is left of them then is of purchases before the log, and counts as nothing. A day with purchases
    above 0 of which all was taken back is no purchase day; one of purchases of 0 always is.

    The ``balance`` is purchases less refunds up to a day. A day's purchases lift it; the lowest that it ever falls to
    again, from that day on, is how much of them remains above the balance of the day before.

    Parameters
    ----------
    source
        Name of the step with the rows, only those that are to be known.
    keys
        Columns to group by beside ``day``; ``partition``, those of them that tell one customer's past from another.
    refunds
        Whether ``daily`` has any refund. Without one the same days come of a plain group by.

    Returns
    -------
    list of Step
        The last has ``keys``, ``day``, ``spend`` (money, net, never negative), ``first_purchase``.
    """
    if not refunds:
        plain = f"select {keys}, day, sum(gross_spend) as spend, min(first_purchase) as first_purchase"
        return [Step("purchase_days", f"{plain} from {source} where purchases > 0 group by {keys}, day")]
    so_far = f"(partition by {partition} order by day rows between unbounded preceding and current row)"
    from_now = f"(partition by {partition} order by day rows between current row and unbounded following)"
    return [
        Step(
            "day_totals",
            f"""
            select {keys}, day, sum(purchases) as purchases, sum(gross_spend) as gross_spend, sum(refund) as refund,
                min(first_purchase) as first_purchase
            from {source} where purchases > 0 or refund > 0 group by {keys}, day
            """,
        ),
        Step("balances", f"select *, sum(gross_spend - refund) over {so_far} as balance from day_totals"),
        Step("outlooks", f"select *, min(balance) over {from_now} as lowest from balances"),
        Step(
            "netted",
            f"""
            select {keys}, day, gross_spend, first_purchase,
                greatest(least(gross_spend, lowest - (balance - gross_spend + refund)), 0) as spend
            from outlooks where purchases > 0
            """,
        ),
        Step(
            "purchase_days",
            f"select {keys}, day, spend, first_purchase from netted where spend > 0 or gross_spend = 0",
        ),
    ]


def purchase_days(where: str = "known < 0", *, refunds: bool = True) -> list[Step]:
    """Return the steps to one row per customer and purchase day, from the rows of ``daily`` that ``where`` keeps."""
    known = Step("known_days", f"select * from daily where {where}")
    return [known, *net_days("known_days", "customer", "customer", refunds=refunds)]


def _dates(anchor_day: float, backs: Sequence[int]) -> str:
    # by way of whole microseconds, so that a date is the same number however far back one looks at it from
    anchor = round(anchor_day * DAY_MICROSECONDS)
    days = {back: (anchor - back * DAY_MICROSECONDS) / DAY_MICROSECONDS for back in backs}
    return " union all ".join(
        f"select {back} as back, cast({day!r} as double) as as_of_day" for back, day in days.items()
    )


def _aggregate_sql(feature: Feature) -> str:
    column = feature.column
    conditions = []
    if feature.window_days is not None:
        newer, older = feature.window_days
        conditions.append(f"age > {newer} and age <= {older}" if newer else f"age <= {older}")
    if feature.function in ("first", "last"):
        conditions.append("nth = 1" if feature.function == "first" else "nth_last = 1")
    kept = " and ".join(conditions)
    match feature.function:
        case "count":
            value = f"sum(case when {kept} then 1 else 0 end)" if kept else "count(*)"
        case "sum" | "sum_of_squares":
            term = f"{column} * {column}" if feature.function == "sum_of_squares" else str(column)
            value = f"sum({f'case when {kept} then {term} end' if kept else term})"
        case "min" | "max":
            value = f"{feature.function}({f'case when {kept} then {column} end' if kept else column})"
        case "first" | "last":
            value = f"max(case when {kept} then {column} end)"
        case _:
            raise UsageError(f"feature '{feature.name}': unknown function '{feature.function}'")
    # nothing bought is zero bought, but a mean or a day of nothing stays null
    if feature.function in ("count", "sum"):
        value = f"coalesce({value}, 0)"
    return f"cast({value} as double) as {feature.name}"


def _expanded(catalog: Catalog) -> dict[str, exp.Expression]:
    """Return each formula with the formulas and parameters that it names put in their places."""
    done: dict[str, exp.Expression] = {}

    def fill(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column):
            if node.name in done:
                return exp.Paren(this=done[node.name].copy())
            if node.name in catalog.parameters:
                return formula.double(catalog.parameters[node.name])
        return node

    aggregates = {f.name for f in catalog.features if f.formula is None}
    for feature in catalog.features:
        if feature.formula is None:
            continue
        known = {*aggregates, *done, *catalog.parameters, "as_of_day"}
        if missing := sorted(formula.names(feature.formula) - known):
            raise UsageError(
                f"feature '{feature.name}' needs {missing}: no feature before it, no parameter of the catalogue."
                f"{did_you_mean(missing[0], known)}"
            )
        done[feature.name] = formula.portable(formula.parse(feature.formula)).transform(fill)
    return done


def snapshot(catalog: Catalog, anchor_day: float, backs: Sequence[int], *, refunds: bool = True) -> list[Step]:
    """Return the steps from ``daily`` to one row per customer and date with every feature, ordered by both.

    Parameters
    ----------
    anchor_day
        Day number of the anchor that ``daily`` was made with.
    backs
        The dates, as whole days before the anchor.
    refunds
        Whether ``daily`` has any refund.
    """
    of_days = [_aggregate_sql(f) for f in catalog.features if f.relation == "days"]
    of_log = [_aggregate_sql(f) for f in catalog.features if f.relation == "log"]
    aggregates = [f.name for f in catalog.features if f.formula is None]
    zero = {f.name for f in catalog.features if f.relation == "days" and f.function in ("count", "sum")}
    columns = [f"coalesce({name}, 0) as {name}" if name in zero else name for name in aggregates]
    expanded = _expanded(catalog)
    outputs = [
        name if name not in expanded else f"cast({expanded[name].sql('duckdb')} as double) as {name}"
        for name in catalog.names
    ]
    return [
        Step("dates", _dates(anchor_day, backs)),
        Step(
            "visible",
            """
            select daily.*, back, as_of_day, as_of_day - day as age, case when activity > 0 then day end as active_day
            from daily join dates on known < -back
            """,
        ),
        *net_days("visible", "customer, back, as_of_day", "customer, back", refunds=refunds),
        Step(
            "days",
            """
            select *, as_of_day - day as age,
                day - lag(day) over (partition by customer, back order by day) as gap,
                row_number() over (partition by customer, back order by day) as nth,
                row_number() over (partition by customer, back order by day desc) as nth_last
            from purchase_days
            """,
        ),
        Step("days_totals", f"select customer, back, {', '.join(of_days)} from days group by 1, 2"),
        Step("log_totals", f"select customer, back, as_of_day, {', '.join(of_log)} from visible group by 1, 2, 3"),
        Step(
            "aggregates",
            f"""
            select log_totals.customer, log_totals.back, as_of_day, {", ".join(columns)}
            from log_totals left join days_totals
                on log_totals.customer = days_totals.customer and log_totals.back = days_totals.back
            """,
        ),
        Step("snapshot", f"select customer, back, {', '.join(outputs)} from aggregates order by back, customer"),
    ]


def outcomes(horizon_days: int, backs: Sequence[int], *, refunds: bool = True) -> list[Step]:
    """Return the steps from ``daily`` to what happened within ``[as_of, as_of + horizon)`` of each date.

    One row per customer and date with a purchase that remains: ``orders`` (purchase days) and ``spend`` (money, net).
    Only what was known before the anchor counts. Refunds of the window take back purchases of the window; what they
    leave over is of purchases before it, and does not make the window's spend less. ``refunds`` says whether ``daily``
    has any.
    """
    return [
        Step("dates", " union all ".join(f"select {back} as back" for back in dict.fromkeys(backs))),
        Step(
            "ahead",
            f"""
            select daily.*, back
            from daily join dates
                on daily.happened >= -dates.back and daily.happened < {horizon_days} - dates.back and daily.known < 0
            """,
        ),
        *net_days("ahead", "customer, back", "customer, back", refunds=refunds),
        Step(
            "outcomes",
            """
            select customer, back, cast(count(*) as double) as orders, cast(sum(spend) as double) as spend
            from purchase_days group by 1, 2 order by back, customer
            """,
        ),
    ]

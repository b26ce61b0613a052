"""From the tables of a log to one row per customer and date with every feature of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import ENTROPY_SCALE, SCALES, UNEVENNESS_SCALE, Feature
from stagecast.features.catalog.of_customer import of_customer
from stagecast.features.engines.sql.dates import Dates
from stagecast.features.engines.sql.days import net_days
from stagecast.features.engines.sql.formulas import levels
from stagecast.features.engines.sql.steps import ANY, Shape, Step
from stagecast.features.engines.sql.tables import Clock, texts, told, typed, valued

_MADE_OF_LAGS = {
    "gap": "cast(day - day_before as double)",
    "spend_change": "abs(spend - spend_before)",
    # whole numbers, which add up to the same in any order
    "gap_entropy": (
        "floor((day - day_before) * ln(cast(day - day_before as double)) * "
        f"{ENTROPY_SCALE!r} + 0.5)"
    ),
    "gap_unevenness": (
        "floor((cast(day - day_before as double) / (day - day_before_that) - 0.5)"
        " * (cast(day - day_before as double) / (day - day_before_that) - 0.5) * "
        f"{UNEVENNESS_SCALE!r} + 0.5)"
    ),
}
_MADE_OF_DAY = {
    # 1970-01-01 was a Thursday; a bit for each weekday, 1 for Monday
    "weekday": "1 << cast((((day + 3) % 7) + 7) % 7 as integer)",
    "weekend": "case when (((day + 3) % 7) + 7) % 7 >= 5 then 1 else 0 end",
}
_DAILY = ("purchases", "gross_spend", "discount", "refunds", "refund", "activity", "hour")


def snapshot(catalog: Catalog, anchor: int, backs: Sequence[int], shape: Shape = ANY) -> list[Step]:
    """Return the steps from ``daily`` and the tables beside it to one row per customer and date
    with every feature.

    Parameters
    ----------
    catalog
        With its parameters set.
    anchor
        The as_of in microseconds since 1970.
    backs
        The dates as whole days before the anchor.
    shape
        What the log has.

    Returns
    -------
    list of Step
        The last has ``customer``, ``back`` and the features in their order, in no particular order
        of rows. It reads ``typed``, ``valued`` and ``told`` only where :func:`tables_beside` has
        them.

    Raises
    ------
    UsageError
        A formula that names neither a feature before it nor a parameter of the catalogue.
    """
    derived = levels(catalog)
    asked, absent = present(catalog, shape)
    of = {
        name: [f for f in asked if f.relation == name]
        for name in ("days", "log", "types", "values")
    }
    dates = Dates.of(anchor, backs)
    rows, base = _plain(of, dates, shape) if shape.plain else _general(of, dates, shape)
    parts = [*base, *_types(of["types"], dates), *_values(of["values"], dates)]
    first = base[0].name
    joins = " ".join(
        (
            f"left join {part.name} on {part.name}.customer = {first}.customer and "
            f"{part.name}.back = {first}.back"
        )
        for part in parts[1:]
    )
    columns = [*(_or_zero(f) for f in asked), *(_constant(f) for f in absent)]
    if attributes := of_customer(catalog):
        joins += f" left join told on told.customer = {first}.customer"  # the same at every date
        columns += [_quoted(feature.name) for feature in attributes]
    steps = [*dates.steps, *rows, *parts, Step("aggregates", dates.told(first, columns, joins))]
    for level, formulas in enumerate(derived, 1):
        made = ", ".join(
            f"cast({made.sql('duckdb')} as double) as {_quoted(name)}" for name, made in formulas
        )
        steps.append(Step(f"derived_{level}", f"select *, {made} from {steps[-1].name}"))
    last = f"select customer, back, {', '.join(map(_quoted, catalog.names))} from {steps[-1].name}"
    return [*steps, Step("snapshot", last)]


def tables_beside(catalog: Catalog, clock: Clock, source: str, shape: Shape = ANY) -> list[Step]:
    """Return the tables that a :func:`snapshot` of a catalogue reads beside ``daily``: some of
    three, or none.
    """
    asked, _ = present(catalog, shape)
    types = {one for feature in asked if feature.relation == "types" for one in feature.events}
    columns = sorted({str(feature.column) for feature in asked if feature.relation == "values"})
    named = sorted(types if shape.types is None else types & shape.types)
    found = [typed(clock, named, source, shape)] if named else []
    found += [valued(clock, columns, source, shape)] if columns else []
    return [*found, told(attributes)] if (attributes := of_customer(catalog)) else found


def present(catalog: Catalog, shape: Shape) -> tuple[list[Feature], list[Feature]]:
    """Part the aggregates of a catalogue into those to be asked, and those of which the log has
    nothing.
    """
    aggregates = [
        feature for feature in catalog.features if feature.relation not in (None, "customer")
    ]

    def some(feature: Feature) -> bool:
        if feature.relation == "values":
            return feature.column in shape.values and (
                not feature.events or shape.has(feature.events)
            )
        if feature.relation == "types":
            return shape.has(feature.events)
        if feature.column in ("refund", "refunds"):
            return shape.refunds
        if feature.column in ("activity", "active_day"):
            return not shape.purchases_alone
        return feature.column != "discount" or shape.discounts

    asked = [feature for feature in aggregates if some(feature)]
    return asked, [feature for feature in aggregates if not some(feature)]


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- aggregates -----------------------------------------------------------------------------------


def _plain(
    of: Mapping[str, list[Feature]], dates: Dates, shape: Shape
) -> tuple[list[Step], list[Step]]:
    """Return the steps where each day is a purchase day or none: gaps once, then one aggregation
    per date.
    """
    bought = "" if shape.purchases_alone else "purchases > 0"
    partition = "customer" if shape.purchases_alone else "customer, purchases > 0"
    # by its own name, since engines differ in what a window may call a column of the same select
    lags = [lag.replace("lag(spend)", "lag(gross_spend)") for lag in _lags(of["days"])]
    columns = [
        "customer",
        "day",
        "known",
        *(f for f in _DAILY if f != "gross_spend"),
        "gross_spend as spend",
        *lags,
    ]
    marked = f"select {', '.join(columns)} from daily"
    if lags:
        marked += f" window rhythm as (partition by {partition} order by day)"
    rows = [
        Step("marked", marked),
        Step("seen", dates.seen("marked", "marked.*")),
        Step("days", f"select *, as_of_day - day as age{_made_of(of['days'])} from seen"),
    ]
    asked = [
        *(_aggregate(feature, bought) for feature in of["days"]),
        *(_aggregate(feature, "", {"gross_spend": "spend"}) for feature in of["log"]),
    ]
    return rows, [_totals("totals", "days", asked)]


def _general(
    of: Mapping[str, list[Feature]], dates: Dates, shape: Shape
) -> tuple[list[Step], list[Step]]:
    """Return the steps where days depend on the date that one looks from."""
    lags = _lags(of["days"])
    marked = f"select {', '.join(['purchase_days.*', *lags])} from purchase_days"
    if lags:
        marked += " window rhythm as (partition by customer, back order by day)"
    rows = [
        Step("seen", dates.seen("daily", "daily.*")),
        Step("visible", "select *, as_of_day - day as age from seen"),
        *net_days("visible", "customer, back, as_of_day", "customer, back", shape),
        Step("marked", marked),
        Step("days", f"select *, as_of_day - day as age{_made_of(of['days'])} from marked"),
    ]
    totals = [_totals("log_totals", "visible", [_aggregate(feature, "") for feature in of["log"]])]
    if of["days"]:
        totals.append(
            _totals("days_totals", "days", [_aggregate(feature, "") for feature in of["days"]])
        )
    return rows, totals


def _totals(name: str, source: str, asked: Sequence[str]) -> Step:
    return Step(
        name,
        f"select {', '.join(['customer', 'back', *asked])} from {source} group by customer, back",
    )


def _lags(features: Sequence[Feature]) -> list[str]:
    """Return what the rows of ``days`` need to know of their neighbours."""
    columns, functions = (
        {feature.column for feature in features},
        {feature.function for feature in features},
    )
    found = {
        "lag(day) over rhythm as day_before": columns & set(_MADE_OF_LAGS) or "first" in functions,
        "lag(day, 2) over rhythm as day_before_that": "gap_unevenness" in columns,
        "lag(spend) over rhythm as spend_before": "spend_change" in columns,
        "lead(day) over rhythm as day_after": "last" in functions,
    }
    return [lag for lag, wanted in found.items() if wanted]


def _made_of(features: Sequence[Feature]) -> str:
    made = {**_MADE_OF_LAGS, **_MADE_OF_DAY}
    return "".join(
        f", {made[column]} as {column}"
        for column in sorted({str(f.column) for f in features} & set(made))
    )


def _types(features: Sequence[Feature], dates: Dates) -> list[Step]:
    if not features:
        return []
    visible = f"select *, as_of_day - day as age from ({dates.seen('typed', 'typed.*')}) as seen"
    asked = [_aggregate(f, f"event in ({texts(f.events)})") for f in features]
    return [_totals("types_totals", f"({visible}) as visible", asked)]


def _values(features: Sequence[Feature], dates: Dates) -> list[Step]:
    """Return a step for each column and choice of events: the latest day of each value tells of
    every window.
    """
    steps = []
    for n, (column, events) in enumerate(sorted({(str(f.column), f.events) for f in features})):
        of_types = f" and event in ({texts(events)})" if events else ""
        seen = dates.seen("valued", f"customer, {column}, day", f"{column} is not null{of_types}")
        latest = f"""
            select customer, back, {column}, max(as_of_day) - max(day) as age from ({seen}) as seen
            group by customer, back, {column}"""
        asked = [
            f"sum(case when {_within(f) or 'true'} then 1 else 0 end) as {_quoted(f.name)}"
            for f in features
            if (f.column, f.events) == (column, events)
        ]
        steps.append(_totals(f"values_totals_{n}", f"({latest}) as latest", asked))
    return steps


def _within(feature: Feature) -> str:
    if feature.window_days is None:
        return ""
    newer, older = feature.window_days
    return f"age > {newer} and age <= {older}" if newer else f"age <= {older}"


def _aggregate(feature: Feature, condition: str, columns: Mapping[str, str] | None = None) -> str:
    """Return one aggregate over the rows that meet a condition and stand within its window."""
    column = (columns or {}).get(str(feature.column), str(feature.column))
    if column == "active_day":
        condition, column = "activity > 0", "day"
    if feature.function == "first":
        condition = _both(condition, "day_before is null")
    elif feature.function == "last":
        # the day after may be one that was not known yet
        condition = _both(condition, "(day_after is null or day_after >= as_of_day)")
    kept = _both(condition, _within(feature))

    def some(term: str, otherwise: str = "null") -> str:
        return f"case when {kept} then {term} else {otherwise} end" if kept else term

    match feature.function:
        case "count":
            value = f"count({some('1')})"
        case "sum":
            value = f"sum({some(column, '0')})"
        case "mean" if feature.relation == "types":
            value = f"cast(sum({some(column)}) as double) / nullif(sum({some('given')}), 0)"
        case "mean":
            value = f"cast(sum({some(column)}) as double) / nullif(count({some(column)}), 0)"
        case "sum_of_squares":
            value = f"sum({some(f'{column} * {column}')})"
        case "min":
            value = f"min({some(column)})"
        case "max" | "first" | "last":
            value = f"max({some(column)})"
        case _:
            value = f"bit_count(bit_or({some(column)}))"
    return f"{value} as {_quoted(feature.name)}"


def _both(*conditions: str) -> str:
    return " and ".join(condition for condition in conditions if condition)


def _or_zero(feature: Feature) -> str:
    name = _quoted(feature.name)
    value = f"cast({name} as double)"
    if (scale := SCALES.get(str(feature.column))) is not None:
        value = f"{value} / {scale!r}"
    if feature.of_nothing == 0:
        value = f"coalesce({value}, 0.0e0)"
    return f"{value} as {name}"


def _constant(feature: Feature) -> str:
    nothing = "0.0e0" if feature.of_nothing == 0 else "null"
    return f"cast({nothing} as double) as {_quoted(feature.name)}"

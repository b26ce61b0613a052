"""Steps from the tables of a log to all features, one row per customer and date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import LOG_SCALE, SCALES, UNEVENNESS_SCALE, Feature
from stagecast.features.catalog.of_customer import attribute_features
from stagecast.features.engines.sql.dates import Dates
from stagecast.features.engines.sql.days import net_day_steps
from stagecast.features.engines.sql.formulas import formula_levels
from stagecast.features.engines.sql.steps import ANY, Shape, Step
from stagecast.features.engines.sql.tables import (
    Clock,
    attributes_step,
    text_list,
    typed_step,
    valued_step,
)

# Columns of ``days`` computed from earlier purchase days.
_LAG_COLUMNS = {
    "gap": "cast(day - day_before as double)",
    "spend_change": "abs(spend - spend_before)",
    # rounded to whole numbers, whose sum does not depend on the order of rows
    "gap_log": f"floor(ln(cast(day - day_before as double)) * {LOG_SCALE!r} + 0.5)",
    "gap_entropy": (
        f"floor((day - day_before) * ln(cast(day - day_before as double)) * {LOG_SCALE!r} + 0.5)"
    ),
    "gap_unevenness": (
        "floor((cast(day - day_before as double) / (day - day_before_that) - 0.5)"
        " * (cast(day - day_before as double) / (day - day_before_that) - 0.5) * "
        f"{UNEVENNESS_SCALE!r} + 0.5)"
    ),
}
# Columns of ``days`` computed from the day itself.
_DAY_COLUMNS = {
    # 1970-01-01 was a Thursday; one bit per weekday, the lowest for Monday
    "weekday": "1 << cast((((day + 3) % 7) + 7) % 7 as integer)",
    "weekend": "case when (((day + 3) % 7) + 7) % 7 >= 5 then 1 else 0 end",
}
_DAILY_COLUMNS = (
    "purchases",
    "gross_spend",
    "discount",
    "refunds",
    "refund",
    "activity",
    "hour",
)


def snapshot_steps(
    catalog: Catalog, anchor: int, backs: Sequence[int], shape: Shape = ANY
) -> list[Step]:
    """Return the steps from the tables of a log to all features of a catalogue.

    Parameters
    ----------
    catalog
        With its parameters set.
    anchor
        The as_of, microseconds since 1970, UTC.
    backs
        The dates as whole days before the anchor.
    shape
        Shape of the log.

    Returns
    -------
    list of Step
        The last has one row per customer and date: ``customer``, ``back`` and the features in
        order. The order of rows is not defined. The steps read ``daily``, and of ``typed``,
        ``valued`` and ``told`` those that :func:`side_table_steps` returns.

    Raises
    ------
    UsageError
        A formula uses a name that is neither an earlier feature nor a parameter.
    """
    levels = formula_levels(catalog)
    computed, absent = partition_aggregates(catalog, shape)
    by_relation = {
        relation: [feature for feature in computed if feature.relation == relation]
        for relation in ("days", "log", "types", "values")
    }
    dates = Dates.of(anchor, backs)
    row_steps, base_totals = (
        _plain_steps(by_relation, dates, shape)
        if shape.plain
        else _general_steps(by_relation, dates, shape)
    )
    totals = [
        *base_totals,
        *_types_totals(by_relation["types"], dates),
        *_values_totals(by_relation["values"], dates),
    ]
    base = base_totals[0].name
    joins = " ".join(
        f"left join {step.name} on {step.name}.customer = {base}.customer and "
        f"{step.name}.back = {base}.back"
        for step in totals[1:]
    )
    columns = [*(_final_column(f) for f in computed), *(_constant_column(f) for f in absent)]
    if attributes := attribute_features(catalog):
        joins += f" left join told on told.customer = {base}.customer"  # the same at every date
        columns += [_quoted(feature.name) for feature in attributes]
    aggregates = Step("aggregates", dates.with_calendar(base, columns, joins))
    steps = [*dates.steps, *row_steps, *totals, aggregates]
    for level, formulas in enumerate(levels, 1):
        derived = ", ".join(
            f"cast({expression.sql('duckdb')} as double) as {_quoted(name)}"
            for name, expression in formulas
        )
        steps.append(Step(f"derived_{level}", f"select *, {derived} from {steps[-1].name}"))
    last = f"select customer, back, {', '.join(map(_quoted, catalog.names))} from {steps[-1].name}"
    return [*steps, Step("snapshot", last)]


def side_table_steps(catalog: Catalog, clock: Clock, source: str, shape: Shape = ANY) -> list[Step]:
    """Return the steps for the tables that :func:`snapshot_steps` reads beside ``daily``.

    Parameters
    ----------
    catalog
        Features to compute.
    clock
        The engine's expressions of time.
    source
        Table or view of events.
    shape
        Shape of the log.

    Returns
    -------
    list of Step
        Those of ``typed``, ``valued`` and ``told`` that the catalogue needs.
    """
    computed, _ = partition_aggregates(catalog, shape)
    types = {
        event_type
        for feature in computed
        if feature.relation == "types"
        for event_type in feature.events
    }
    columns = sorted({str(feature.column) for feature in computed if feature.relation == "values"})
    present_types = sorted(types if shape.types is None else types & shape.types)
    steps = [typed_step(clock, present_types, source, shape)] if present_types else []
    steps += [valued_step(clock, columns, source, shape)] if columns else []
    if attributes := attribute_features(catalog):
        steps.append(attributes_step(attributes))
    return steps


def partition_aggregates(catalog: Catalog, shape: Shape) -> tuple[list[Feature], list[Feature]]:
    """Return the aggregates to compute, and those for which the log has no events.

    Attribute features are in neither list.

    Parameters
    ----------
    catalog
        Features to compute.
    shape
        Shape of the log.
    """
    aggregates = [
        feature for feature in catalog.features if feature.relation not in (None, "customer")
    ]

    def is_present(feature: Feature) -> bool:
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

    computed = [feature for feature in aggregates if is_present(feature)]
    return computed, [feature for feature in aggregates if not is_present(feature)]


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- aggregates -----------------------------------------------------------------------------------


def _plain_steps(
    by_relation: Mapping[str, list[Feature]], dates: Dates, shape: Shape
) -> tuple[list[Step], list[Step]]:
    """Return the row steps and the totals of a plain log.

    Gaps are the same at every date, so they are computed once; then one aggregation per date.
    """
    is_purchase_day = "" if shape.purchases_alone else "purchases > 0"
    partition = "customer" if shape.purchases_alone else "customer, purchases > 0"
    # engines differ in whether a window may use an alias of the same select, so spend has its
    # original name here
    lags = [lag.replace("lag(spend)", "lag(gross_spend)") for lag in _lags(by_relation["days"])]
    columns = [
        "customer",
        "day",
        "known",
        *(column for column in _DAILY_COLUMNS if column != "gross_spend"),
        "gross_spend as spend",
        *lags,
    ]
    with_lags = f"select {', '.join(columns)} from daily"
    if lags:
        with_lags += f" window rhythm as (partition by {partition} order by day)"
    day_columns = _day_columns(by_relation["days"])
    row_steps = [
        Step("with_lags", with_lags),
        Step("known_rows", dates.known_rows("with_lags", "with_lags.*")),
        Step("days", f"select *, as_of_day - day as age{day_columns} from known_rows"),
    ]
    aggregates = [
        *(_aggregate(feature, is_purchase_day) for feature in by_relation["days"]),
        *(_aggregate(feature, "", {"gross_spend": "spend"}) for feature in by_relation["log"]),
    ]
    return row_steps, [_totals_step("totals", "days", aggregates)]


def _general_steps(
    by_relation: Mapping[str, list[Feature]], dates: Dates, shape: Shape
) -> tuple[list[Step], list[Step]]:
    """Return the row steps and the totals of a log whose purchase days differ between dates."""
    lags = _lags(by_relation["days"])
    with_lags = f"select {', '.join(['purchase_days.*', *lags])} from purchase_days"
    if lags:
        with_lags += " window rhythm as (partition by customer, back order by day)"
    day_columns = _day_columns(by_relation["days"])
    row_steps = [
        Step("known_rows", dates.known_rows("daily", "daily.*")),
        Step("visible", "select *, as_of_day - day as age from known_rows"),
        *net_day_steps("visible", "customer, back, as_of_day", "customer, back", shape),
        Step("with_lags", with_lags),
        Step("days", f"select *, as_of_day - day as age{day_columns} from with_lags"),
    ]
    log_aggregates = [_aggregate(feature, "") for feature in by_relation["log"]]
    totals = [_totals_step("log_totals", "visible", log_aggregates)]
    if by_relation["days"]:
        day_aggregates = [_aggregate(feature, "") for feature in by_relation["days"]]
        totals.append(_totals_step("days_totals", "days", day_aggregates))
    return row_steps, totals


def _totals_step(name: str, source: str, aggregates: Sequence[str]) -> Step:
    columns = ", ".join(["customer", "back", *aggregates])
    return Step(name, f"select {columns} from {source} group by customer, back")


def _lags(features: Sequence[Feature]) -> list[str]:
    """Return the columns of neighbouring purchase days that the features need."""
    columns = {feature.column for feature in features}
    functions = {feature.function for feature in features}
    is_needed = {
        "lag(day) over rhythm as day_before": columns & set(_LAG_COLUMNS) or "first" in functions,
        "lag(day, 2) over rhythm as day_before_that": "gap_unevenness" in columns,
        "lag(spend) over rhythm as spend_before": "spend_change" in columns,
        "lead(day) over rhythm as day_after": "last" in functions,
    }
    return [lag for lag, needed in is_needed.items() if needed]


def _day_columns(features: Sequence[Feature]) -> str:
    """Return the computed columns of ``days`` that the features need, each after a comma."""
    expressions = {**_LAG_COLUMNS, **_DAY_COLUMNS}
    needed = {str(feature.column) for feature in features} & set(expressions)
    return "".join(f", {expressions[column]} as {column}" for column in sorted(needed))


def _types_totals(features: Sequence[Feature], dates: Dates) -> list[Step]:
    if not features:
        return []
    known_rows = dates.known_rows("typed", "typed.*")
    visible = f"select *, as_of_day - day as age from ({known_rows}) as known_rows"
    aggregates = [_aggregate(f, f"event in ({text_list(f.events)})") for f in features]
    return [_totals_step("types_totals", f"({visible}) as visible", aggregates)]


def _values_totals(features: Sequence[Feature], dates: Dates) -> list[Step]:
    """Return one step for each column and choice of event types.

    The latest day of each value is enough for all windows, since they end at the as_of.
    """
    steps = []
    groups = sorted({(str(feature.column), feature.events) for feature in features})
    for n, (column, events) in enumerate(groups):
        of_types = f" and event in ({text_list(events)})" if events else ""
        known_rows = dates.known_rows(
            "valued", f"customer, {column}, day", f"{column} is not null{of_types}"
        )
        latest = f"""
            select customer, back, {column}, max(as_of_day) - max(day) as age
            from ({known_rows}) as known_rows
            group by customer, back, {column}"""
        aggregates = [
            f"sum(case when {_window_condition(feature) or 'true'} then 1 else 0 end) "
            f"as {_quoted(feature.name)}"
            for feature in features
            if (feature.column, feature.events) == (column, events)
        ]
        steps.append(_totals_step(f"values_totals_{n}", f"({latest}) as latest", aggregates))
    return steps


def _window_condition(feature: Feature) -> str:
    if feature.window_days is None:
        return ""
    newer, older = feature.window_days
    return f"age > {newer} and age <= {older}" if newer else f"age <= {older}"


def _aggregate(feature: Feature, condition: str, renamed: Mapping[str, str] | None = None) -> str:
    """Return an aggregate over the rows that meet a condition and are within its window.

    Parameters
    ----------
    feature
        The aggregate.
    condition
        Condition on the rows; empty: all rows.
    renamed
        Column of the relation -> its name in the rows, where the two differ.
    """
    column = (renamed or {}).get(str(feature.column), str(feature.column))
    if column == "active_day":
        condition, column = "activity > 0", "day"
    if feature.function == "first":
        condition = _and(condition, "day_before is null")
    elif feature.function == "last":
        # the next purchase day may not have been known yet at the date
        condition = _and(condition, "(day_after is null or day_after >= as_of_day)")
    row_condition = _and(condition, _window_condition(feature))

    def selected(term: str, otherwise: str = "null") -> str:
        if not row_condition:
            return term
        return f"case when {row_condition} then {term} else {otherwise} end"

    match feature.function:
        case "count":
            value = f"count({selected('1')})"
        case "sum":
            value = f"sum({selected(column, '0')})"
        case "mean" if feature.relation == "types":
            count = f"nullif(sum({selected('with_amount')}), 0)"
            value = f"cast(sum({selected(column)}) as double) / {count}"
        case "mean":
            value = (
                f"cast(sum({selected(column)}) as double) / nullif(count({selected(column)}), 0)"
            )
        case "sum_of_squares":
            value = f"sum({selected(f'{column} * {column}')})"
        case "min":
            value = f"min({selected(column)})"
        case "max" | "first" | "last":
            value = f"max({selected(column)})"
        case "distinct":
            value = f"bit_count(bit_or({selected(column)}))"
        case _:
            raise NotImplementedError(f"SQL has no function '{feature.function}' ({feature.name})")
    return f"{value} as {_quoted(feature.name)}"


def _and(*conditions: str) -> str:
    return " and ".join(condition for condition in conditions if condition)


def _final_column(feature: Feature) -> str:
    """Return an aggregate in its unit, with 0 for a count or sum without rows."""
    name = _quoted(feature.name)
    value = f"cast({name} as double)"
    if (scale := SCALES.get(str(feature.column))) is not None:
        value = f"{value} / {scale!r}"
    if feature.empty_value == 0:
        value = f"coalesce({value}, 0.0e0)"
    return f"{value} as {name}"


def _constant_column(feature: Feature) -> str:
    """Return the column of an aggregate for which the log has no events."""
    value = "0.0e0" if feature.empty_value == 0 else "null"
    return f"cast({value} as double) as {_quoted(feature.name)}"

"""Queries of a catalogue: valid in each dialect, and wrong formulas named before a query runs."""

from __future__ import annotations

import logging

import duckdb
import pytest
import sqlglot

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.engines import sql
from stagecast.features.engines.duckdb import clock
from stagecast.features.errors import UsageError

CATALOG = standard(90).with_parameters(shop_gap_days=33.333333333333336)
ANCHOR = 18000 * DAY_MICROSECONDS
SHAPES = {
    "any log": sql.ANY,
    "without refunds": sql.Shape(refunds=False),
    "plain": sql.Shape(refunds=False, late=False),
    "purchases alone": sql.Shape(
        False, False, types=frozenset({"purchase"}), values=(), discounts=False
    ),
    "large sums": sql.Shape(wide=True),
}
ORDERED = sql.Step("ordered", "select * from purchase_days order by 1, 2")
QUERIES = {
    f"{name}, {shape_name}": steps
    for shape_name, shape in SHAPES.items()
    for name, steps in {
        "daily": [sql.daily_step(clock(ANCHOR), "events", shape)],
        "typed": [sql.typed_step(clock(ANCHOR), ["visit", "it's"], "events", shape)],
        "valued": [sql.valued_step(clock(ANCHOR), ["channel", "category"], "events", shape)],
        "snapshot": sql.snapshot_steps(CATALOG, ANCHOR, [0, 30, 365], shape),
        "snapshot at one date": sql.snapshot_steps(CATALOG, ANCHOR, [0], shape),
        "outcomes": sql.outcome_steps(90, [90, 180], shape),
        "purchase_days": [*sql.purchase_day_steps(shape=shape), ORDERED],
    }.items()
}
TABLES = ("daily", "typed", "valued")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_one_statement_in_each_dialect(
    query: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        text = sql.render(QUERIES[query], dialect)
        # RAISE: an expression that the dialect does not have is an error, not a warning
        statements = sqlglot.transpile(
            text, read=dialect, write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
        steps = [*QUERIES[query]]
        parsed = sqlglot.parse(steps[-1].sql, read="duckdb")[0]
        assert parsed is not None
        parsed.sql(dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert len(statements) == 1
    assert not caplog.records


def test_duckdb_runs_every_query() -> None:
    con = duckdb.connect()
    con.execute(
        "create table events (customer bigint, event varchar, amount decimal(18, 6), "
        "timestamp timestamp, recorded_at timestamp, channel varchar, category varchar, "
        "discount decimal(18, 6))"
    )
    for shape_name in SHAPES:
        for name in TABLES:
            con.execute(
                f"create or replace table {name} as "
                f"{sql.render(QUERIES[f'{name}, {shape_name}'], 'duckdb')}"
            )
        for query in QUERIES:
            if query.endswith(f", {shape_name}"):
                assert con.execute(sql.render(QUERIES[query], "duckdb")).fetchall() == []


def with_formula(text: str) -> Catalog:
    return Catalog(
        (*standard(90).features, Feature("mine", "days", "", formula=text)), {"shop_gap_days": 30.0}
    )


def test_a_formula_with_an_unknown_name_is_named() -> None:
    with pytest.raises(UsageError) as error:
        sql.snapshot_steps(with_formula("recency_day + 1"), ANCHOR, [0])
    assert "feature 'mine' needs ['recency_day']" in str(error.value)
    assert "Did you mean 'recency_days'?" in str(error.value)


def test_a_formula_may_not_use_a_later_feature() -> None:
    late = Feature("late", "days", "", formula="orders + 1")
    early = Feature("early", "days", "", formula="late + 1")
    with pytest.raises(UsageError, match=r"feature 'early' needs \['late'\]"):
        sql.snapshot_steps(Catalog((CATALOG["orders"], early, late), {}), ANCHOR, [0])


def test_a_parameter_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match=r"feature 'rhythm_days' needs \['shop_gap_days'\]"):
        sql.snapshot_steps(standard(90), ANCHOR, [0])


def with_one_purchase(recorded_at: str = "null", anchor: int = 10) -> duckdb.DuckDBPyConnection:
    """Return a database with the tables of a log with one purchase, 5 microseconds after 1970."""
    con = duckdb.connect()
    con.execute(
        f"""
        create table events as
        select 0::bigint as customer, 'purchase' as event, 1::decimal(18,6) as amount,
            make_timestamp(5) as timestamp, {recorded_at}::timestamp as recorded_at,
            null::varchar as channel, null::varchar as category, null::decimal(18,6) as discount
        """
    )
    for step in (
        sql.daily_step(clock(anchor)),
        sql.typed_step(clock(anchor), ["visit"]),
        sql.valued_step(clock(anchor), ["channel", "category"]),
    ):
        con.execute(f"create table {step.name} as {sql.render([step], 'duckdb')}")
    return con


@pytest.mark.parametrize("value", [-5.0, 1e-20, 1e300, 0.1, 33.333333333333336])
def test_a_parameter_of_any_size_and_sign_keeps_its_value(value: float) -> None:
    catalog = Catalog(
        (
            Feature("orders", "days", "", "days", "count", "day"),
            Feature("purchases", "events", "", "log", "sum", "purchases"),
            Feature("value", "", "", formula="purchases - purchases + p"),
            Feature("negative", "", "", formula="0 - p"),
        ),
        {"p": value},
    )
    [row] = (
        with_one_purchase()
        .execute(sql.render(sql.snapshot_steps(catalog, DAY_MICROSECONDS, [0]), "duckdb"))
        .fetchall()
    )
    assert row[-2:] == (value, -value)


def test_a_repeated_date_is_queried_once() -> None:
    con = with_one_purchase()
    for steps in (
        sql.snapshot_steps(CATALOG, DAY_MICROSECONDS, [0, 0]),
        sql.outcome_steps(30, [30, 30]),
    ):
        assert len(con.execute(sql.render(steps, "duckdb")).fetchall()) == 1


def test_outcomes_leave_out_what_was_not_known_at_the_anchor() -> None:
    query = sql.render(sql.outcome_steps(30, [30]), "duckdb")
    for recorded_at, rows in (("9", 1), ("10", 0)):
        con = with_one_purchase(f"make_timestamp({recorded_at})")
        assert len(con.execute(query).fetchall()) == rows


def test_a_feature_may_be_named_like_a_keyword_of_sql() -> None:
    feature = Feature("order", "days", "", "days", "count", "day")
    steps = sql.snapshot_steps(Catalog((feature,), {}), DAY_MICROSECONDS, [0])
    assert with_one_purchase().execute(sql.render(steps, "duckdb")).fetchall() == [(0, 0, 1.0)]
    assert "`order`" in sql.render(steps, "spark")

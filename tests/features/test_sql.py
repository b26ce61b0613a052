"""The catalogue as one query: readable by the engines, and wrong formulas named before they are asked."""

from __future__ import annotations

import logging

import duckdb
import pytest
import sqlglot

from features import sql
from features.catalog import Catalog, Feature, standard
from features.errors import UsageError

CATALOG = standard(90).with_parameters(shop_gap_days=33.333333333333336)
ORDERED = sql.Step("ordered", "select * from purchase_days order by 1, 2")
QUERIES = {
    "daily": [sql.daily("happened_at", "known_at", 1_600_000_000_000_000)],
    "snapshot": sql.snapshot(CATALOG, 18000.541666666668, [0, 30, 365]),
    "outcomes": sql.outcomes(90, [90, 180]),
    "purchase_days": [*sql.purchase_days(), ORDERED],
    "snapshot without refunds": sql.snapshot(CATALOG, 18000.541666666668, [0, 30, 365], refunds=False),
    "outcomes without refunds": sql.outcomes(90, [90, 180], refunds=False),
    "purchase_days without refunds": [*sql.purchase_days(refunds=False), ORDERED],
}


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_one_statement_in_each_dialect(
    query: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        text = sql.render(QUERIES[query], dialect)
        # RAISE: an expression that the dialect lacks is an error, not a warning
        again = sqlglot.transpile(text, read=dialect, write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
        steps = [*QUERIES[query]]
        parsed = sqlglot.parse(steps[-1].sql, read="duckdb")[0]
        assert parsed is not None
        parsed.sql(dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert len(again) == 1
    assert not caplog.records


def test_duckdb_reads_what_is_rendered() -> None:
    con = duckdb.connect()
    con.execute("create table events (customer bigint, event varchar, amount decimal(18, 6), happened_at bigint)")
    con.execute(f"create table daily as {sql.render([sql.daily('happened_at', 'happened_at', 0)], 'duckdb')}")
    for name in QUERIES.keys() - {"daily"}:
        assert con.execute(sql.render(QUERIES[name], "duckdb")).fetchall() == []


def with_formula(text: str) -> Catalog:
    return Catalog((*standard(90).features, Feature("mine", "days", "", formula=text)), {"shop_gap_days": 30.0})


def test_a_formula_that_names_something_unknown_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        sql.snapshot(with_formula("recency_day + 1"), 18000.0, [0])
    assert "feature 'mine' needs ['recency_day']" in str(caught.value)
    assert "Did you mean 'recency_days'?" in str(caught.value)


def test_a_formula_may_not_name_what_stands_after_it() -> None:
    late = Feature("late", "days", "", formula="orders + 1")
    early = Feature("early", "days", "", formula="late + 1")
    with pytest.raises(UsageError, match=r"feature 'early' needs \['late'\]"):
        sql.snapshot(Catalog((CATALOG["orders"], early, late), {}), 18000.0, [0])


def test_a_parameter_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match=r"feature 'rhythm_days' needs \['shop_gap_days'\]"):
        sql.snapshot(standard(90), 18000.0, [0])


@pytest.mark.parametrize("value", [-5.0, 1e-20, 1e300, 0.1, 33.333333333333336])
def test_a_parameter_of_any_size_and_sign_keeps_its_value(value: float) -> None:
    catalog = Catalog(
        (
            Feature("orders", "days", "", "days", "count", "day"),
            Feature("seen", "events", "", "log", "sum", "purchases"),
            Feature("mine", "", "", formula="seen - seen + p"),
            Feature("less", "", "", formula="0 - p"),
        ),
        {"p": value},
    )
    con = duckdb.connect()
    con.execute("create table events as select 0::bigint as customer, 'purchase' as event, 1::decimal(18,6) as amount")
    con.execute(f"create table daily as {sql.render([sql.daily('5', '5', 10)], 'duckdb')}")
    [row] = con.execute(sql.render(sql.snapshot(catalog, 1.0, [0]), "duckdb")).fetchall()
    assert row[-2:] == (value, -value)


def test_a_date_named_twice_is_asked_for_once() -> None:
    con = duckdb.connect()
    con.execute("create table events as select 0::bigint as customer, 'purchase' as event, 1::decimal(18,6) as amount")
    con.execute(f"create table daily as {sql.render([sql.daily('5', '5', 10)], 'duckdb')}")
    for steps in (sql.snapshot(CATALOG, 1.0, [0, 0]), sql.outcomes(30, [30, 30])):
        assert len(con.execute(sql.render(steps, "duckdb")).fetchall()) == 1


def test_outcomes_leave_out_what_was_not_known_at_the_anchor() -> None:
    con = duckdb.connect()
    con.execute("create table events as select 0::bigint as customer, 'purchase' as event, 1::decimal(18,6) as amount")
    for known, rows in (("9", 1), ("10", 0)):
        con.execute(f"create or replace table daily as {sql.render([sql.daily('5', known, 10)], 'duckdb')}")
        assert len(con.execute(sql.render(sql.outcomes(30, [30]), "duckdb")).fetchall()) == rows

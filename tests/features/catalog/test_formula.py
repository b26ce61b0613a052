"""Formulas have the same value in NumPy and in DuckDB; other operations are refused."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.catalog import formula
from stagecast.features.catalog.python_feature import OwnFeature
from stagecast.features.errors import UsageError
from tests.profiles import examples

NAN = math.nan


def value(text: str, **values: float) -> float:
    return float(
        formula.evaluate(text, {name: np.array([number]) for name, number in values.items()})[0]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * a", 7.0),
        ("(1 + 2) * a", 9.0),
        ("a - 2 - 1", 0.0),
        ("12 / a / 2", 2.0),
        ("12 / (a / 2)", 8.0),
        ("-a + 1", -2.0),
        ("2 - (-a)", 5.0),
        ("-a * -a", 9.0),
        ("sqrt(a * 12)", 6.0),
        ("greatest(a, 2, 7)", 7.0),
        ("least(a, 2, 7)", 2.0),
        ("nullif(a, 4)", 3.0),
        ("coalesce(null_, a)", 3.0),
        ("greatest(null_, a)", 3.0),
        ("least(null_, a)", 3.0),
        ("coalesce(null_, null_, 5)", 5.0),
        ("1e2 + .5 * a", 101.5),
        ("a + null_", NAN),
        ("nullif(a, 3)", NAN),
        ("nullif(null_, 3)", NAN),
        ("nullif(a, null_)", 3.0),
        ("a / 0", NAN),
        ("0 / (a - 3)", NAN),
        ("coalesce(a / 0, 1)", 1.0),
        ("sqrt(-a)", NAN),
        ("coalesce(sqrt(-a), 1)", 1.0),
        ("greatest(null_, null_)", NAN),
    ],
)
def test_precedence_and_null(text: str, expected: float) -> None:
    assert value(text, a=3.0, null_=NAN) == pytest.approx(expected, nan_ok=True)
    assert in_duckdb(text, {"a": 3.0, "null_": NAN}) == pytest.approx(expected, nan_ok=True)


def in_duckdb(text: str, values: dict[str, float]) -> float:
    """Return the value in DuckDB, computed as in the query of a catalogue."""
    query = formula.portable(formula.parse(text)).sql("duckdb")
    columns = ", ".join(
        f"cast({'null' if math.isnan(v) else repr(v)} as double) as {n}" for n, v in values.items()
    )
    rows = duckdb.execute(f"select cast({query} as double) from (select {columns})").fetchall()
    [(result,)] = rows
    return NAN if result is None else float(result)


NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 3.0, 0.1, 365.0, 1e6, 2.5e9, 33.333333333333336])
LEAVES = st.one_of(
    st.sampled_from(["a", "b", "c"]), NUMBERS.map(abs).map(repr), st.just("2147483647")
)


def _extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        inner.map("({})".format),
        inner.map("-({})".format),
        inner.map("sqrt({})".format),
        st.builds(
            "{}({}, {})".format,
            st.sampled_from(["nullif", "coalesce", "greatest", "least"]),
            inner,
            inner,
        ),
    )


@settings(max_examples=examples(400), deadline=None)
@given(
    text=st.recursive(LEAVES, _extended, max_leaves=8),
    values=st.fixed_dictionaries({name: NUMBERS | st.just(NAN) for name in "abc"}),
)
def test_duckdb_and_numpy_agree_on_every_formula(text: str, values: dict[str, float]) -> None:
    in_numpy = (
        value(text, **values)
        if any(name in formula.names(text) for name in "abc")
        else float(formula.evaluate(text, {}))
    )
    assert in_duckdb(text, values) == pytest.approx(in_numpy, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    "text",
    ["", "a +", "(a", "'a", "a b", "a; b", "a, b", "sqrt(a, b)", "nullif(a)", "coalesce()"],
)
def test_text_that_is_no_formula_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="formula"):
        formula.parse(text)


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("a % 2", "a % 2"),
        ("a // 2", "a // 2"),
        ("power(a, 2)", "POWER"),
        ("a > 1", "a > 1"),
        ("case when a > 1 then 1 end", "CASE"),
        ("'text'", "'text'"),
        ("orders.a", "orders.a"),
        ("sum(a)", "SUM"),
        ("random()", "RAND"),
        ("(select 1)", "SELECT"),
        ("a::int", "CAST"),
        ("null", "NULL"),
        ("a--1", "comment"),
        ("a /* b */", "comment"),
    ],
)
def test_other_operations_are_not_allowed(text: str, operation: str) -> None:
    with pytest.raises(UsageError) as error:
        formula.parse(text)
    assert text in str(error.value)
    assert operation in str(error.value)


def test_a_missing_name_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"needs 'order'. Did you mean 'orders'\?"):
        formula.evaluate("order + 1", {"orders": np.array([1.0])})


def test_portable_does_not_change_the_cached_tree() -> None:
    text = "a / sqrt(b) + 1"
    before = formula.parse(text).sql()
    formula.portable(formula.parse(text))
    assert formula.parse(text).sql() == before


@pytest.mark.parametrize("text", ["recency+", "(recency", "a b c", "'x"])
def test_an_error_of_reading_is_one_plain_line(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as error:
        OwnFeature(name="half", unit="days", formula=text)
    message = str(error.value)
    assert message.isprintable()
    assert "sqlglot" not in message
    assert message.count("feature 'half'") == 1

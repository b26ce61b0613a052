"""Formulas that become code for one customer stay arithmetic, also those of a forged bundle."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.catalog import formula
from stagecast.features.errors import UsageError
from stagecast.features.one_customer.formulas import first_that_holds, straight_line

HOSTILE = "__import__('os').system('exit 7')"
NAMES = (
    "x'] = 1; import os; v['x",
    'x"] or __import__("os")',
    "x\n    raise SystemExit(7)\n#",
    "x\\",
    "x{1/0}",
    "'''\"\"\"",
    "\u2028raise SystemExit\u2029",
    "__class__",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_key_whatever_it_holds(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    values = {name: 3.0}
    straight_line([("twice", f"{quoted} * 2"), (name, "twice + 1")])(values)
    assert values == {"twice": 6.0, name: 7.0}


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "v.__class__",
        "a.b",
        "(lambda: 1)()",
        "a; drop table x",
        "'text' + 1",
        "eval(1)",
        "exp(1)",
        "a[1]",
        "{a}",
        "a if a else 1",
        "1 = 1",
        "(select 1)",
        "cast(a as int)",
        "@a",
        "1e5x",
        "0x1f",
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="formula"):
        straight_line([("y", text)])


@pytest.mark.parametrize("text", ["1e999", "00012", "1_000", "1e-999", "5."])
def test_a_number_is_read_as_one_or_refused(text: str) -> None:
    """A literal is written out as the repr of a float, never as its text."""
    try:
        straight_line([("y", text)])(values := {})
    except UsageError:
        return
    assert values == {"y": float(text)}


def test_the_code_reaches_nothing_but_its_operations() -> None:
    evaluate = straight_line([("y", "a + 1")])
    names = set(evaluate.__globals__) - {"__builtins__", "evaluate"}
    assert names == {"_divide", "_nullif", "_coalesce", "_ln", "_sqrt", "fmax", "fmin", "inf"}
    assert evaluate.__globals__["__builtins__"] == {}


def test_a_formula_too_deep_to_be_read_is_refused() -> None:
    with pytest.raises(UsageError, match="nested too deeply; write it as several features"):
        straight_line([("y", "(" * 2_000 + "a" + ")" * 2_000)])


def test_a_formula_too_long_to_be_written_out_is_left_to_arrays() -> None:
    text = " + ".join(["a"] * 300)
    assert formula.evaluate(text, {"a": np.array([2.0])}).tolist() == [600.0]
    with pytest.raises(NotImplementedError, match="nested too deeply"):
        straight_line([("y", text)])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_rule_is_a_key_whatever_it_holds(name: str) -> None:
    first = first_that_holds([[[(name, ">", 1.0)]], [[(name, "==", 1.0)]]])
    assert [first({name: value}) for value in (2.0, 1.0, 0.0, np.nan)] == [0, 1, -1, -1]


def test_rules_reach_nothing_but_numbers() -> None:
    first = first_that_holds([[[("a", ">", np.inf), ("b", "<=", -0.5)]]])
    assert set(first.__globals__) - {"__builtins__", "evaluate"} == {"inf"}
    assert first.__globals__["__builtins__"] == {}
    assert [first({"a": 1.0, "b": b}) for b in (-0.5, 0.0)] == [0, -1]


@pytest.mark.parametrize("operator", ["!=", "in", "> 1 or", "", "is"])
def test_a_comparison_that_is_none_is_refused(operator: str) -> None:
    with pytest.raises(NotImplementedError, match="no comparison"):
        first_that_holds([[[("a", operator, 1.0)]]])


def test_a_bound_that_is_null_holds_for_nobody() -> None:
    first = first_that_holds([[[("a", ">", np.nan)]], [[("a", "<=", np.nan)]]])
    assert first({"a": 1.0}) == -1


def test_of_a_clause_one_comparison_and_of_a_rule_every_clause_holds() -> None:
    first = first_that_holds([[[("a", ">", 1.0), ("b", ">", 1.0)], [("c", "<", 0.0)]], []])
    facts = [(2.0, 0.0, -1.0), (0.0, 2.0, -1.0), (2.0, 2.0, 0.0), (0.0, 0.0, -1.0)]
    positions = [first(dict(zip("abc", values, strict=True))) for values in facts]
    assert positions == [0, 0, 1, 1]  # a rule without clauses holds for everybody

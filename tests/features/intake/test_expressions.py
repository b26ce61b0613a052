"""Expressions of source columns: their values, and the refusal of anything else."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventMapping, ReadOptions, from_frame
from stagecast.features.intake.expressions import (
    MAX_EXPRESSION_LENGTH,
    SourceColumn,
    compile_expression,
)


def evaluate(part: str, expression: str, **columns: object) -> tuple[object, list[str]]:
    """Return the part of the only event, and the reasons if its row was refused."""
    row = {"customer_id": "a", "timestamp": "2025-01-01"} | columns
    mapping = EventMapping(**{part: expression})
    target = {"customer": "customer_id"}.get(part, part)
    frame = pd.DataFrame([row])
    try:
        log = from_frame(frame, ReadOptions(mapping))
    except DataRefusedError as error:
        return None, [line.split(":")[0].strip() for line in str(error).splitlines()[1:2]]
    with log:
        return log.con.execute(f"SELECT {target} FROM events").fetchall()[0][0], []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expression", "columns", "value"),
    [
        ("Quantity * Price", {"Quantity": "3", "Price": "2.55"}, "7.65"),
        ("Quantity * Price", {"Quantity": 3, "Price": 2.55}, "7.65"),
        ('"Unit Price" * n', {"Unit Price": "2", "n": "4"}, "8"),
        ("a + b - c / 2", {"a": "1", "b": "2", "c": "3"}, "1.5"),
        ("-(a - b)", {"a": "1", "b": "3"}, "2"),
        ("a / b", {"a": 1, "b": 3}, "0.333333"),
        ("abs(a)", {"a": "-2.5"}, "2.5"),
        ("round(a, 1)", {"a": "2.26"}, "2.3"),
        ("coalesce(a, b, 0)", {"a": "", "b": None}, "0"),
        ("CASE WHEN kind = 'gift' THEN 0 ELSE a END", {"kind": "gift", "a": "9"}, "0"),
        ("CASE WHEN a > 10 THEN 10 ELSE a END", {"a": "9"}, "9"),
        ("CASE WHEN a > 10 AND NOT a >= 100 OR a <> a THEN 10 ELSE a END", {"a": "11"}, "10"),
        ("CASE WHEN a IS NULL THEN b WHEN b IS NOT NULL THEN a END", {"a": "", "b": "4"}, "4"),
        ("CASE WHEN n IN (1, 2) THEN 1 ELSE 2 END", {"n": "1.0"}, "1"),
        ("CASE WHEN n NOT IN ('1', '2') THEN 1 ELSE 2 END", {"n": "1.0"}, "1"),
        ("CASE WHEN n NOT LIKE 'C%' THEN 1 ELSE 2 END", {"n": "C12"}, "2"),
        ("CASE WHEN a + 0 > b THEN 1 ELSE 2 END", {"a": "10", "b": "9"}, "1"),
        ("CASE WHEN day >= '2025-02-01' THEN 1 ELSE 2 END", {"day": "2025-10-01"}, "1"),
        ("0.1 + 0.2", {}, "0.3"),
    ],
)
def test_an_amount_is_computed(expression: str, columns: dict[str, object], value: str) -> None:
    assert evaluate("amount", expression, **columns) == (
        Decimal(value).quantize(Decimal("0.000001")),
        [],
    )


@pytest.mark.parametrize(
    ("part", "expression", "columns", "value"),
    [
        (
            "event",
            "CASE WHEN Invoice LIKE 'C%' THEN 'refund' ELSE 'purchase' END",
            {"Invoice": "C1"},
            "refund",
        ),
        (
            "event",
            "CASE WHEN Invoice LIKE 'C%' THEN 'refund' ELSE 'purchase' END",
            {"Invoice": "1"},
            "purchase",
        ),
        ("event", "'Visit'", {}, "visit"),
        ("channel", "upper(trim(c))", {"c": " web "}, "WEB"),
        ("channel", "coalesce(c, 'it''s')", {"c": ""}, "it's"),
        ("customer", "lower(shop) || '-' || id", {"shop": "Ä", "id": 7}, "ä-7"),
    ],
)
def test_a_text_is_computed(
    part: str, expression: str, columns: dict[str, object], value: str
) -> None:
    assert evaluate(part, expression, **columns) == (value, [])


def test_a_time_may_stand_in_two_columns() -> None:
    frame = pd.DataFrame({"customer_id": ["a"], "day": ["2025-01-01"], "hour": ["12:30"]})
    with from_frame(frame, ReadOptions(EventMapping(time="day || 'T' || hour"))) as log:
        assert log.report.first_event == "2025-01-01T12:30:00Z"


@pytest.mark.parametrize(
    ("expression", "columns", "reason"),
    [
        ("Quantity * Price", {"Quantity": "three", "Price": "2"}, "unreadable_amount"),
        ("Quantity * Price", {"Quantity": "", "Price": "2"}, "missing_amount"),
        ("CASE WHEN a > 0 THEN a ELSE 0 END", {"a": "n/a"}, "unreadable_amount"),
        ("coalesce(a, 0)", {"a": "1,5"}, "unreadable_amount"),
        ("a / b", {"a": 1, "b": 0}, "absurd_amount"),
        ("a * a", {"a": "1e200"}, "absurd_amount"),
    ],
)
def test_a_row_whose_amount_cannot_be_computed_is_refused(
    expression: str, columns: dict[str, object], reason: str
) -> None:
    assert evaluate("amount", expression, **columns) == (None, [reason])


def test_the_column_at_fault_is_named_not_the_expression() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["a"] * 3,
            "timestamp": ["2025-01-01"] * 3,
            "n": ["1", "x", "2"],
            "p": ["5", "2", None],
        }
    )
    with from_frame(frame, ReadOptions(EventMapping(amount="n * p"))) as log:
        rejected = log.rejected().to_pylist()
    assert [(row["line"], row["column"], row["value"]) for row in rejected] == [
        (2, "n", "x"),
        (3, "p", None),
    ]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("read_csv('/etc/passwd')", "READ_CSV"),
        ("(SELECT 1)", "SELECT 1"),
        ("a IN (SELECT 1)", "a IN"),
        ("CASE WHEN a IN (SELECT 1) THEN 1 END", "SELECT 1"),
        ("a; DROP TABLE events", "not one expression"),
        ("DROP TABLE events", "DROP TABLE"),
        ("count(*)", "COUNT"),
        ("sum(a) OVER ()", "SUM"),
        ("CAST(a AS INT)", "CAST"),
        ("t.a + 1", "t.a"),
        ("a[1]", "a["),
        ("getenv('HOME')", "GETENV"),
        ("$1", "$1"),
        ("*", "*"),
        ("a = 1", "a = 1"),
        ("Unit Price", "double quotes"),
        ("a +", "nor an expression"),
        ("", "not one expression"),
        ("'text'", "'text'"),
        ("round(a, b)", "ROUND"),
        ("CASE WHEN a LIKE 'x' ESCAPE '!' THEN 1 END", "ESCAPE"),
        ("CASE WHEN a LIKE b THEN 1 END", "LIKE"),
        ("CASE WHEN a > b THEN 1 END", "+ 0"),
        ("CASE WHEN a THEN 1 END", "not a condition"),
        ("CASE a WHEN 1 THEN 1 END", "CASE a"),
        ("trim(BOTH 'x' FROM a) + 1", "TRIM"),
        ("a" + " + a" * MAX_EXPRESSION_LENGTH, "longer than"),
        ("(" * 900 + "a" + ")" * 900, "nested too deeply"),
    ],
)
def test_whatever_else_is_refused_by_name(expression: str, words: str) -> None:
    with pytest.raises(UsageError) as error_info:
        evaluate("amount", expression, a="1", b="2")
    assert words in str(error_info.value)
    assert "--amount" in str(error_info.value)


def test_a_number_where_a_text_is_needed_is_refused() -> None:
    with pytest.raises(UsageError, match="number where a text is needed"):
        evaluate("event", "a + 1", a="1")


def test_times_are_no_amounts() -> None:
    with pytest.raises(UsageError, match="holds times"):
        evaluate("amount", "t + 1", t=pd.Timestamp("2025-01-01"))


def test_a_misspelt_column_is_named_with_its_neighbour() -> None:
    with pytest.raises(DataRefusedError, match=r"no column 'Quantty'\. Did you mean 'Quantity'"):
        compile_expression(
            "Quantty * 2", [SourceColumn("Quantity", "c0", "text")], "number", "--amount", "log.csv"
        )


def test_the_name_of_a_column_comes_before_its_reading_as_an_expression() -> None:
    assert evaluate("amount", "a * b", **{"a * b": "5", "a": "2", "b": "3"}) == (
        Decimal("5.000000"),
        [],
    )


@pytest.mark.parametrize("code", ["GBP", "eur"])
def test_a_code_of_a_currency_without_its_quotes_is_proposed_with_them(code: str) -> None:
    columns = [SourceColumn("customer_id", "c0", "text")]
    proposed = rf"--currency \"'{code.upper()}'\""
    with pytest.raises(DataRefusedError, match=proposed):
        compile_expression(code, columns, "text", "--currency", "orders.csv")
    with pytest.raises(DataRefusedError) as refused:
        compile_expression(code, columns, "text", "--channel", "orders.csv")
    assert "--currency" not in str(refused.value)
    with pytest.raises(DataRefusedError) as refused:
        compile_expression("Waehrung", columns, "text", "--currency", "orders.csv")
    assert "For all amounts" not in str(refused.value)

"""An expression that cannot be parsed is refused in words of its writer, with the place in it."""

from __future__ import annotations

import pytest

from stagecast.features.catalog.formula import parse
from stagecast.features.errors import UsageError
from stagecast.features.intake.expressions import SourceColumn, compile_expression

COLUMNS = [SourceColumn("Quantity", "c0", "number"), SourceColumn("Price", "c1", "number")]
FAULTS = [
    ("Quantity * Price(", "the bracket ( at character 17 is not closed"),
    ("(Quantity * [Price)", "the bracket ) at character 19 closes none"),
    ("Quantity)", "the bracket ) at character 9 closes none"),
    ("Quantity *", "something is missing at '*' at character 10"),
    ("Quantity *\nPrice *", "something is missing at '*' at character 18"),
    ("Quantity + + * 2", "something is missing or too much at '2' at character 16"),
    ("Quantity => 2", "something is missing or too much at '=>' at character 10"),
    ('"Quantity', 'the quote " at character 1 is not closed'),
    ("coalesce(Quantity, 'it''s", "the quote ' at character 20 is not closed"),
    ("CASE WHEN", "something is missing at 'WHEN' at character 6"),
    ("Quantity * $$", "it holds a sign that no expression has"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_the_fault_of_an_expression_is_told_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as of_mapping:
        compile_expression(text, COLUMNS, "number", "--amount", "log.csv")
    with pytest.raises(UsageError) as of_feature:
        parse(text)
    for raised in (of_mapping, of_feature):
        assert fault in str(raised.value)
        assert "sqlglot" not in str(raised.value)
        assert "\x1b" not in str(raised.value)

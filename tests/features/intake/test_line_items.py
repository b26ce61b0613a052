"""Rows of items without a total get the hint that fits, and other rows do not."""

from __future__ import annotations

import pandas as pd
import pytest

from stagecast.features.events import EventMapping, ReadOptions, from_frame


def items(column: str = "Total", *, apart: bool = False) -> pd.DataFrame:
    """Return thirty orders of two items, with the total on the first row only."""
    rows = []
    for k in range(30):
        day = f"2025-01-{k % 28 + 1:02d}"
        other = f"2025-02-{k % 28 + 1:02d}" if apart else day
        rows += [(f"c{k}", day, f"{k}.50", "a"), (f"c{k}", other, None, "b")]
    return pd.DataFrame(rows, columns=["customer_id", "timestamp", column, "item"])


@pytest.mark.parametrize(
    ("column", "condition"), [("Total", "Total"), ("Order total", r"\"Order total\"")]
)
def test_items_without_a_total_get_a_condition_that_leaves_them_out(
    column: str, condition: str
) -> None:
    mapped = f'"{column}"' if " " in column else column
    mapping = EventMapping(amount=column)
    with from_frame(items(column), ReadOptions(mapping=mapping)) as log:
        assert log.report.rejected_by_reason == {"missing_amount": 30}
        hint = log.report.rejected_examples["missing_amount"]["hint"]
    assert f'--where "{condition} IS NOT NULL"' in hint
    options = ReadOptions(mapping=mapping, where=f"{mapped} IS NOT NULL")
    with from_frame(items(column), options) as log:
        assert (log.report.rows_loaded, log.report.rows_rejected) == (30, 0)


def test_purchases_whose_amount_is_missing_get_the_other_hint() -> None:
    options = ReadOptions(mapping=EventMapping(amount="Total"))
    with from_frame(items(apart=True), options) as log:
        hint = log.report.rejected_examples["missing_amount"]["hint"]
    assert "--where" not in hint
    assert "write 0 if it was free" in hint

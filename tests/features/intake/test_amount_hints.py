"""Refused amounts are told how they can be read, from the refused values."""

from __future__ import annotations

import shlex

import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.intake.amount_hints import amount_hint


def log_of(amounts: list[str]) -> pd.DataFrame:
    ids = [f"c{k}" for k in range(len(amounts))]
    return pd.DataFrame({"customer_id": ids, "timestamp": "2024-01-05", "amount": amounts})


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        (["1,234.50", "12.00"], 1246.5),
        (["1.234,50", "12,00"], 1246.5),
        (["49,00"], 49),
        (["$1,234.50", "-$3"], 1237.5),
        (["1 234,50 \u20ac", "12 \u20ac"], 1246.5),
        (["1'234.50"], 1234.5),
        (["12 kr", "3.5 kr"], 15.5),
    ],
)
def test_the_proposed_options_read_the_amounts(amounts: list[str], total: float) -> None:
    with pytest.raises(DataRefusedError) as refusal:
        from_frame(log_of(amounts), ReadOptions(max_rejected="0"))
    proposed = str(refusal.value).split(" is read by ")[1].splitlines()[0]
    words = shlex.split(proposed)
    names = [word.removeprefix("--").replace("-", "_") for word in words[::2]]
    options = dict(zip(names, words[1::2], strict=True))
    with from_frame(log_of(amounts), ReadOptions(negative_amounts="refund", **options)) as log:
        ((sum_of,),) = log.con.execute("SELECT sum(amount) FROM events").fetchall()
    assert float(sum_of) == total


def test_brackets_are_named() -> None:
    assert "minus sign" in str(amount_hint(["($20.00)"]))


@pytest.mark.parametrize("amounts", [["free"], ["1.2.3"], ["1,23,456"], ["12 EUR"], [" "], []])
def test_no_option_is_made_up(amounts: list[str]) -> None:
    assert amount_hint(amounts) is None

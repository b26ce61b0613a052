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
        (["12 EUR", "1,250.50 EUR"], 1262.5),
        (["EUR 12,50"], 12.5),
        (["($20.00)", "$30.00"], 50),
        (["$1.250,50", "$(1.000,50)"], 2251),
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


def test_a_number_in_brackets_is_below_zero() -> None:
    frame = log_of(["(20.00)", "( 5 )", "30", "-2", "(3", "(x)", "(-4)"])
    with from_frame(frame, ReadOptions(negative_amounts="refund", max_rejected="9")) as log:
        rows = log.con.execute("SELECT event, amount FROM events ORDER BY customer_id").fetchall()
        assert log.report.rows_rejected == 3
    expected = [("refund", 20), ("refund", 5), ("purchase", 30), ("refund", 2)]
    assert [(event, float(amount)) for event, amount in rows] == expected


def test_amounts_in_several_currencies_are_named() -> None:
    hint = str(amount_hint(["12 EUR", "13.50 USD"]))
    assert hint.startswith("amounts are in EUR and USD")
    assert "--currency COL" in hint


@pytest.mark.parametrize("amounts", [["free"], ["1.2.3"], ["1,23,456"], ["12 e"], [" "], []])
def test_no_option_is_made_up(amounts: list[str]) -> None:
    assert amount_hint(amounts) is None

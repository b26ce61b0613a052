"""Amounts that look written in thousands are asked for; decimals are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventMapping, ReadOptions, read_events


def warnings_of(folder: Path, amounts: list[str], options: ReadOptions | None = None) -> list[str]:
    rows = "".join(f"c{k};2025-01-{k + 1:02d};{text}\n" for k, text in enumerate(amounts))
    path = folder / "log.csv"
    path.write_text("customer_id;timestamp;amount\n" + rows, "utf-8")
    with read_events(path, options or ReadOptions(separator=";")) as log:
        return log.report.warnings


def test_three_digits_behind_every_point_may_be_thousands(tmp_path: Path) -> None:
    (warning,) = warnings_of(tmp_path, ["139.980", "45.990", "7.500", "990"])
    assert "such as '139.980', and was read as 139.980" in warning
    assert "--thousands . --decimal ," in warning
    options = ReadOptions(separator=";", thousands=".", decimal=",")
    assert warnings_of(tmp_path, ["139.980", "45.990", "7.500", "990"], options) == []


def test_with_a_decimal_comma_it_is_the_comma(tmp_path: Path) -> None:
    options = ReadOptions(separator=";", decimal=",")
    (warning,) = warnings_of(tmp_path, ["139,980", "45,990", "7,500"], options)
    assert "--thousands , --decimal ." in warning


@pytest.mark.parametrize(
    "amounts",
    [
        ["139.98", "45.990", "7.500", "990.000"],
        ["0.250", "1.250", "7.500", "2.000"],
        ["139.980", "45.990"],
        ["139", "45", "7000"],
        ["1e3", "2.500", "3.500"],
    ],
)
def test_other_forms_are_not_asked_for(tmp_path: Path, amounts: list[str]) -> None:
    assert warnings_of(tmp_path, amounts) == []


@pytest.mark.parametrize(
    ("sign", "texts"), [("$", ["$1,234.50", "-$3.00", "7"]), ("kr", ["1,234.50 kr", "-3 kr", "7"])]
)
def test_a_declared_sign_of_a_currency_is_read_past(
    tmp_path: Path, sign: str, texts: list[str]
) -> None:
    options = ReadOptions(
        separator=";", thousands=",", currency_sign=sign, negative_amounts="refund"
    )
    rows = "".join(f"c{k};2025-01-0{k + 1};{text}\n" for k, text in enumerate(texts))
    path = tmp_path / "log.csv"
    path.write_text("customer_id;timestamp;amount\n" + rows, "utf-8")
    with read_events(path, options) as log:
        amounts = log.con.execute("SELECT amount FROM events ORDER BY customer_id").fetchall()
    assert [float(amount) for (amount,) in amounts] == [1234.5, 3.0, 7.0]
    path.write_text("customer_id;timestamp;amount\na;2025-01-01;$3\n", "utf-8")
    with pytest.raises(DataRefusedError, match="--currency-sign"):
        read_events(path, ReadOptions(separator=";"))


@pytest.mark.parametrize("sign", ["", "1", "-", "e", ".", "a b", "dollars"])
def test_what_is_no_sign_of_a_currency_is_refused(sign: str) -> None:
    with pytest.raises(UsageError, match="is no sign of a currency"):
        ReadOptions(currency_sign=sign)


def test_columns_of_an_expression_are_looked_at(tmp_path: Path) -> None:
    options = ReadOptions(separator=";", mapping=EventMapping(amount="amount * 2"))
    (warning,) = warnings_of(tmp_path, ["139.980", "45.990", "7.500"], options)
    assert "'amount'" in warning

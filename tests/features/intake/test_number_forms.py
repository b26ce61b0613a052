"""Amounts that look written in thousands are asked for; decimals are not."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_columns_of_an_expression_are_looked_at(tmp_path: Path) -> None:
    options = ReadOptions(separator=";", mapping=EventMapping(amount="amount * 2"))
    (warning,) = warnings_of(tmp_path, ["139.980", "45.990", "7.500"], options)
    assert "'amount'" in warning

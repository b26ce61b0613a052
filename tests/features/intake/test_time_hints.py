"""Times with a blank before the zone are read; of others, the refusal says how they are read."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import EventMapping, ReadOptions, from_frame, read_events
from stagecast.features.intake.date_parts import date_parts_hint
from stagecast.features.intake.time_hints import time_hint, unit_hint

pytestmark = pytest.mark.slow


def log_of(times: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(times))], "timestamp": times})


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-01-15 17:41:00 -0500", datetime(2025, 1, 15, 22, 41)),
        ("2025-01-15 17:41:00 +02:00", datetime(2025, 1, 15, 15, 41)),
        ("2025-01-15T17:41 +05", datetime(2025, 1, 15, 12, 41)),
        ("2025-01-15 17:41:00.250 -0530", datetime(2025, 1, 15, 23, 11, 0, 250_000)),
        ("2025-01-15 17:41:00 UTC", datetime(2025, 1, 15, 17, 41)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_blank_before_the_zone_is_read(text: str, utc: datetime, zone: str) -> None:
    with from_frame(log_of([text]), ReadOptions(zone=zone)) as log:
        assert log.con.execute('SELECT "timestamp" FROM events').fetchall() == [(utc,)]


@pytest.mark.parametrize("text", ["2025-01-15 17:41:00  -0500", "2025-01-15 17:41 EST", "now UTC"])
def test_other_blanks_and_zones_stay_refused(text: str) -> None:
    with pytest.raises(DataRefusedError, match="unreadable_time"):
        from_frame(log_of([text]))


@pytest.mark.parametrize(
    ("values", "time_format"),
    [
        (["1691996191", "1693807095.5"], "unix"),
        (["1691996191000"], "unix-ms"),
        (["1691996191000000"], "unix-us"),
        (["1691996191000000000"], "unix-ns"),
        (["45321", "45322.75"], "excel"),
        (["20240404"], "'%Y%m%d'"),
        (["20240404101112"], "'%Y%m%d%H%M%S'"),
        (["20240404T101112Z"], "'%Y%m%dT%H%M%SZ'"),
        (["2024-04-04 10:11:12 GMT"], "'%Y-%m-%d %H:%M:%S %Z'"),
        (["2024-04-04 10:11:12,250"], "'%Y-%m-%d %H:%M:%S,%g'"),
        (["2024:04:04 10:11:12"], "'%Y:%m:%d %H:%M:%S'"),
        (["2016-2-01"], "'%Y-%m-%d'"),
        (["2016-2", "2016-11"], "'%Y-%m'"),
        (["2016/2/1 8:30"], "'%Y/%m/%d %H:%M'"),
        (["2016/2/1 8:30:00 +0200"], "'%Y/%m/%d %H:%M:%S %z'"),
        (["2/2016"], "'%m/%Y'"),
        (["Jan 5, 2024"], "'%b %d, %Y'"),
        (["05-JAN-24"], "'%d-%b-%y'"),
        (["01/02/2025", "13/02/2025"], "'%d/%m/%Y'"),
        (["01/02/2025", "02/13/2025"], "'%m/%d/%Y'"),
        (["1.2.25 13:02", "31.1.25 9:00"], "'%d.%m.%y %H:%M'"),
        (["2016-2-01", "soon", "later"], "'%Y-%m-%d'"),
    ],
)
def test_the_hint_names_the_form_that_reads_the_values(values: list[str], time_format: str) -> None:
    hint = time_hint(duckdb.connect(), values)
    assert hint is not None
    assert f"--time-format {time_format}" in hint
    readable = log_of(list(values[:1]))
    with from_frame(readable, ReadOptions(time_format=time_format.strip("'"))) as log:
        assert 2000 < log.first_event.year < 2030


@pytest.mark.parametrize("value", ["soon", "12", "1.2.3.4"])
def test_no_form_is_made_up(value: str) -> None:
    hint = time_hint(duckdb.connect(), [" ", value])
    assert hint is not None
    assert hint.startswith(f"{value!r} has no form that is known here: say how it is written with")
    assert time_hint(duckdb.connect(), [" ", ""]) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [("1402/05/17", "Persian"), ("1402-05-17", "Persian"), ("2568-02-01", "Buddhist")],
)
def test_a_year_of_another_calendar_is_named(value: str, name: str) -> None:
    with pytest.raises(DataRefusedError, match=f"another calendar, such as the {name}"):
        from_frame(log_of([value]))


def test_day_and_month_that_nothing_tells_apart_are_left_to_the_user() -> None:
    hint = time_hint(duckdb.connect(), ["01/02/2025", "03/04/2025"]) or ""
    assert "'%d/%m/%Y' and by '%m/%d/%Y'" in hint
    assert "only you know" in hint


def test_values_of_both_orders_are_named() -> None:
    hint = time_hint(duckdb.connect(), ["13/02/2025", "02/13/2025", "01/01/2025"]) or ""
    assert "'13/02/2025' has the day first and '02/13/2025' the month" in hint


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-07-01 10:00:00 CEST", datetime(2025, 7, 1, 8)),
        ("2025-07-01T10:00:00 EDT", datetime(2025, 7, 1, 14)),
        ("13.07.2025 10:00 MSK", datetime(2025, 7, 13, 7)),
        ("Jul 1, 2025 10:00 PM BST", datetime(2025, 7, 1, 21)),
    ],
)
def test_an_abbreviation_of_a_zone_is_read_as_the_hint_says(text: str, utc: datetime) -> None:
    hint = str(time_hint(duckdb.connect(), [text]))
    words = shlex.split(hint.partition(": --time-format")[2])
    options = ReadOptions(time_format=words[0], zone=words[2])
    with from_frame(log_of([text]), options) as log:
        assert log.con.execute('SELECT "timestamp" FROM events').fetchall() == [(utc,)]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-07-01 10:00 BST", None),  # Bangladesh, DuckDB says
        ("2025-07-01 10:00 AST", None),  # Alaska
        ("2025-07-01 10:00 IST", None),  # India, Israel or Ireland
        ("2025-07-01 10:00 CET", None),  # an hour of summer time is taken off
        ("2025-01-01 10:00 CET", datetime(2025, 1, 1, 9)),
        ("2025-01-01 10:00 PST", datetime(2025, 1, 1, 18)),
        ("2025-07-01 10:00 PST", None),
        ("2025-07-01 10:00 EST", datetime(2025, 7, 1, 15)),
        ("2025-07-01 10:00 UTC", datetime(2025, 7, 1, 10)),
        ("2025-07-01 10:00 Europe/London", datetime(2025, 7, 1, 9)),
        ("2025-07-01 10:00 America/Los_Angeles", datetime(2025, 7, 1, 17)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles"])
def test_a_name_of_a_zone_is_read_as_it_is_meant_or_refused_with_its_offset(
    text: str, utc: datetime | None, zone: str
) -> None:
    options = ReadOptions(time_format="%Y-%m-%d %H:%M %Z", zone=zone)
    if utc is None:
        name = text.rpartition(" ")[2]
        with pytest.raises(DataRefusedError, match=rf"by the abbreviation {name}.*{name} is [+-]"):
            from_frame(log_of([text]), options)
        return
    with from_frame(log_of([text]), options) as log:
        assert log.con.execute('SELECT "timestamp" FROM events').fetchall() == [(utc,)]


def test_summer_and_winter_of_one_zone_are_told_as_offsets() -> None:
    texts = ["2025-07-01 10:00:00 AEST", "2025-01-01 10:00:00 AEDT"]
    hint = str(time_hint(duckdb.connect(), texts))
    assert "(AEST is +10:00, AEDT +11:00)" in hint
    assert "--time-format" not in hint


def test_a_day_that_does_not_exist_is_no_matter_of_form() -> None:
    assert "no such day" in (time_hint(duckdb.connect(), ["2025-02-30"]) or "")


def test_iso_times_below_another_format_need_none() -> None:
    options = ReadOptions(time_format="%d/%m/%Y")
    with pytest.raises(DataRefusedError, match="is read without --time-format"):
        from_frame(log_of(["2025-01-01"]), options)


def test_milliseconds_read_as_seconds_are_absurd_and_the_unit_is_proposed() -> None:
    assert unit_hint(["9999-12-31"]) is None
    with pytest.raises(DataRefusedError, match=r"absurd_time.*--time-format unix-ms"):
        from_frame(log_of(["1691996191000"]), ReadOptions(time_format="unix"))


def test_the_hint_rests_on_more_rows_than_it_shows(tmp_path: Path) -> None:
    days = [f"{k:02d}/01/2024" for k in range(1, 29)]
    path = tmp_path / "log.csv"
    log_of(list(days)).to_csv(path, index=False)
    with pytest.raises(DataRefusedError, match="'13/01/2024' has the day first"):
        read_events(path)


@pytest.mark.parametrize(
    ("names", "expression"),
    [
        (["id", "Year", "Month", "Day"], "Year || '-' || Month || '-' || Day"),
        (
            ["arrival_year", "arrival_month", "arrival_day_of_month"],
            "arrival_year || '-' || arrival_month || '-' || arrival_day_of_month",
        ),
        (["Order Year", "Order Month", "Order Day"], r"\"Order Year\" || '-' || \"Order"),
        (["birth_year", "Month", "Day"], ""),
    ],
)
def test_columns_of_year_month_and_day_are_put_together(names: list[str], expression: str) -> None:
    hint = date_parts_hint(names)
    assert expression in hint
    assert bool(hint) == bool(expression)


def test_dates_in_three_columns_are_read_as_texts_numbers_and_floats(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"customer_id": ["a", "b"], "Year": [2024, 2025], "Month": [1, 12], "Day": [5, 31]}
    )
    with pytest.raises(DataRefusedError, match="Year, month and day are columns of their own"):
        from_frame(frame)
    mapping = EventMapping(time="Year || '-' || Month || '-' || Day")
    options = ReadOptions(mapping=mapping, time_format="%Y-%m-%d")
    for table in (frame, frame.astype(str), frame.astype({"Month": float, "Day": float})):
        with from_frame(table, options) as log:
            days = log.con.execute('SELECT CAST("timestamp" AS VARCHAR) FROM events').fetchall()
        assert days == [("2024-01-05 00:00:00",), ("2025-12-31 00:00:00",)]

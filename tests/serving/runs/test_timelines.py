"""The last events of a log by customer: those known at the as_of, and counted by days of the shop.

Each expectation is counted by hand or by a plain loop over the rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pytest

from stagecast.features.events import ReadOptions, read_events
from stagecast.serving.runs.timelines import MOST_ROWS, last_events

AS_OF = datetime(2021, 2, 1, tzinfo=UTC)
HEAD = "customer_id,timestamp,event,amount,recorded_at\n"
ROWS = """\
a,2021-01-01T10:00:00Z,purchase,10,
a,2021-01-01T12:00:00Z,purchase,5.25,
a,2021-01-03T00:00:00Z,refund,3,
a,2021-01-31T23:30:00Z,rating,4,
a,2021-01-31T23:40:00Z,rating,1,
a,2021-02-01T00:00:00Z,purchase,99,
a,2021-01-20T00:00:00Z,purchase,98,2021-02-01T00:00:00Z
b,2021-01-02T00:00:00Z,visit,,
c,2021-02-01T00:00:00Z,purchase,97,
"""


def of_customers(log, as_of=AS_OF, **options):
    return {
        customer_id: json.loads(text)
        for portion in last_events(log, as_of, **options)
        for customer_id, text in portion
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEAD + ROWS)
    return path


def test_an_event_is_there_only_if_it_was_known_before_the_as_of(file):
    with read_events(file) as log:
        rows = of_customers(log)
    assert rows == {
        "a": [
            0,
            ["2021-01-31", "rating", 2, 2.5],
            ["2021-01-03", "refund", 1, 3.0],
            ["2021-01-01", "purchase", 2, 15.25],
        ],
        "b": [0, ["2021-01-02", "visit", 1, None]],
    }


def test_what_comes_later_changes_nothing(file, tmp_path):
    later = tmp_path / "later.csv"
    more = "a,2021-02-03,refund,15.25,\nb,2021-05-01,purchase,1,\na,2021-01-01,visit,,2021-03-01\n"
    later.write_text(HEAD + ROWS + more)
    with read_events(file) as log, read_events(later) as longer:
        assert of_customers(longer) == of_customers(log)


def test_days_are_those_of_the_shop(file):
    with read_events(file, ReadOptions(day_zone="Asia/Tehran")) as log:
        rows = of_customers(log, datetime(2021, 2, 2))
    # 31 January, 23:30 UTC, is 1 February, 03:00 in Tehran
    assert ["2021-02-01", "rating", 2, 2.5] in rows["a"]


def test_only_the_last_days_are_there_and_the_others_are_counted(file):
    with read_events(file) as log:
        rows = of_customers(log, most_days=2)
    assert rows["a"] == [1, ["2021-01-31", "rating", 2, 2.5], ["2021-01-03", "refund", 1, 3.0]]


@pytest.mark.parametrize("rows_per_part", [1, 50, 100_000])
def test_many_customers_in_parts_are_what_a_loop_counts(tmp_path, rows_per_part):
    draw = np.random.default_rng(3)
    lines, expected = [], defaultdict(lambda: defaultdict(list))
    for number in range(400):
        name, day = f"c{draw.integers(0, 25)}", int(draw.integers(1, 29))
        event = str(draw.choice(["purchase", "refund", "visit"]))
        amount = None if event == "visit" else int(draw.integers(1, 10_000)) / 100
        shown = "" if amount is None else amount
        lines.append(f"{name},2020-11-{day:02d}T{number % 24:02d}:00:{number % 60:02d}Z,")
        lines[-1] += f"{event},{shown},\n"
        expected[name][f"2020-11-{day:02d}", event].append(amount)
    path = tmp_path / "many.csv"
    path.write_text(HEAD + "".join(lines))
    with read_events(path, ReadOptions(duplicates="keep")) as log:
        actual = of_customers(log, most_days=5, rows_per_part=rows_per_part)
    assert actual.keys() == expected.keys()
    for name, days in expected.items():
        last = sorted({day for day, _ in days}, reverse=True)[:5]
        rows = [
            [day, event, len(values), None if event == "visit" else pytest.approx(sum(values))]
            for day in last
            for (other, event), values in sorted(days.items())
            if other == day
        ]
        left_out = len({day for day, _ in days}) - len(last)
        assert actual[name] == [left_out, *rows], name


def test_a_customer_with_very_many_types_of_events_has_a_bounded_row(tmp_path):
    path = tmp_path / "types.csv"
    path.write_text(HEAD + "".join(f'a,2021-01-05,"t\\""{k:03d}",,\n' for k in range(200)))
    with read_events(path) as log:
        rows = of_customers(log)["a"]
    assert len(rows) == 1 + MOST_ROWS
    assert rows[1][1] == 't\\"000'

"""Durations of stages and times to them: by hand, and against the estimate in fractions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from stagecast.features.describe.flows import durations, time_to_stage
from tests.features.describe.flows.made import Log, at, first_events, journeys, logs, rows
from tests.features.describe.flows.test_survival import exact
from tests.profiles import examples


def test_spells_worked_by_hand() -> None:
    paths = (
        [(0, "a"), (10, "b")],
        [(0, "a"), (20, "b"), (22, "a")],
        [(0, "a"), (90, "b")],
        [(5, "a"), (35, "c")],
    )
    # at day 60, a: over after 10, 20, 30; open 38 and 60 -> 4/5, 3/5, 2/5 of them last longer; b:
    # over after 2, open 50 -> 1/2; c: open 25
    assert rows(durations(journeys(*paths), at(60))) == [
        ("a", 5, 2, 20.0, 30.0, None, 20.0),
        ("b", 2, 1, 2.0, 2.0, None, 2.0),
        ("c", 1, 1, None, None, None, None),
    ]


def test_time_to_stage_worked_by_hand() -> None:
    paths = (
        [(0, "b"), (3, "a")],
        [(0, "a"), (10, "b"), (12, "a"), (20, "b")],  # the first entry counts
        [(10, "a"), (40, "b")],
        [(50, "a")],
        [(70, "b")],  # not known at day 60
        [(60, "b")],  # nor this
    )
    table = time_to_stage(journeys(*paths), first_events(*paths), at(60))
    # a: after 3, 0, 0, 0: 1/4 take longer than 0, none longer than 3
    # b: after 0, 10, 30, and one open after 10: 3/4, then 2 of 3 at risk are left: 2/4, then none
    assert rows(table) == [
        ("a", 4, 4, 0.0, 0.0, 0.0),
        ("b", 4, 3, 0.0, 10.0, 30.0),
        ("c", 4, 0, None, None, None),
    ]


def quartiles(completed: list[int], still_open: list[int]) -> list[float | None]:
    steps = exact(completed, still_open)
    times = [
        next((t for t, probability in steps if probability <= 1 - share), None)
        for share in (0.25, 0.5, 0.75)
    ]
    return [None if t is None else t / at(1) for t in times]


@settings(deadline=None, max_examples=examples(50))
@given(logs())
def test_both_tables_are_those_of_a_plain_count(log: Log) -> None:
    as_of = at(log.as_of)
    spell_rows = rows(durations(log.journeys, as_of))
    reached_rows = rows(time_to_stage(log.journeys, log.first_events, as_of))
    known = [path for path in log.paths if at(path[0][0]) < as_of]
    for position, stage in enumerate("abc"):
        over, still_open, reached_after, waiting = [], [], [], []
        for path in known:
            starts = [at(day) for day, _ in path]
            ends = [*starts[1:], as_of]
            for start, end, (_, stage_then) in zip(starts, ends, path, strict=True):
                if stage_then == stage and start < as_of:
                    (over if end < as_of else still_open).append(min(end, as_of) - start)
            entries = [
                at(day) for day, stage_then in path if stage_then == stage and at(day) < as_of
            ]
            (reached_after if entries else waiting).append((entries or [as_of])[0] - starts[0])
        mean = pytest.approx(sum(over) / len(over) / at(1)) if over else None
        assert spell_rows[position] == (
            stage,
            len(over) + len(still_open),
            len(still_open),
            *quartiles(over, still_open),
            mean,
        )
        assert reached_rows[position] == (
            stage,
            len(known),
            len(reached_after),
            *quartiles(reached_after, waiting),
        )


def test_no_journeys() -> None:
    assert rows(durations(journeys(), at(60)))[0] == ("a", 0, 0, None, None, None, None)
    assert rows(time_to_stage(journeys(), first_events(), at(60)))[0] == (
        "a",
        0,
        0,
        None,
        None,
        None,
    )

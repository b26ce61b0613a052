"""The table of points: what a file may say, what is refused and how, and that it is read back as
it was written.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.training.lead_points.grades import GradeTarget
from stagecast.training.lead_points.points import (
    PointsTable,
    Rule,
    Scale,
    load_points,
    parse_points,
    points_toml,
)


def test_the_defaults_say_what_the_authors_say() -> None:
    table = load_points()
    worth = {rule.label: rule.points for rule in table.rules}
    assert worth["unsubscribe within 7 days"] < 0
    assert worth["purchase"] > worth["attend_event"] > 0
    assert table.mql is not None
    assert table.sql is not None
    assert table.sql.value > table.mql.value


def test_every_form_of_a_rule_is_read() -> None:
    table = parse_points(
        """
        [events]
        visit = 1
        Enquiry = { points = 2.5, half_life = "4w", most = 3, within = "7d" }
        unsubscribe = [-1, { points = -2, within = "7d" }]
        [attributes.origin]
        "paid search" = 4
        [grades]
        mql = { best = 200 }
        sql = { conversion = "12.5%" }
        [scale]
        doubling = 10
        at_zero = 0.02
        horizon = "90d"
        """
    )
    assert table == PointsTable(
        (
            Rule("visit", 1.0),
            Rule("enquiry", 2.5, 28, 3, 7),
            Rule("unsubscribe", -1.0),
            Rule("unsubscribe", -2.0, None, None, 7),
        ),
        {"origin": {"paid search": 4.0}},
        GradeTarget("best", 200.0),
        GradeTarget("conversion", 0.125),
        Scale(10.0, 0.02, 90),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[event]\nvisit = 1", r"here: unknown 'event'; .*Did you mean 'events'\?"),
        (
            "[events]\nvisit = { points = 1, halflife = '3d' }",
            r"\[events\] visit: unknown 'halflife'.*'half_life'\?",
        ),
        ("[events]\nvisit = { most = 1 }", r"\[events\] visit has no points"),
        ("[events]\nvisit = true", r"\[events\] visit is True, and must be a number"),
        ("[events]\nvisit = nan", r"\[events\] visit is nan"),
        (
            "[events]\nvisit = { points = 1, most = 0 }",
            r"most is 0, and must be a whole number of at least 1",
        ),
        (
            "[events]\nvisit = { points = 1, half_life = '3 months' }",
            r"visit: half_life '3 months': 'months' has no fixed",
        ),
        ("[attributes]\norigin = 3", r"\[attributes.origin\] is 3, and must be a table"),
        ("[attributes.origin]\nemail = 'x'", r"\[attributes.origin\] email is 'x'"),
        ("[grades]\nmql = 3", r"here gives no points"),
        (
            "[events]\nvisit = 1\n[grades]\nmlq = 3",
            r"\[grades\]: unknown 'mlq'.*Did you mean 'mql'\?",
        ),
        (
            "[events]\nvisit = 1\n[grades]\nmql = { bset = 3 }",
            r"\[grades\] mql: unknown 'bset'.*Did you mean 'best'\?",
        ),
        ("[events]\nvisit = 1\n[grades]\nmql = { share = '120%' }", r"mql: share is '120%'"),
        ("[events]\nvisit = 1\n[grades]\nmql = { best = 2.5 }", r"best is 2.5"),
        ("[events]\nvisit = 1\n[scale]\ndoubling = 10", r"\[scale\] has no at_zero"),
        (
            "[events]\nvisit = 1\n[scale]\ndoubling = 0\nat_zero = 0.1\nhorizon = '9d'",
            r"doubling must be above 0",
        ),
        ("visit = ", r"here is not TOML"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_points(text, "here")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.toml cannot be read as a table of points"):
        load_points(tmp_path / "nothing.toml")


def test_the_scale_says_what_points_mean() -> None:
    scale = Scale(10.0, 0.2, 90)
    assert scale.probability(0) == pytest.approx(0.2)
    odds = scale.probability(30) / (1 - scale.probability(30))
    assert odds == pytest.approx(8 * 0.25)


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_POINTS = st.integers(-999, 999).map(float) | st.floats(-1e6, 1e6, allow_nan=False)
_DAYS = st.none() | st.integers(1, 999_999)
_RULES = st.builds(
    Rule,
    _NAMES.map(lambda n: n.lower()).filter(lambda n: n == n.lower()),
    _POINTS,
    _DAYS,
    _DAYS,
    _DAYS,
)
_WANTED = (
    st.none()
    | st.builds(GradeTarget, st.just("points"), _POINTS)
    | st.builds(GradeTarget, st.just("best"), st.integers(1, 10**6).map(float))
    | st.builds(GradeTarget, st.sampled_from(["share", "conversion"]), st.floats(1e-9, 1.0))
)


@given(
    rules=st.lists(_RULES, min_size=1, max_size=5),
    attributes=st.dictionaries(
        _NAMES, st.dictionaries(_NAMES, _POINTS, min_size=1, max_size=3), max_size=2
    ),
    mql=_WANTED,
    sql=_WANTED,
    scale=st.none()
    | st.builds(Scale, st.floats(1e-3, 100), st.floats(1e-9, 0.999), st.integers(1, 9999)),
)
def test_what_is_written_is_read_back(
    rules: list[Rule],
    attributes: dict[str, dict[str, float]],
    mql: GradeTarget | None,
    sql: GradeTarget | None,
    scale: Scale | None,
) -> None:
    # rules of one event stand together in a file
    together = sorted(rules, key=lambda rule: [r.event for r in rules].index(rule.event))
    table = PointsTable(tuple(together), attributes, mql, sql, scale)
    assert parse_points(points_toml(table, "two\nlines")) == table

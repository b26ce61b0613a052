"""The charts of the lifecycle: well-formed, repeatable, safe with hostile titles, in the page's
colours, and right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from stagecast.serving.reports import charts
from stagecast.serving.reports.flow_diagram import flow_diagram
from stagecast.serving.reports.lifecycle_charts import (
    STAGE_INK,
    cohort_grid,
    pareto_curve,
    repeat_bars,
    spell_bars,
    stage_history,
)
from stagecast.serving.reports.stage_colours import stage_colours, stage_titles

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script> & \"Loyal\""
DATES = ("2011-06-01", "2011-12-09")


def stages(loyal: str = "Loyal") -> list[dict[str, Any]]:
    return [
        {"id": "prospect", "title": "Prospect", "state": "prospect"},
        {"id": "new", "title": "New", "state": "active"},
        {"id": "loyal", "title": loyal, "state": "active"},
        {"id": "lost", "title": "Lost", "state": "lapsed"},
    ]


FLOW = [
    {"from_stage": None, "to_stage": "new", "customers": 400},
    {"from_stage": "new", "to_stage": "loyal", "customers": 1250},
    {"from_stage": "new", "to_stage": "lost", "customers": 250},
    {"from_stage": "loyal", "to_stage": "loyal", "customers": 750},
    {"from_stage": "lost", "to_stage": "lost", "customers": 0},
]
HISTORY = [
    {"period_start": f"2011-{month:02d}-01", "stage": stage["id"], "customers": 100 * month + place}
    for month in range(1, 13)
    for place, stage in enumerate(stages())
]
COHORTS = [
    {
        "cohort": f"2011-{month:02d}-01",
        "customers": 1000 + month,
        "age": age,
        "retention": 1.0 if age == 0 else 0.4 - 0.05 * age,
        "complete": month + age < 5,
    }
    for month in range(1, 6)
    for age in range(6 - month)
]
REPEAT = [
    {
        "order": 1,
        "share_within_365d": 0.31,
        "share_within_365d_low": 0.28,
        "share_within_365d_high": 0.34,
    },
    {
        "order": 2,
        "share_within_365d": 0.57,
        "share_within_365d_low": None,
        "share_within_365d_high": None,
    },
    {
        "order": 3,
        "share_within_365d": None,
        "share_within_365d_low": None,
        "share_within_365d_high": None,
    },
]
SPELLS = [
    {
        "stage": "prospect",
        "spells": 0,
        "low_quartile_days": None,
        "median_days": None,
        "high_quartile_days": None,
    },
    {
        "stage": "new",
        "spells": 9,
        "low_quartile_days": 10.0,
        "median_days": 41.3,
        "high_quartile_days": 90.0,
    },
    {
        "stage": "loyal",
        "spells": 9,
        "low_quartile_days": 70.0,
        "median_days": 1.0,
        "high_quartile_days": None,
    },
    {
        "stage": "lost",
        "spells": 9,
        "low_quartile_days": None,
        "median_days": None,
        "high_quartile_days": None,
    },
]

Draw = Callable[[str], Markup]
DRAWN: dict[str, Draw] = {
    "flow": lambda title: flow_diagram(FLOW, stages(title), (DATES[0], title)),
    "history": lambda title: stage_history(HISTORY, stages(title)),
    "pareto": lambda title: pareto_curve([(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)], (0.2, 0.8), title),
    "cohorts": lambda title: cohort_grid(COHORTS),
    "repeat": lambda title: repeat_bars(REPEAT),
    "spells": lambda title: spell_bars(SPELLS, stages(title)),
}
EMPTY: dict[str, Callable[[], Markup]] = {
    "flow": lambda: flow_diagram([], stages(), DATES),
    "flow without stages": lambda: flow_diagram([], [], DATES),
    "history": lambda: stage_history([], stages()),
    "cohorts": lambda: cohort_grid([]),
    "cohorts of one period": lambda: cohort_grid(COHORTS[:1]),
    "repeat": lambda: repeat_bars([]),
    "repeat too few": lambda: repeat_bars(REPEAT[2:]),
    "spells": lambda: spell_bars([], stages()),
    "spells all open": lambda: spell_bars(SPELLS[3:], stages()),
}


def read(svg: Markup) -> ElementTree.Element:
    root = ElementTree.fromstring(str(svg))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert len(root.get("aria-label") or "") > 20
    return root


def words(svg: Markup) -> list[str]:
    return ["".join(text.itertext()) for text in read(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN.keys())
def test_same_input_same_bytes(draw: Draw) -> None:
    assert draw("Loyal") == draw("Loyal")


@pytest.mark.parametrize("draw", EMPTY.values(), ids=EMPTY.keys())
def test_nothing_to_draw_is_no_error(draw: Callable[[], Markup]) -> None:
    assert float(read(draw()).get("width") or 0) > 0


@pytest.mark.parametrize("name", ["flow", "history", "pareto", "spells"])
def test_hostile_titles_stay_text(name: str) -> None:
    svg = DRAWN[name](HOSTILE)
    root = read(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "<script" not in svg
    assert "alert" in "".join(root.itertext()) + (root.get("aria-label") or "")


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN.keys())
def test_every_colour_is_an_ink_that_the_page_can_set_anew(draw: Draw) -> None:
    used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', draw("Loyal"))) - {"none", "transparent"}
    assert used
    assert used <= {*charts.INK.values(), *STAGE_INK.values()}


def test_no_two_inks_are_the_same_colour() -> None:
    inks = [*charts.INK.values(), *STAGE_INK.values()]
    assert len(set(inks)) == len(inks)
    assert not set(charts.INK) & set(STAGE_INK)


def bands(svg: Markup) -> dict[str, tuple[float, float]]:
    """Return how wide each band of a flow is at its two ends, by its title."""
    actual = {}
    for path in read(svg).iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"[\d.]+", path.get("d") or "")]
        # M left,a C ... right,b V b_end C ... left,a_end Z
        start, end, end_below, start_below = numbers[1], numbers[7], numbers[8], numbers[-1]
        actual[path.findtext(f"{SVG}title") or ""] = (start_below - start, end_below - end)
    return actual


def test_bands_are_as_wide_as_customers_went_that_way() -> None:
    actual = bands(flow_diagram(FLOW, stages(), DATES))
    assert set(actual) == {
        "Not yet known → New: 400",
        "New → Loyal: 1,250",
        "New → Lost: 250",
        "Loyal → Loyal: 750",
    }
    per_customer = actual["New → Loyal: 1,250"][0] / 1250
    for title, ends in actual.items():
        customers = int(title.split(": ")[1].replace(",", ""))
        assert ends == pytest.approx((customers * per_customer,) * 2, abs=0.2)


def test_the_stages_of_a_flow_say_how_many_stood_there_and_what_changed() -> None:
    result = words(flow_diagram(FLOW, stages(), DATES))
    assert result == [
        "2011-06-01",
        "Not yet known 400",
        "New 1,500",
        "Loyal 750",
        "2011-12-09",
        "New 400 (−1,100)",
        "Loyal 2,000 (+1,250)",
        "Lost 250 (+250)",
    ]


def test_the_stages_of_a_flow_stand_apart_however_few_are_on_them() -> None:
    few = [
        {"from_stage": stage["id"], "to_stage": stage["id"], "customers": 1} for stage in stages()
    ]
    few[0]["customers"] = 1_000_000
    root = read(flow_diagram(few, stages(), DATES))
    heights = [
        float(text.get("y") or 0)
        for text in root.iter(f"{SVG}text")
        if text.get("text-anchor") == "end"
    ]
    gaps = [below - above for above, below in pairwise(heights[1:])]
    assert min(gaps) >= 15
    assert max(heights) < float(root.get("height") or 0)


def test_the_history_names_stages_with_customers_and_its_months() -> None:
    rows = [row | {"customers": 0} if row["stage"] == "prospect" else row for row in HISTORY]
    svg = stage_history(rows, stages())
    result = words(svg)
    assert {"New", "Loyal", "Lost", "2011-01", "2011-11"} <= set(result)
    assert "Prospect" not in result
    assert "in the last: New 1,201, Loyal 1,202, Lost 1,203" in (read(svg).get("aria-label") or "")


def test_weeks_are_written_with_their_day() -> None:
    rows = [
        {"period_start": day, "stage": "new", "customers": 5}
        for day in ("2011-08-01", "2011-08-08")
    ]
    assert {"2011-08-01", "2011-08-08"} <= set(words(stage_history(rows, stages())))


def test_cohorts_show_their_size_and_every_share_but_the_first() -> None:
    result = words(cohort_grid(COHORTS))
    assert {"2011-01 (1,001)", "2011-04 (1,004)", "35%", "20%"} <= set(result)
    assert "100%" not in result
    assert sum(word.endswith("%") for word in result) == 10
    # one that has no later period yet has nothing to show
    assert not any("2011-05" in word for word in result)


def test_of_many_cohorts_the_last_thirteen_are_shown() -> None:
    rows = [
        {
            "cohort": f"{2000 + year}-01-01",
            "customers": 9,
            "age": age,
            "retention": 0.5,
            "complete": True,
        }
        for year in range(30)
        for age in range(30 - year)
    ]
    result = words(cohort_grid(rows))
    shown = [word for word in result if word.endswith("(9)")]
    assert shown == [f"{year}-01 (9)" for year in range(2016, 2029)]
    assert "13" in result
    assert "14" not in result


def test_repeat_bars_say_their_shares_and_draw_the_intervals_that_are_known() -> None:
    svg = repeat_bars(REPEAT)
    assert {"31%", "57%", "2", "3"} <= set(words(svg))
    assert "4" not in words(svg)
    assert svg.count('stroke-width="1.5"') == 1


def test_spells_say_their_median_or_that_it_is_not_known_yet() -> None:
    result = words(spell_bars(SPELLS, stages()))
    assert {"41 days", "1 day", "most are still there"} <= set(result)
    assert "Prospect" not in result
    assert [word for word in result if word in {"New", "Loyal", "Lost"}] == ["New", "Loyal", "Lost"]


def test_stages_of_a_scheme_have_colours_of_their_own() -> None:
    eight = [{"id": f"a{n}", "title": "x", "state": "active"} for n in range(5)]
    eight += [{"id": f"p{n}", "title": "x", "state": "prospect"} for n in range(3)]
    eight += [{"id": f"l{n}", "title": "x", "state": "lapsed"} for n in range(3)]
    actual = stage_colours(eight)
    assert len(set(actual.values())) == 11
    assert actual["p0"] == charts.INK["chart-prospect"]
    assert (
        stage_colours([*eight, {"id": "odd", "title": "x", "state": "other"}])["odd"]
        == actual["a0"]
    )


def test_stages_of_one_title_are_told_apart_by_their_id() -> None:
    same = [
        {"id": "a", "title": "Active", "state": "active"},
        {"id": "b", "title": "Active", "state": "active"},
    ]
    assert stage_titles(same) == {"a": "Active (a)", "b": "Active (b)"}

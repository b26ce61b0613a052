"""Learned points: those of the truth are recovered, signs hold, and what is written is read
back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.attributes import Texts
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.leads import LeadEvents
from stagecast.training.lead_points.grades import GradeTarget
from stagecast.training.lead_points.learning import learn_points
from stagecast.training.lead_points.points import PointsTable, Rule, parse_points
from stagecast.training.lead_points.scoring import score_points
from tests.training.leads.made import constant, day, events_of

START = PointsTable(
    (
        Rule("enquiry", 1.0, half_life_days=60, most=3),
        Rule("visit", 1.0, half_life_days=60, most=3),
        Rule("unsubscribe", -5.0),
        Rule("purchase", 40.0),
    )
)


def simulated(count: int, seed: int) -> tuple[LeadEvents, Texts]:
    """Return leads of whom an enquiry doubles the odds of buying, a visit lowers them, a webinar
    quadruples them.
    """
    random = np.random.default_rng(seed)
    log: dict[str, list[tuple[float, str]]] = {}
    origin = random.integers(0, 2, count)
    for k in range(count):
        enquiries, visits, webinars, left = (int(random.integers(0, 2)) for _ in range(4))
        begins = float(random.uniform(0, 95))
        rows = [(begins, "signup")]
        rows += [(begins + 0.1, "enquiry")] * enquiries + [(begins + 0.2, "visit")] * visits
        rows += [(begins + 0.3, "webinar")] * webinars + [(begins + 0.4, "unsubscribe")] * left
        odds = 0.05 * 2.0**enquiries * 0.5**visits * 4.0**webinars * 0.5**left * 2.0 ** origin[k]
        if random.random() < odds / (1 + odds):
            rows.append((float(random.uniform(100, 129)), "purchase"))
        log[f"c{k}"] = rows
    # somebody sells before, so that the date is one at which leads could buy
    log["first"] = [(1.0, "purchase")]
    return events_of(log), np.array(
        [*("near" if o else "far" for o in origin), "near"], dtype=object
    )


def test_points_are_those_of_the_odds_and_keep_their_signs() -> None:
    events, origin = simulated(6_000, seed=1)
    learned = learn_points(START, events, day(130), 30, {"origin": origin}, [day(100)])
    points = {rule.event: rule.points for rule in learned.table.rules}
    decay = 0.5 ** (52 / 60)  # of leads 5 to 100 days old
    assert points["enquiry"] == pytest.approx(10 / decay, abs=5)
    assert points["unsubscribe"] == pytest.approx(-10, abs=3)
    # visits lower the odds, but are told to speak for a lead: no points rather than points against
    assert points["visit"] == 0
    # not in the table it starts from: learned with either sign
    assert points["webinar"] > 20
    assert points["purchase"] == 40.0
    assert "purchase" in learned.as_started
    worth = learned.table.attributes["origin"]
    assert worth["near"] - worth["far"] == pytest.approx(10, abs=3)


def test_points_tell_the_probability() -> None:
    events, origin = simulated(6_000, seed=2)
    learned = learn_points(START, events, day(130), 30, {"origin": origin}, [day(100)])
    scale = learned.table.scale
    assert scale is not None
    points = score_points(learned.table, events, day(100), {"origin": origin}).points[:-1]
    p = np.array([scale.probability(float(item)) for item in points])
    bought = events.first_instants_of("purchase")[:-1] < np.iinfo(np.int64).max
    assert p.mean() == pytest.approx(bought.mean(), rel=0.08)
    best = p > np.quantile(p, 0.9)
    assert p[best].mean() == pytest.approx(bought[best].mean(), rel=0.2)
    assert bought[best].mean() > 2 * bought.mean()


def test_what_is_written_is_read_back() -> None:
    events, origin = simulated(3_000, seed=3)
    learned = learn_points(START, events, day(130), 30, {"origin": origin}, [day(100)])
    text = learned.toml()
    assert parse_points(text) == learned.table
    assert "10 points double the odds of a first purchase within 30 days" in text
    assert f"{learned.conversions:,} bought" in text


def test_a_grade_in_points_becomes_the_share_that_had_them() -> None:
    events, _ = simulated(3_000, seed=6)
    start = replace(START, mql=GradeTarget("points", 0.5), sql=GradeTarget("best", 7))
    learned = learn_points(start, events, day(130), 30, dates=[day(100)])
    before = score_points(start, events, day(100)).points[:-1]
    assert learned.table.mql == GradeTarget("share", round(float((before >= 0.5).mean()), 4))
    assert learned.table.sql == GradeTarget("best", 7)
    unreached = replace(START, mql=GradeTarget("points", 500))
    assert learn_points(unreached, events, day(130), 30, dates=[day(100)]).table.mql is None


@pytest.mark.slow
def test_past_dates_are_chosen_where_leads_could_buy() -> None:
    events, _ = simulated(3_000, seed=4)
    chosen = learn_points(START, events, day(130), 30)
    by_hand = learn_points(START, events, day(130), 30, dates=[day(100 - 30 * k) for k in range(4)])
    assert chosen == by_hand
    assert chosen.leads > 2_000


def test_few_conversions_are_refused_with_the_count() -> None:
    events = events_of({f"c{k}": [(0.0, "visit"), (50.0, "purchase")] for k in range(10)})
    with pytest.raises(
        NotEnoughDataError, match=r"10 of 10 open leads at 1 past dates bought within 30 days"
    ):
        learn_points(START, events, day(79), 30, dates=[day(49)])
    with pytest.raises(NotEnoughDataError, match="0 of 0 open leads"):
        learn_points(START, events_of({"a": [(0.0, "visit")]}), day(90), 30)


def test_a_date_whose_horizon_is_not_over_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"30 days after 2024-03-31 is not over at the as_of 2024-04-20; .*2024-03-21",
    ):
        learn_points(START, events_of({"a": [(0.0, "visit")]}), day(110), 30, dates=[day(90)])


def test_a_channel_of_few_leads_gets_no_points() -> None:
    events, _ = simulated(3_000, seed=5)
    rare = constant("usual", len(events.customers))
    rare[:5] = "rare"
    learned = learn_points(START, events, day(130), 30, {"origin": rare}, [day(100)])
    assert "origin" not in learned.table.attributes

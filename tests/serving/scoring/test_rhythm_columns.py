"""How late a customer is against the own rhythm: worked out anew from the dates of the orders."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.store.queries import Filters, Order
from tests.serving import published
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day

DAYS = 600


@pytest.fixture(scope="module")
def scorer(shop: Trained) -> Scorer:  # noqa: F811
    return Scorer(shop.reloaded())


def customer(customer_id: str, *days: float) -> CustomerEvents:
    return CustomerEvents(customer_id, tuple(Event(day(d), "purchase", 30.0) for d in days))


def by_hand(days: list[float], as_of: float) -> tuple[float | None, float | None]:
    """Return the usual gap and the days overdue, from the days of orders alone."""
    dates = sorted({math.floor(d) for d in days})
    gaps = [later - earlier for earlier, later in pairwise(dates)]
    if len(gaps) < 2:
        return None, None
    usual = sum(gaps) / len(gaps)
    return usual, max(as_of - dates[-1] - usual, 0.0)


def test_who_orders_every_eleven_days_and_is_silent_for_27_is_16_days_late(scorer: Scorer) -> None:
    score = scorer.score_objects([customer("a", 540.0, 551.0, 562.0, 573.0)], day(DAYS))[0]
    assert (score["usual_gap_days"], score["days_overdue"]) == (11.0, 16.0)


def test_nobody_is_late_within_the_own_gap_or_without_a_rhythm(scorer: Scorer) -> None:
    within = customer("within", 400.0, 480.0, 560.0)
    twice = customer("twice", 590.0, 591.0)
    same_day = customer("same day", 400.1, 400.9, 500.0)
    lead = CustomerEvents("lead", (Event(day(590.0), "visit", None),))
    scores = scorer.score_objects([within, twice, same_day, lead], day(DAYS))
    late = [(score["usual_gap_days"], score["days_overdue"]) for score in scores]
    assert late == [(80.0, 0.0), (None, None), (None, None), (None, None)]


def test_a_batch_and_one_customer_say_what_the_dates_say(scorer: Scorer) -> None:
    draw = np.random.default_rng(17)
    days = {
        f"c{k}": sorted(draw.uniform(200, DAYS, size=int(draw.integers(1, 9))).tolist())
        for k in range(80)
    }
    asked = [customer(name, *on) for name, on in days.items()]
    together = scorer.score_customers(asked, day(DAYS)).to_pylist()
    late = 0
    for each, row in zip(asked, together, strict=True):
        alone = scorer.score_objects([each], day(DAYS))[0]
        usual, overdue = by_hand(days[each.customer_id], DAYS)
        late += bool(overdue)
        for score in (alone, row):
            assert score["usual_gap_days"] == (usual and pytest.approx(usual, rel=1e-12))
            expected = None if overdue is None else pytest.approx(overdue, rel=1e-9, abs=1e-9)
            assert score["days_overdue"] == expected
        assert alone["usual_gap_days"] == row["usual_gap_days"]
        assert alone["days_overdue"] == row["days_overdue"]
    assert 10 < late < 70


def test_a_reason_names_the_same_gap_and_none_where_none_is_usual(scorer: Scorer) -> None:
    draw = np.random.default_rng(5)
    asked = [
        customer(f"c{k}", *draw.uniform(300, 580, size=int(draw.integers(2, 7))).tolist())
        for k in range(120)
    ]
    own = 0
    for score in scorer.score_objects(asked, day(DAYS)):
        for reason in score["reasons"]:
            if reason["code"] == "recency_days.own":
                own += 1
                assert reason["usual"] == score["usual_gap_days"]
    assert own > 10


def test_a_published_list_is_sorted_by_the_days_overdue(tmp_path: Path) -> None:
    late = [4.0, None, 0.0, 9.5, 0.0]
    rows = [
        published.a_score(f"c{k}", np.random.default_rng(k), usual_gap_days=days, days_overdue=days)
        for k, days in enumerate(late)
    ]
    store = published.open_store(tmp_path)
    published.publish(store, published.table(rows))
    run = store.current_run()
    assert run is not None

    def ids(order: str) -> list[str]:
        documents = store.all_customers(run, Filters(), Order.parse(order))
        return [json.loads(document)["customer_id"] for document in documents]

    assert ids("-days_overdue") == ["c3", "c0", "c2", "c4", "c1"]
    assert ids("days_overdue") == ["c2", "c4", "c0", "c3", "c1"]
    store.close()

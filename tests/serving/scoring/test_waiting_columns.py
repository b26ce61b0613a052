"""What it costs to wait, against the scores of the same customers a week later."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.store.queries import Filters, Order
from tests.serving import published
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day

DAYS = 730  # the log of ``shop``


@pytest.fixture(scope="module")
def scorer(shop: Trained) -> Scorer:  # noqa: F811
    return Scorer(shop.reloaded(), with_reasons=False)


@pytest.fixture(scope="module")
def asked() -> list[CustomerEvents]:
    draw = np.random.default_rng(3)
    result = []
    for number in range(150):
        last = draw.uniform(200, DAYS - 1)
        times = [*np.sort(draw.uniform(0, last, size=int(draw.integers(0, 8)))), last]
        events = tuple(Event(day(float(t)), "purchase", 30.0) for t in times)
        result.append(CustomerEvents(f"c{number}", events))
    return [*result, CustomerEvents("lead", (Event(day(590.0), "visit", None),))]


def test_the_loss_is_about_what_the_scores_of_a_week_later_have_lost(
    scorer: Scorer, asked: list[CustomerEvents]
) -> None:
    now, later = (scorer.score_customers(asked, day(DAYS + wait)).to_pandas() for wait in (0, 28))
    active = now["state"] == "active"
    drop = (now["value_at_risk"] - later["value_at_risk"])[active] / 4
    loss = now["loss_per_week"][active]
    assert loss.corr(drop, method="spearman") > 0.6
    assert 0.5 < loss.sum() / drop.sum() < 2.0


def test_prospects_have_no_price_of_waiting(scorer: Scorer, asked: list[CustomerEvents]) -> None:
    lead = scorer.score_objects(asked[-1:], day(DAYS))[0]
    assert (lead["state"], lead["loss_per_week"], lead["window_closes"]) == ("prospect", None, None)


def test_without_amounts_the_window_still_closes(scorer: Scorer) -> None:
    events = (Event(day(500.0), "purchase", None),)
    score = scorer.score_objects([CustomerEvents("a", events)], day(DAYS))[0]
    assert score["loss_per_week"] is None
    assert date.fromisoformat(score["window_closes"]) >= day(DAYS).date()


def test_a_published_list_is_sorted_by_the_loss(tmp_path: Path) -> None:
    rows = [
        published.a_score(
            f"c{k}",
            np.random.default_rng(k),
            loss_per_week=float(k % 3),
            window_closes=date(1998, 1, 1) + timedelta(days=k),
        )
        for k in range(6)
    ]
    store = published.open_store(tmp_path)
    published.publish(store, published.table(rows))
    run = store.current_run()
    assert run is not None

    def ids(order: str) -> list[str]:
        documents = store.all_customers(run, Filters(), Order.parse(order))
        return [json.loads(document)["customer_id"] for document in documents]

    assert ids("-loss_per_week") == ["c2", "c5", "c1", "c4", "c0", "c3"]
    assert ids("window_closes") == [f"c{k}" for k in range(6)]
    store.close()

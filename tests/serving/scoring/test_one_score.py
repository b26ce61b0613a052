"""One customer, one score: alone, in any batch, in any order, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.score_schema import json_rows
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.config import TrainConfig
from tests.serving.web import app_with, client
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day, simulated_rows, trained

DAYS = 730  # the log of ``shop``
KINDS = ("purchase", "visit", "refund", "email_open", "signup")


@pytest.fixture(scope="module")
def scorer(shop: Trained) -> Scorer:  # noqa: F811
    return Scorer(shop.reloaded())


def customers(count: int, seed: int) -> list[CustomerEvents]:
    """Return customers of all sorts: prospects, buyers of one order, refunds, late records."""
    draw = np.random.default_rng(seed)
    result = []
    for number in range(count):
        shares = [0.0, 0.7, 0.0, 0.2, 0.1] if number % 6 == 0 else [0.55, 0.25, 0.08, 0.1, 0.02]
        events = []
        for _ in range(int(draw.integers(1, 40))):
            at = day(float(draw.uniform(0, DAYS - 1)))
            kind = str(draw.choice(KINDS, p=shares))
            amount = round(float(draw.gamma(2.0, 20.0)), 2) if kind in KINDS[::2] else None
            late = at + timedelta(days=40) if draw.random() < 0.05 else None
            channel = str(draw.choice(["web", "shop"])) if draw.random() < 0.3 else None
            events.append(Event(at, kind, None if kind == "email_open" else amount, channel, late))
        events.append(Event(day(3.0 + number % 50), KINDS[number % 6 == 0], 10.0))
        if number % 7 == 3:  # without amounts, whatever the others have
            events = [Event(e.timestamp, e.event, None, e.channel, e.recorded_at) for e in events]
        result.append(CustomerEvents(f"c{number}", tuple(events)))
    return result


def encoded(scorer: Scorer, asked: list[CustomerEvents]) -> dict[str, bytes]:
    scores = scorer.score_objects(asked, day(DAYS))
    assert [score["customer_id"] for score in scores] == [c.customer_id for c in asked]
    return {score["customer_id"]: msgspec.json.encode(score) for score in scores}


@pytest.mark.slow
def test_alone_in_any_batch_and_in_any_order_a_score_has_the_same_bytes(scorer: Scorer) -> None:
    asked = customers(200, seed=1)
    together = encoded(scorer, asked)
    assert len(set(together.values())) == len(asked)
    assert 10 < sum(b'"clv":null' in score for score in together.values()) < 60
    order = np.random.default_rng(2).permutation(len(asked))
    assert encoded(scorer, [asked[k] for k in order]) == together
    for size in (2, 3, 17, 70):
        for start in range(0, len(asked), size):
            part = encoded(scorer, asked[start : start + size])
            assert part == {name: together[name] for name in part}
    for customer in asked:
        assert encoded(scorer, [customer])[customer.customer_id] == together[customer.customer_id]


def test_the_order_of_the_events_does_not_matter(scorer: Scorer) -> None:
    asked = customers(40, seed=4)
    draw = np.random.default_rng(5)
    shuffled = [
        CustomerEvents(c.customer_id, tuple(c.events[k] for k in draw.permutation(len(c.events))))
        for c in asked
    ]
    assert encoded(scorer, shuffled) == encoded(scorer, asked)


def test_the_data_cutoff_of_a_request_is_the_last_event_of_the_customer(scorer: Scorer) -> None:
    early = CustomerEvents("early", (Event(day(10), amount=5.0), Event(day(DAYS + 5), amount=5.0)))
    late = CustomerEvents("late", (Event(day(10), amount=5.0), Event(day(500), "visit")))
    scores = scorer.score_objects([early, late], day(DAYS))
    cutoffs = [score["data_cutoff"] for score in scores]
    assert cutoffs == [day(d).isoformat().replace("+00:00", "Z") for d in (10, 500)]
    table = scorer.score_customers([early, late], day(DAYS))
    assert table["data_cutoff"].to_pylist() == [day(10), day(500)]


@pytest.mark.parametrize("pick", [lambda c: c[:1], lambda c: c], ids=["one", "many"])
def test_objects_are_the_rows_of_the_table(
    scorer: Scorer, pick: Callable[[list[CustomerEvents]], list[CustomerEvents]]
) -> None:
    asked = pick(customers(120, seed=9))
    rows = list(json_rows(scorer.score_customers(asked, day(DAYS))))
    objects = scorer.score_objects(asked, day(DAYS))
    assert msgspec.json.encode(objects) == msgspec.json.encode(rows)
    assert [list(score) for score in objects] == [list(score) for score in rows]


def test_without_reasons_all_else_is_the_same(scorer: Scorer) -> None:
    asked = customers(30, seed=12)
    reasons = {"reasons", "risk_base", "risk_rest"}
    full = scorer.score_objects(asked, day(DAYS))
    bare = scorer.score_objects(asked, day(DAYS), with_reasons=False)
    assert any(score["reasons"] for score in full)
    for score, other in zip(full, bare, strict=True):
        assert other["reasons"] == []
        assert list(other) == list(score)
        assert {k: v for k, v in other.items() if k not in reasons} == {
            k: v for k, v in score.items() if k not in reasons
        }


@pytest.mark.slow
def test_a_request_counts_equal_events_as_the_log_of_the_training(
    scorer: Scorer, tmp_path: Path
) -> None:
    """The score over HTTP is that of the log, with two equal orders on one day and without."""
    days = 300
    rows = simulated_rows(150, days, seed=33)
    name, at, kind, amount = next(row for row in rows if row[2] == "purchase")
    for twice in (False, True):
        log = [*rows, (name, at, kind, amount)] if twice else rows
        done = trained(log, tmp_path / f"model {twice}", day(days), TrainConfig(max_dates=1))
        assert done.bundle.card["equal_events"] == ("each" if twice else "one")
        offline = {score["customer_id"]: score for score in json_rows(done.scores())}[name]
        body = {
            "as_of": day(days).isoformat(),
            "customers": [
                {
                    "customer_id": name,
                    "events": [
                        {"timestamp": t.isoformat(), "event": e, "amount": money}
                        for customer, t, e, money in log
                        if customer == name
                    ],
                }
            ],
        }
        app = app_with(tmp_path, scorer=Scorer(done.reloaded()))  # type: ignore[arg-type]
        with client(app) as api:
            (online,) = api.post("/v1/score", json=body).json()["scores"]
        assert online["spend"] == offline["spend"]
        assert online.pop("warnings") == []
        assert {**online, "data_cutoff": None} == {**offline, "data_cutoff": None}

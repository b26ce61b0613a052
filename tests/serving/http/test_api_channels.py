"""``GET /v1/channels``: the stored table of the current run, beside what kept customers cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.describe.channels.costs import Cost, Costs
from stagecast.features.describe.channels.origins import group_by
from stagecast.features.describe.channels.rows import Buyers
from stagecast.features.describe.channels.table import channel_table
from stagecast.features.record import PurchaseDays
from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.kept_costs import KeptCost, kept_costs
from stagecast.serving.store.plan_tables import plans, readouts
from tests.serving import published, web

NOW = datetime(1998, 1, 1, tzinfo=UTC)


def body() -> dict[str, Any]:
    at, day = microseconds(NOW), DAY_MICROSECONDS
    first = at - np.arange(1, 41) * day
    days = PurchaseDays(np.arange(40), first // day, np.full(40, 12.0), first)
    texts = np.array(["search", "mail"] * 20, dtype=object)
    groups = group_by(texts, "channel", np.ones(40, dtype=bool))
    costs = Costs((Cost("mail", int(first.min() // day), int(at // day), 100.0),))
    return channel_table(groups, Buyers(at, days, first), costs).to_json()


def a_plan(engine: sa.Engine, name: str, total: dict[str, float] | None, *, closed: bool) -> None:
    """Store a plan with a read-out; of the read-out only what is read here."""
    buyers = None if total is None else {"comparison": {"adjusted": {"total": total}}}
    with engine.begin() as connection:
        plan_id = connection.execute(
            plans.insert().values(
                name=name, owner="me", state="closed", run_id=1, as_of=NOW, starts_at=NOW,
                window_days=30, created_at=NOW, request={}, proposal={},
            )
        ).inserted_primary_key[0]  # fmt: skip
        result = {"buyers": buyers, "contacted": 500, "cost": 250.0}
        connection.execute(
            readouts.insert().values(
                plan_id=plan_id, read_at=NOW, data_until=NOW, closed=closed, result=result
            )
        )


def interval(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "low": low, "high": high}


@pytest.fixture
def store(tmp_path) -> Iterator[Any]:
    opened = published.open_store(tmp_path)
    yield opened
    opened.close()


def test_without_a_stored_table_the_answer_says_how_to_store_one(tmp_path, store):
    published.put(store, published.scores(5))
    with web.client(web.app_with(tmp_path, store=store)) as api:
        answer = api.get("/v1/channels")
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("no-channels")
        assert "stagecast channels EVENTS" in answer.json()["detail"]


@pytest.mark.slow
def test_the_table_of_the_current_run_is_answered_as_it_is_described(tmp_path, store):
    run_id = published.put(store, published.scores(5))
    store_channels(store.engine, run_id, "channel", body())
    a_plan(store.engine, "spring", interval(25.0, 10.0, 50.0), closed=True)
    with web.client(web.app_with(tmp_path, store=store)) as api:
        answer = api.get("/v1/channels").json()
        schemas = api.get("/openapi.json").json()["components"]["schemas"]
        missing = api.get("/v1/channels", params={"by": "chanel"})
    properties = schemas["ChannelList"]["properties"]
    assert set(answer) == set(properties)
    assert answer["as_of"] == "1998-01-01T00:00:00Z"
    mail = answer["groups"][0]
    assert set(mail) == set(properties["groups"]["items"]["properties"])
    assert set(answer["cohorts"][0]) == set(properties["cohorts"]["items"]["properties"])
    assert (mail["first_seen_in"], mail["cac"]["value"]) == ("mail", 5.0)
    assert set(mail["cac"]) == set(schemas["Figure"]["properties"])
    assert set(mail["payback"]) == set(schemas["Payback"]["properties"])
    (kept,) = answer["keeping"]
    assert set(kept) == set(properties["keeping"]["items"]["properties"])
    assert kept["cost_per_kept"] == {"value": 10.0, "low": 5.0, "high": 25.0}
    assert missing.status_code == 404
    assert "Did you mean 'channel'?" in missing.json()["detail"]


def test_a_table_of_an_earlier_run_is_not_that_of_the_current_one(tmp_path, store):
    first = published.put(store, published.scores(5, as_of=NOW.replace(year=1997)))
    store_channels(store.engine, first, "channel", body())
    published.publish(store, published.scores(5))
    with web.client(web.app_with(tmp_path, store=store)) as api:
        assert api.get("/v1/channels").status_code == 404


def test_storing_again_replaces_the_table(store):
    run_id = published.put(store, published.scores(5))
    store_channels(store.engine, run_id, "channel", {"n": 1})
    store_channels(store.engine, run_id, "channel", {"n": 2})
    from stagecast.serving.store.channels import stored_channels

    assert stored_channels(store.engine, run_id) == {"channel": {"n": 2}}


def test_only_plans_that_are_over_and_count_buyers_say_what_keeping_costs(store):
    a_plan(store.engine, "open", interval(25.0, 10.0, 50.0), closed=False)
    a_plan(store.engine, "alike", None, closed=True)
    assert kept_costs(store.engine) == []
    a_plan(store.engine, "over", interval(25.0, 10.0, 50.0), closed=True)
    assert [cost.plan for cost in kept_costs(store.engine)] == ["over"]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((20.0, 10.0, 40.0), (5.0, 2.5, 10.0)),
        # perhaps nobody was kept: no sum of money is certainly enough
        ((20.0, -4.0, 40.0), (5.0, 2.5, None)),
        ((-2.0, -9.0, 5.0), (None, 20.0, None)),
        ((-5.0, -9.0, -1.0), (None, None, None)),
    ],
)
def test_the_cost_per_kept_customer_has_no_upper_end_where_perhaps_nobody_was_kept(kept, expected):
    per = KeptCost("p", NOW, 500, 100.0, *kept).per_kept()
    assert (per["value"], per["low"], per["high"]) == expected

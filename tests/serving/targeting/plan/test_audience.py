"""Who passes the least value of an audience: by what can be moved, in the store as in memory."""

from __future__ import annotations

import pytest

from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.audience import passes
from stagecast.serving.targeting.plan.sources import read_candidates
from stagecast.serving.targeting.plan.terms import Audience
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published
from tests.serving.store.test_store import DATABASES, new_database  # noqa: F401
from tests.serving.targeting.plan.making import columns_of, customer

pytestmark = pytest.mark.slow
LEAST = 20.0


def movable(score) -> float:
    """Return what Home orders the plays by, of one customer."""
    if score["state"] == "active":
        return score["value_at_risk"] or 0.0
    if score["state"] == "lapsed":
        return (score["value_gone"] or 0.0) * score["p_return"]
    return 0.0


@pytest.mark.parametrize("database", DATABASES)
def test_the_least_value_is_of_what_can_be_moved(database, new_database):  # noqa: F811
    store = Store.open(new_database(database))
    scored = published.scores(200)
    published.publish(store, scored)
    rows = scored.to_pylist()
    expected = [row["customer_id"] for row in rows if movable(row) >= LEAST]
    assert 0 < len(expected) < len(rows)
    audience = Audience(min_value=LEAST)
    with store.engine.connect() as connection:
        chosen = read_candidates(connection, 1, audience)
        everybody = read_candidates(connection, 1, Audience())
    store.close()
    assert chosen.customer_id.tolist() == expected
    assert everybody.customer_id[passes(everybody, audience)].tolist() == expected


def test_what_is_gone_for_good_does_not_count():
    rows = [
        customer("kept", value_at_risk=30.0, value_gone=0.0),
        customer("safe", value_at_risk=10.0, value_gone=500.0),
        customer("back", state="lapsed", value_at_risk=None, value_gone=100.0, p_inactive=0.75),
        customer("lost", state="lapsed", value_at_risk=None, value_gone=100.0, p_inactive=0.95),
        customer("new", state="prospect", value_at_risk=None, value_gone=None, p_inactive=None),
    ]
    customers = columns_of(rows)  # in the order of their ids
    chosen = customers.customer_id[passes(customers, Audience(min_value=LEAST))]
    assert chosen.tolist() == ["back", "kept"]

"""The last events of customers in the store: with the newest run alone, and gone with what they
are of.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from stagecast.serving.store import publishing
from stagecast.serving.store.timelines import DayEvents, Past, past_of_customer, timelines
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published
from tests.serving.store.test_store import new_store, store  # noqa: F401

pytestmark = pytest.mark.slow

LATER = datetime(1998, 4, 1, tzinfo=UTC)
TEXT = '[3,["1997-12-30","purchase",2,15.25],["1997-12-01","we\\"ird",1,null]]'


def past_of(customers: int) -> list[list[tuple[str, str]]]:
    names = [*(f"c{i:04d}" for i in range(customers)), *published.HOSTILE_IDS]
    rows = [(name, TEXT) for name in names]
    return [rows[:7], rows[7:]]


def publish(store, customers=30, as_of=published.AS_OF, past=True):  # noqa: F811
    scored = published.scores(customers, as_of=as_of, extra=published.HOSTILE_IDS)
    return published.publish(store, scored, past_of(customers) if past else ())


def rows_by_run(store) -> dict[int, int]:  # noqa: F811
    count = sa.select(timelines.c.run_id, sa.func.count()).group_by(timelines.c.run_id)
    with store.engine.connect() as connection:
        return dict(connection.execute(count).all())


def test_events_come_back_as_they_were_stored(store):  # noqa: F811
    run = publish(store)
    expected = Past(
        (
            DayEvents("1997-12-30", "purchase", 2, 15.25),
            DayEvents("1997-12-01", 'we"ird', 1, None),
        ),
        3,
    )
    for name in ("c0029", *published.HOSTILE_IDS):
        assert past_of_customer(store.engine, run, name) == expected
    assert past_of_customer(store.engine, run, "nobody") is None


def test_only_the_newest_run_has_events(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr("stagecast.serving.store.timelines.CHUNK_ROWS", 5)
    first = publish(store)
    second = publish(store, 20, LATER)
    assert rows_by_run(store) == {second: 28}
    assert past_of_customer(store.engine, first, "c0001") is None
    publish(store, 20, LATER, past=False)  # from a file of scores
    assert rows_by_run(store) == {}


def test_events_of_an_interrupted_publication_are_deleted_and_the_former_stay(
    store,  # noqa: F811
    monkeypatch,
):
    first = publish(store)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(publishing, "_make_current", stop)
        with pytest.raises(KeyboardInterrupt):
            publish(store, 20, LATER)
        assert rows_by_run(store) == {first: 38}
        # a process that is killed deletes nothing itself
        stopped.setattr(publishing, "discard_run", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            publish(store, 20, LATER)
    assert len(rows_by_run(store)) == 2
    third = publish(store, 10, LATER)
    assert rows_by_run(store) == {third: 18}


def test_an_erased_customer_has_no_events(store):  # noqa: F811
    run = publish(store)
    assert store.erase("c0003") == 3  # score, document, events
    assert past_of_customer(store.engine, run, "c0003") is None
    assert store.forget("c0004") is not None
    assert past_of_customer(store.engine, run, "c0004") is None
    assert rows_by_run(store) == {run: 36}

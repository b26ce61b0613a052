"""Token buckets, in memory and over workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.serving.keys.buckets import BUCKETS_MAX, LocalBuckets, Rate, take_shared
from stagecast.serving.keys.limits import FAILURES, FailureLimit, RequestLimit
from tests.postgres import postgres_url  # noqa: F401
from tests.serving.keys.databases import engine  # noqa: F401

RATE = Rate(capacity=3, per_second=0.5)


def test_a_bucket_of_three_gives_three_and_then_one_in_two_seconds():
    buckets = LocalBuckets(RATE)
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert buckets.take("a", 101.0) == 1.0
    assert [buckets.take("a", 102.0) for _ in range(2)] == [0, 2.0]
    assert buckets.take("b", 102.0) == 0


def test_the_shared_bucket_does_what_the_local_one_does(engine):  # noqa: F811
    local = LocalBuckets(RATE)
    for now in (100.0, 100.0, 100.0, 100.0, 101.0, 102.0, 102.5, 101.0, 110.0, 110.0):
        waits = (local.take("a", now), take_shared(engine, RATE, "test:a", now))
        assert waits[0] == pytest.approx(waits[1])


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=60).map(sorted),
    st.floats(1, 20),
    st.floats(0.01, 5),
)
def test_no_window_has_more_than_the_capacity_and_what_was_added(instants, capacity, rate):
    buckets = LocalBuckets(Rate(capacity, rate))
    taken = [at for at in instants if buckets.take("a", at) == 0]
    for k, begin in enumerate(taken):
        for number, end in enumerate(taken[k:], start=1):
            assert number <= capacity + (end - begin) * rate + 1e-6


def test_the_buckets_of_a_worker_are_bounded():
    buckets = LocalBuckets(RATE)
    for number in range(BUCKETS_MAX + 500):
        buckets.take(str(number), 0.0)
    assert len(buckets._buckets) == BUCKETS_MAX


def test_a_token_that_is_given_back_can_be_taken_again_and_none_is_made():
    buckets = LocalBuckets(RATE)
    for _ in range(100):
        assert buckets.take("a", 0.0) == 0
        buckets.give_back("a", 0.0)
        buckets.give_back("a", 0.0)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 2.0]


def test_wrong_keys_are_counted_over_workers(engine):  # noqa: F811
    workers = [FailureLimit(), FailureLimit(), FailureLimit()]
    for worker in workers:
        worker.attach(engine, b"secret")
    answered = 0
    for number in range(3_000):
        worker = workers[number % 3]
        if worker.before("203.0.113.9", 1e9):
            continue
        wait = worker.wrong("203.0.113.9", 1e9)
        if wait:
            worker.block("203.0.113.9", 1e9, wait)
        else:
            answered += 1
    assert answered == FAILURES.capacity
    assert workers[0].before("203.0.113.10", 1e9) == 0


def test_the_store_has_no_address(engine):  # noqa: F811
    limit = FailureLimit()
    limit.attach(engine, b"secret")
    limit.before("203.0.113.9", 1e9)
    limit.wrong("203.0.113.9", 1e9)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM rates").all()
    assert len(rows) == 1
    assert "203" not in rows[0].name


def test_rows_of_full_buckets_are_removed(engine):  # noqa: F811
    for number in range(20):
        take_shared(engine, RATE, f"test:{number}", 100.0)
    take_shared(engine, RATE, "other:1", 100.0)
    take_shared(engine, RATE, "test:last", 107.0)  # a bucket of 3 is full after 6 s
    with engine.connect() as connection:
        names = {row.name for row in connection.exec_driver_sql("SELECT * FROM rates")}
    assert names == {"other:1", "test:last"}


def test_requests_of_a_key_are_counted_over_workers_with_few_writes(engine):  # noqa: F811
    workers = [RequestLimit(100), RequestLimit(100)]
    for worker in workers:
        worker.attach(engine)
    leases = passed = 0
    for number in range(400):
        worker = workers[number % 2]
        wait = worker.take("k", 1e9)
        if not wait and worker.needs_lease("k"):
            leases += 1
            wait = worker.lease("k", 1e9)
            if wait:
                worker.block("k", 1e9, wait)
        passed += not wait
    assert passed == 100
    assert leases <= 100 / 5 + 4


@pytest.mark.slow
def test_a_store_that_is_busy_leaves_the_count_to_the_worker(engine):  # noqa: F811
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("DELETE FROM rates")
        else:
            connection.exec_driver_sql("LOCK TABLE rates IN ACCESS EXCLUSIVE MODE")
        assert take_shared(engine, RATE, "test:a", 100.0) is None
    assert take_shared(engine, RATE, "test:a", 100.0) == 0

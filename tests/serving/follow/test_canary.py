"""A new model that answers a share of the customers: who they are, what they get, and the end."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.follow import canary as canary_module
from stagecast.serving.follow.beside import COUNTS, PAIRS, Counts
from stagecast.serving.follow.canary import (
    Canary,
    RolledBackError,
    SupersededError,
    Trial,
    wait_for_verdict,
)
from stagecast.serving.follow.follower import Follower
from stagecast.serving.follow.limits import Limits
from stagecast.serving.follow.sources import FolderSource
from tests.serving import published, web
from tests.serving.follow.test_limits import compared
from tests.waiting import LIMIT_SECONDS, wait_until

NAMES = [f"c{number}" for number in range(400)]


def trial_in(folder, share=0.5, key="ab" * 16):
    reports = folder / "reports"
    reports.mkdir(exist_ok=True)
    return Trial(folder / "new", folder / "old", reports, share, key, datetime.now(UTC))


class Versioned(web.FakeScorer):
    """A scorer of a version, which fails at the customers whom it is told."""

    def __init__(self, version, fails=(), error=None):
        super().__init__()
        self.model_version, self.fails, self.failure = version, set(fails), error

    def score_objects(self, customers, as_of, *, with_reasons=True):
        if any(customer.customer_id in self.fails for customer in customers):
            raise self.failure
        rows = super().score_objects(customers, as_of)
        return [{**row, "model_version": self.model_version} for row in rows]


def test_a_customer_stays_with_a_model_and_about_the_share_is_the_new_ones(tmp_path):
    trial = trial_in(tmp_path, 0.05)
    names = [f"customer {number}" for number in range(20_000)]
    chosen = {name for name in names if trial.takes(name)}
    assert len(chosen) == pytest.approx(1_000, abs=150)  # five standard errors
    # in every worker, whatever is sent there
    assert chosen == set(filter(Trial.from_json(trial.to_json()).takes, names))
    # another canary has other customers, or the same ones would meet each new model
    other = set(filter(trial_in(tmp_path, 0.05, "cd" * 16).takes, names))
    assert len(chosen & other) < 150


@pytest.fixture
def served(tmp_path):
    """Give what starts a server with a canary: the client, the canary, names of its customers."""
    store = published.open_store(tmp_path)
    stack = []

    def start(new, old=None):
        app = web.app_with(tmp_path, store=store, scorer=old or Versioned("old"))
        state, trial = app.state.stagecast, trial_in(tmp_path)
        opened = web.client(app)
        api = opened.__enter__()
        stack.append(opened)
        state.canary = Canary(trial, new)
        chosen = {name for name in NAMES if trial.takes(name)}
        return api, state.canary, chosen

    yield start
    for opened in stack:
        opened.__exit__(None, None, None)
    store.close()


def body_of(names):
    events = [{"timestamp": "1997-06-01"}]
    return {"customers": [{"customer_id": name, "events": events} for name in names]}


def versions(answer):
    return {row["customer_id"]: row["model_version"] for row in answer.json()["scores"]}


@pytest.mark.parametrize("query", ["", "?strict=false", "?reasons=false"])
def test_alone_and_among_others_a_customer_has_the_same_model(served, query):
    api, canary, chosen = served(Versioned("new"))
    expected = {name: "new" if name in chosen else "old" for name in NAMES[:40]}
    assert set(expected.values()) == {"new", "old"}
    for name in NAMES[:6]:
        answer = api.post(f"/v1/score{query}", json=body_of([name]))
        assert versions(answer) == {name: expected[name]}
        assert answer.json()["model_version"] == expected[name]
    together = api.post(f"/v1/score{query}", json=body_of(NAMES[:40]))
    assert list(versions(together)) == NAMES[:40]
    assert versions(together) == expected
    assert together.json()["model_version"] == "old"
    count = sum(name in chosen for name in [*NAMES[:6], *NAMES[:40]])
    assert canary.beside.counts.answered == count
    assert canary.beside.counts.errors == {}


@pytest.mark.parametrize("query", ["", "?strict=false"])
@pytest.mark.parametrize(
    ("error", "kind"), [(KeyError("secret"), "KeyError"), (UsageError("not me"), "refused")]
)
def test_where_the_new_model_fails_the_old_one_answers_and_it_is_counted(
    served, query, error, kind
):
    api, canary, chosen = served(Versioned("new", NAMES, error))
    name = min(chosen)
    alone = api.post(f"/v1/score{query}", json=body_of([name]))
    assert (alone.status_code, versions(alone)) == (200, {name: "old"})
    assert canary.beside.counts.errors == {kind: 1}
    together = api.post(f"/v1/score{query}", json=body_of(NAMES[:40]))
    assert set(versions(together).values()) == {"old"}
    assert list(versions(together)) == NAMES[:40]
    failed = 1 + sum(name in chosen for name in NAMES[:40])
    assert canary.beside.counts.errors == {kind: failed}
    assert canary.beside.counts.answered == 0


@pytest.mark.parametrize("query", ["", "?strict=false"])
def test_what_both_refuse_is_refused_in_the_same_words_and_is_no_failure_of_the_new_model(
    served, query
):
    refused = UsageError("no customer like this")
    fails = {name: Versioned(name, NAMES[:3], refused) for name in ("new", "old")}
    api, canary, chosen = served(fails["new"], fails["old"])
    with_canary = [
        api.post(f"/v1/score{query}", json=body_of(names))
        for names in ([NAMES[0]], [NAMES[1]], [NAMES[2]], NAMES[:40])
    ]
    canary_of = canary
    assert canary_of.beside.counts.errors == {}
    if not query:
        assert {answer.status_code for answer in with_canary} == {422}
    else:
        assert [e["position"] for e in with_canary[-1].json()["errors"]] == [0, 1, 2]
        assert len(versions(with_canary[-1])) == 37
    assert chosen


def test_a_body_that_cannot_be_read_is_refused_as_ever(served):
    api, canary, _ = served(Versioned("new"))
    for text in ("{", '{"customers": 7}', '{"customers": [{"customer_id": 7, "events": []}]}'):
        assert api.post_text("/v1/score", text).status_code in (400, 422)
    assert canary.beside.counts.errors == {}


def write(trial, name, content):
    (trial.reports / name).write_bytes(msgspec.json.encode(content))


def go_on(times=10_000):
    return iter([True] * times + [False]).__next__


def test_enough_customers_within_the_limits_are_a_promotion(tmp_path):
    trial = trial_in(tmp_path)
    limits = Limits(customers=200, minutes=0)
    write(trial, f"1{PAIRS}", compared(200))
    wait_for_verdict(trial, limits, goes_on=go_on())


def test_too_few_customers_or_minutes_are_none(tmp_path):
    trial = trial_in(tmp_path)
    write(trial, f"1{PAIRS}", compared(199))
    with pytest.raises(SupersededError):
        wait_for_verdict(trial, Limits(customers=200, minutes=0), goes_on=go_on(2))
    write(trial, f"1{PAIRS}", compared(200))
    with pytest.raises(SupersededError):
        wait_for_verdict(trial, Limits(customers=200, minutes=60), goes_on=go_on(2))


def test_a_shift_is_rolled_back_before_all_customers_are_compared(tmp_path):
    trial = trial_in(tmp_path, 0.05)
    write(trial, f"1{PAIRS}", compared(120, shift=3.0))
    with pytest.raises(RolledBackError, match=r"rolled back from 5.0% .*PSI"):
        wait_for_verdict(trial, Limits(), goes_on=go_on())


def test_a_shift_after_the_last_fifth_of_the_customers_is_seen_before_all_are_answered(
    tmp_path, monkeypatch
):
    trial, limits, looks, now = trial_in(tmp_path), Limits(customers=200), [], [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: None)
    monkeypatch.setattr(canary_module, "time", clock)
    write(trial, f"1{PAIRS}", compared(200))

    def goes_on():
        looks.append(now[0])
        if len(looks) == 3:  # enough customers were looked at, and the minutes are not over
            write(trial, f"1{PAIRS}", compared(260, shift=3.0))
        if len(looks) == 5:
            now[0] = 60 * limits.minutes
        return len(looks) < 10

    with pytest.raises(RolledBackError, match="PSI"):
        wait_for_verdict(trial, limits, goes_on=goes_on)
    assert len(looks) == 5


def test_errors_of_any_worker_and_the_death_of_one_are_a_rollback(tmp_path):
    trial = trial_in(tmp_path)
    write(trial, f"1{COUNTS}", Counts(3, 0, 3))
    write(trial, f"2{COUNTS}", Counts(3, 0, 2, {"KeyError": 1}))
    with pytest.raises(RolledBackError, match="failed at 1 customer"):
        wait_for_verdict(trial, Limits(), goes_on=go_on())
    write(trial, f"2{COUNTS}", b"garbage")
    with pytest.raises(RolledBackError, match="worker 1 ended"):
        wait_for_verdict(trial, Limits(), goes_on=go_on(), death=lambda: "worker 1 ended")


def bundle(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(text)
    return folder


def test_a_model_that_was_rolled_back_is_not_tried_again_until_it_changes(tmp_path):
    folder, tries = bundle(tmp_path / "model", "one"), []

    def put(path):
        tries.append((path / "manifest.json").read_text())
        if tries[-1] == "two":
            raise RolledBackError("rolled back: it is shifted")

    source = FolderSource(folder)
    follower = Follower(source, source.current(), put, every_seconds=3_600)
    for text, served in (("two", False), ("one", False), ("two", False)):
        bundle(folder, text)
        assert follower.look() is served
        expected = None if text == "one" else "rolled back: it is shifted"
        assert (follower.doubt and follower.doubt.problem) == expected
    follower._refused = None  # five minutes later
    assert not follower.look()
    assert tries == ["two"]
    bundle(folder, "three")
    assert follower.look()
    assert follower.doubt is None
    follower.stop(1)


def test_a_canary_ends_when_another_model_takes_its_place_or_the_server_stops(tmp_path):
    folder = bundle(tmp_path / "model", "one")
    puts, trial = [], trial_in(tmp_path)

    def put(path):
        puts.append((path / "manifest.json").read_text())
        if puts[-1] != "three":
            wait_for_verdict(trial, Limits(), goes_on=follower.wants)

    source = FolderSource(folder)
    follower = Follower(source, source.current(), put, every_seconds=0.01)
    follower.start()
    bundle(folder, "two")
    wait_until(lambda: puts == ["two"])
    bundle(folder, "three")
    wait_until(lambda: puts == ["two", "three"])
    wait_until(lambda: follower.served == source.current())
    assert follower.doubt is None
    bundle(folder, "four")
    wait_until(lambda: puts[-1] == "four")
    begin = time.monotonic()
    follower.stop(LIMIT_SECONDS)
    assert time.monotonic() - begin < LIMIT_SECONDS / 2
    assert threading.active_count() < 50


def test_a_refusal_is_still_another_thing_than_a_rollback(tmp_path):
    folder = bundle(tmp_path / "model", "one")

    def put(path):
        raise DataRefusedError("golden row 3 differs")

    source = FolderSource(folder)
    follower = Follower(source, source.current(), put, every_seconds=3_600)
    bundle(folder, "two")
    follower.look()
    assert follower._rolled_back == {}
    follower.stop(1)

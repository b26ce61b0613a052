"""A challenger that is scored beside the model that answers, and can do nothing to it."""

from __future__ import annotations

import json
import logging
import os
import signal
from datetime import UTC, datetime

import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.serving.follow import beside as beside_module
from stagecast.serving.follow.beside import (
    MOST_CUSTOMERS,
    WAITING,
    Beside,
    Message,
    message_of,
    read_reports,
)
from stagecast.serving.follow.shadow import Shadow
from stagecast.serving.http.app import create_app
from stagecast.serving.http.partial import partial_scores
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import Settings
from tests.serving import published, web
from tests.serving.follow.conftest import request_of
from tests.waiting import wait_until

NOW = datetime(2022, 1, 2, tzinfo=UTC)


class Ready:
    """What stands for a process that is ready, where nothing is compared."""

    version = "challenger"


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_share_of_the_requests_is_met_and_has_no_rhythm(share):
    shadow = Shadow(share)
    assert not shadow.wants()
    shadow.beside = Ready()
    wanted = [shadow.wants() for _ in range(10_000)]
    assert sum(wanted) == pytest.approx(10_000 * share, abs=2)
    # whoever sends each second, third, ... request is asked about as often as all others
    for rhythm in (2, 3, 7, 10):
        mine = wanted[::rhythm]
        assert sum(mine) == pytest.approx(len(mine) * share, abs=10)


def test_what_finds_no_room_is_dropped_and_counted_and_nothing_waits(tmp_path):
    beside = Beside(tmp_path, tmp_path, "shadow")
    message = Message("a", b"{}", NOW, False, [], None)
    beside.offer(message)  # no process is ready
    assert (beside.counts.offered, beside.counts.dropped) == (1, 1)
    beside.version = "b"
    for _ in range(WAITING + 5):
        beside.offer(message)
    assert (beside.counts.offered, beside.counts.dropped) == (WAITING + 6, 6)
    long = Beside(tmp_path, tmp_path, "shadow")
    long.version = "b"
    for _ in range(5):
        long.offer(Message("a", b" " * 5 * 2**20, NOW, False, [], None))
    assert long.counts.dropped == 2


def test_of_a_long_body_an_even_choice_is_compared():
    scores = [{"customer_id": f"c{number}"} for number in range(1_000)]
    rows = message_of("a", b"", NOW, scores, 0.1, with_reasons=False).rows
    names = [name for name, _ in rows]
    assert len(names) <= MOST_CUSTOMERS
    assert names == [f"c{number}" for number in range(0, 1_000, 16)]


def test_a_server_without_a_challenger_says_so(tmp_path):
    store = published.open_store(tmp_path)
    with web.client(web.app_with(tmp_path, store=store, scorer=web.FakeScorer())) as api:
        answer = api.get("/v1/model/shadow")
        assert "stagecast_shadow" not in api.get("/metrics").text
    store.close()
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("no-shadow")


@pytest.fixture(scope="module")
def scorer(shop):
    return load_scorer(shop.folder)


@pytest.fixture
def served(scorer, shop, tmp_path):
    """Give a client of a server of the shop's model, its state, and a shadow that wants all."""
    store = published.open_store(tmp_path)
    settings = Settings(store=f"sqlite:///{tmp_path / 'stagecast.db'}", model=shop.folder)
    app = create_app(settings, scorer_loader=lambda _: scorer, store=store)
    state = app.state.stagecast
    state.shadow = Shadow(1.0)
    (tmp_path / "reports").mkdir()
    with web.client(app) as api:
        yield api, state.shadow
    state.shadow.stop()
    store.close()


def comparison(api):
    return api.get("/v1/model/shadow").json()["comparison"]


def wait_for_scores(api, scores, errors=0):
    def are_there():
        report = comparison(api)
        return report and (report["scores"], sum(report["errors"].values())) == (scores, errors)

    wait_until(are_there)


@pytest.mark.slow
def test_the_comparison_is_that_of_the_scores_and_the_answers_are_as_ever(
    served, scorer, equal, customers, tmp_path, caplog
):
    api, shadow = served
    with caplog.at_level(logging.INFO, "stagecast.server"):
        shadow.put_checked(equal, tmp_path / "reports")
    challenger = load_scorer(equal)
    assert shadow.beside.version == challenger.model_version
    answers = [
        api.post("/v1/score?reasons=false", json=request_of([single])) for single in customers[:60]
    ]
    answers.append(api.post("/v1/score?reasons=false", json=request_of(customers[60:200])))
    # who is asked about again is no other customer
    api.post("/v1/score?strict=false", json=request_of(customers[:3]))
    assert {answer.status_code for answer in answers} == {200}

    wait_for_scores(api, 60 + 47)
    rows = [row for answer in answers for row in answer.json()["scores"]]
    assert {row["model_version"] for row in rows} == {scorer.model_version}
    names = {single["customer_id"] for single in (*customers[:60], *customers[60:200:3])}
    own = {row["customer_id"]: row for row in rows if row["customer_id"] in names}
    body = request_of([single for single in customers[:200] if single["customer_id"] in names])
    # the challenger alone, as a server of it would answer
    theirs = {
        row["customer_id"]: row
        for row in partial_scores(challenger, json.dumps(body).encode(), NOW).scores
    }
    assert theirs.keys() == own.keys()
    report = comparison(api)
    column = report["columns"]["p_inactive"]
    both = [
        (own[name]["p_inactive"], theirs[name]["p_inactive"])
        for name in own
        if own[name]["p_inactive"] is not None and theirs[name]["p_inactive"] is not None
    ]
    assert column["both"] == len(both)
    differences = [abs(one - other) for one, other in both]
    assert column["mean_difference"] == pytest.approx(sum(differences) / len(both))
    assert column["mean_beside"] == pytest.approx(sum(other for _, other in both) / len(both))
    assert column["rank_correlation"] > 0.9
    assert report["columns"]["clv"]["psi"] is not None
    bands = [
        own[name]["churn_band"] == theirs[name]["churn_band"]
        for name in own
        if (own[name]["churn_band"], theirs[name]["churn_band"]) != (None, None)
    ]
    assert report["agreement"]["churn_band"] == pytest.approx(sum(bands) / len(bands))
    times = report["milliseconds_per_score"]
    assert times["answered"] > 0 < times["beside"]
    text = api.get("/metrics").text
    assert "stagecast_shadow_scores_total{" in text
    assert "stagecast_shadow_psi{model_version=" in text
    assert "stagecast_shadow_dropped_total 0.0" in text
    stored = b"".join(path.read_bytes() for path in (tmp_path / "reports").iterdir())
    assert not any(name.encode() in stored for name in names)
    assert shadow.report(None)["comparison"] is None  # of another model that answers


@pytest.mark.slow
def test_a_challenger_that_refuses_and_one_that_is_stopped_or_killed_leave_the_answers_alone(
    served, refusing, customers, tmp_path, monkeypatch
):
    monkeypatch.setattr(beside_module, "RESTART_SECONDS", 0.1)
    api, shadow = served
    shadow.put_checked(refusing, tmp_path / "reports")
    for single in customers[:3]:
        assert api.post("/v1/score", json=request_of([single])).status_code == 200
    wait_for_scores(api, 0, 3)
    assert comparison(api)["errors"] == {"refused": 3}
    process = shadow.beside._process
    # one that is as slow as can be: it stands still, and long bodies fill its pipe
    os.kill(process.pid, signal.SIGSTOP)
    body = json.dumps(request_of(customers[:3])) + " " * 2**20
    for _ in range(WAITING + 10):
        assert api.post_text("/v1/score?reasons=false", body).status_code == 200
        if shadow.beside.counts.dropped:
            break
    report = api.get("/v1/model/shadow").json()
    assert shadow.beside.counts.dropped > 0, report
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: shadow.beside._process is not process and shadow.beside.version)
    for single in customers[3:6]:
        assert api.post("/v1/score", json=request_of([single])).status_code == 200
    wait_until(lambda: sum(comparison(api)["errors"].values()) >= 6)


@pytest.mark.slow
def test_a_bundle_that_is_no_bundle_is_no_challenger_and_the_old_one_stays(served, equal, tmp_path):
    _, shadow = served
    shadow.put_checked(equal, tmp_path / "reports")
    before = shadow.beside
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataRefusedError, match="holds no bundle"):
        shadow.put_checked(tmp_path / "empty", tmp_path / "reports")
    assert shadow.beside is before
    reported = read_reports(tmp_path / "reports")
    assert reported[0] == []

"""Running servers whose model is replaced: by a share of the customers first, in all workers."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import islice

import httpx
import psutil
import pytest

from stagecast.serving.scoring.scorer import load_scorer
from tests.serving.follow.conftest import check_offline, offline_scores, request_of
from tests.waiting import LIMIT_SECONDS, free_port, lives, wait_for, wait_until

pytestmark = pytest.mark.slow

SHARE = 0.4
FAST = {"STAGECAST_CANARY_CUSTOMERS": "60", "STAGECAST_CANARY_MINUTES": "0"}


class Running:
    """A server in processes of its own, whose model stands behind a link or in a registry."""

    def __init__(self, folder, model, workers, *options, **environment):
        self.folder, self.link, self.output = folder, folder / "current", folder / "output"
        is_registered = str(model).startswith("models:/")
        if not is_registered:
            self.link.symlink_to(model)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        words = ["serve", "--port", str(port), "--workers", str(workers)]
        words += ["--model", str(model if is_registered else self.link)]
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stagecast", *words, *options],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **environment},
                stdout=stream,
                stderr=stream,
            )
        wait_for(lambda: lives(self.address), self.process, self.output)

    def turn(self, model, link=None):
        draft = self.folder / "draft"
        draft.symlink_to(model)
        draft.replace(self.link if link is None else link)

    def get(self, path):
        return httpx.get(f"{self.address}{path}", trust_env=False, verify=False).json()

    def score(self, customers):
        body = request_of(customers)
        # a connection of its own, which may be that of any worker
        answer = httpx.post(
            f"{self.address}/v1/score?reasons=false", json=body, trust_env=False, verify=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["scores"]


@contextmanager
def running(*words, **environment):
    server = Running(*words, **environment)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(LIMIT_SECONDS)


def rollout(server, customers, offline):
    """Ask about one customer after the other until the canary is over; return id -> versions.

    Each answer is held to the score of the same customer by the version that it names.
    """
    versions, number = {}, 0
    wait_until(lambda: server.get("/readyz").get("canary") is not None)
    while True:
        for _ in range(20):
            (row,) = server.score([customers[number % len(customers)]])
            check_offline([row], offline)
            versions.setdefault(row["customer_id"], []).append(row["model_version"])
            number += 1
        if server.get("/readyz").get("canary") is None:
            return versions
        assert number < 20_000, "the canary does not end"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_an_equal_model_answers_a_share_and_then_all(shop, equal, customers, tmp_path, workers):
    offline = offline_scores(customers, shop.folder, equal)
    old, new = offline
    options = ["--follow-seconds", "1", "--canary-share", str(SHARE)]
    with running(tmp_path, shop.folder, workers, *options, **FAST) as server:
        server.turn(equal)
        versions = rollout(server, customers, offline)
        # after its promotion all meet the new one; before it each had one model only
        turned = {name: tuple(dict.fromkeys(own)) for name, own in versions.items()}
        assert set(turned.values()) <= {(old,), (new,), (old, new)}
        assert any(own == (new,) for own in turned.values())
        wait_until(lambda: server.get("/readyz")["model_version"] == new)
        rows = [row for single in customers[:20] for row in server.score([single])]
        assert {row["model_version"] for row in rows} == {new}
        check_offline(rows, offline)
        # several in a body, of both models while it lasted, are answered as each is alone
        check_offline(server.score(customers[:50]), offline)
        card = server.get("/v1/model")
        assert (card["model_version"], card["model_doubt"], card["canary"]) == (new, None, None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fixture", "words"), [("shifted", "rolled back from 40.0%"), ("refusing", "refused")]
)
def test_a_shifted_model_and_one_that_fails_are_rolled_back_in_all_workers(
    shop, customers, tmp_path, request, fixture, words
):
    new = request.getfixturevalue(fixture)
    offline = offline_scores(customers, shop.folder)
    (old,) = offline
    if fixture == "shifted":
        offline |= offline_scores(customers, new)
    options = ["--follow-seconds", "1", "--canary-share", str(SHARE)]
    more = {**FAST, "STAGECAST_CANARY_CUSTOMERS": "400"}
    with running(tmp_path, shop.folder, 2, *options, **more) as server:
        server.turn(new)
        rollout(server, customers, offline)
        wait_until(lambda: server.get("/readyz").get("model_doubt") is not None)
        # each connection may be that of another worker
        wait_until(lambda: all(server.get("/v1/model").get("model_doubt") for _ in range(10)))
        doubt = server.get("/v1/model")["model_doubt"]
        assert words in doubt["problem"]
        assert doubt["since"].endswith("Z")
        rows = [row for single in customers[:40] for row in server.score([single])]
        assert {row["model_version"] for row in rows} == {old}
        check_offline(rows, offline)
        # it is not tried again while it stands there
        assert server.output.read_text().count("is asked beside") == 2
        assert server.get("/readyz")["canary"] is None


@pytest.mark.long
def test_a_worker_that_dies_while_a_canary_answers_is_a_rollback(shop, equal, customers, tmp_path):
    options = ["--follow-seconds", "1", "--canary-share", str(SHARE)]
    with running(tmp_path, shop.folder, 2, *options, **FAST) as server:
        server.turn(equal)
        wait_until(lambda: server.get("/readyz").get("canary") is not None)
        workers = [
            child
            for child in psutil.Process(server.process.pid).children()
            if "stagecast.serving.http.worker" in child.cmdline()
        ]
        workers[0].kill()
        wait_until(lambda: "ended while it answered" in server.output.read_text())
        wait_until(lambda: server.get("/readyz").get("canary") is None)
        assert len(server.score(customers[:3])) == 3


@pytest.mark.long
def test_the_workers_tell_of_a_challenger_together(shop, equal, customers, tmp_path):
    options = ["--shadow", str(equal), "--shadow-share", "1"]
    with running(tmp_path, shop.folder, 2, *options) as server:
        wait_until(lambda: all(server.get("/v1/model/shadow")["since"] for _ in range(10)))
        wait_until(lambda: server.output.read_text().count("is asked beside") == 2)
        for single in customers[:80]:
            server.score([single])

        def report():
            return server.get("/v1/model/shadow")

        wait_until(lambda: (report()["comparison"] or {}).get("scores") == 80)
        assert {report()["requests"] for _ in range(10)} == {80}
        assert report()["requests_dropped"] == 0
        assert report()["beside_model_version"] == load_scorer(equal).model_version


@pytest.mark.long
def test_a_challenger_never_answers_and_a_forged_or_garbage_one_leaves_the_old_one(
    shop, equal, forged, garbage, customers, tmp_path
):
    offline, beside = offline_scores(customers, shop.folder), load_scorer(equal).model_version
    link = tmp_path / "challenger"
    link.symlink_to(equal)
    options = ["--follow-seconds", "1", "--shadow", str(link), "--shadow-share", "1"]
    with running(tmp_path, shop.folder, 1, *options) as server:

        def report():
            return server.get("/v1/model/shadow")

        def compared():
            return (report()["comparison"] or {"scores": 0})["scores"]

        others = iter(customers)  # each is compared once

        def answer_as_ever(count):
            before = compared()
            for single in islice(others, count):
                check_offline(server.score([single]), offline)  # it has the old version alone
            wait_until(lambda: compared() == before + count)

        wait_until(lambda: report()["beside_model_version"] == beside)
        answer_as_ever(40)
        problems = []
        for bundle in (forged, garbage, tmp_path / "nowhere"):
            server.turn(bundle, link)
            wait_until(lambda: (report()["problem"] or {}).get("problem") not in (None, *problems))
            problems.append(report()["problem"]["problem"])
            assert report()["beside_model_version"] == beside
            answer_as_ever(20)
        assert "golden" in problems[0]
        assert "sha256" in problems[1]
        assert "no bundle is there" in problems[2]
        server.turn(equal, link)
        wait_until(lambda: report()["problem"] is None)
        assert server.get("/readyz")["model_doubt"] is None


@pytest.mark.long
@pytest.mark.parametrize("fixture", ["forged", "garbage"])
def test_a_forged_or_garbage_model_answers_no_share(shop, customers, tmp_path, request, fixture):
    offline = offline_scores(customers, shop.folder)
    options = ["--follow-seconds", "1", "--canary-share", str(SHARE)]
    with running(tmp_path, shop.folder, 1, *options, **FAST) as server:
        server.turn(request.getfixturevalue(fixture))
        number = 0
        while server.get("/readyz").get("model_doubt") is None:
            check_offline(server.score([customers[number % len(customers)]]), offline)
            number += 1
        check_offline(server.score(customers), offline)
        assert server.get("/readyz")["canary"] is None
        assert "is asked beside" not in server.output.read_text()


@pytest.mark.long
def test_a_challenger_that_is_not_there_neither_hinders_nor_delays_the_server(
    shop, equal, customers, tmp_path
):
    options = ["--shadow", str(tmp_path / "nowhere"), "--shadow-share", "1"]
    with running(tmp_path, shop.folder, 1, *options) as server:
        assert len(server.score(customers[:2])) == 2
        wait_until(lambda: server.get("/v1/model/shadow")["problem"] is not None)
        assert "no bundle is there" in server.get("/v1/model/shadow")["problem"]["problem"]


def test_a_share_without_a_followed_model_is_refused(tmp_path):
    words = ["serve", "--canary-share", "0.1", "--port", "0"]
    ran = subprocess.run(
        [sys.executable, "-m", "stagecast", *words],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert ran.returncode == 2
    assert "--canary-share needs --follow-seconds" in ran.stderr

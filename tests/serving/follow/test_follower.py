"""A model that takes the place of another while the server answers, and one that must not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading

import httpx
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.follow.follower import Follower
from stagecast.serving.follow.sources import FolderSource, RegistrySource, source_of
from tests.serving import published, web
from tests.training.bundle.forging import make_hashes_fit
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained
from tests.waiting import LIMIT_SECONDS, free_port, lives, wait_for, wait_until

BODY = {"customers": [{"customer_id": "a", "events": [{"timestamp": "1997-06-01"}]}]}


class Named(web.FakeScorer):
    """A scorer of a version, which waits where it is told to."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.model_version = version
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def score_objects(self, customers, as_of, *, with_reasons=True):
        self.entered.set()
        assert self.go_on.wait(LIMIT_SECONDS)
        rows = super().score_objects(customers, as_of)
        return [{**row, "model_version": self.model_version} for row in rows]


def bundle(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(text)
    return folder


@pytest.fixture
def followed():
    made = []

    def make(folder, put):
        source = FolderSource(folder)
        made.append(Follower(source, source.current(), put, every_seconds=3_600))
        return made[-1]

    yield make
    for follower in made:
        follower.stop(1)


def test_another_bundle_is_put_and_the_same_one_is_not(tmp_path, followed):
    folder, texts = bundle(tmp_path / "model", "one"), []
    follower = followed(folder, lambda path: texts.append((path / "manifest.json").read_text()))
    assert not follower.look()
    bundle(folder, "two")
    assert follower.look()
    assert not follower.look()
    assert texts == ["two"]
    assert follower.doubt is None


def test_a_refused_bundle_leaves_the_old_one_and_says_since_when_and_why(tmp_path, followed):
    folder, tries = bundle(tmp_path / "model", "one"), []

    def refuse(path):
        tries.append(path)
        raise DataRefusedError(f"{path}: golden row 3 differs")

    follower = followed(folder, refuse)
    served = follower.served
    bundle(folder, "two")
    assert not follower.look()
    first = follower.doubt
    assert first.problem == f"{folder}: golden row 3 differs"  # not the folder of our copy
    assert not follower.look()
    assert len(tries) == 1  # a bundle that was refused is not rehearsed at every look
    assert not tries[0].exists()
    bundle(folder, "three")
    follower.look()
    assert len(tries) == 2
    assert follower.doubt.since == first.since
    assert follower.served == served
    bundle(folder, "one")
    follower.look()
    assert follower.doubt is None


def test_a_folder_that_is_away_or_torn_is_a_doubt_and_then_none(tmp_path, monkeypatch, followed):
    folder, put = bundle(tmp_path / "model", "one"), []
    follower = followed(folder, put.append)
    shutil.move(folder, tmp_path / "away")
    follower.look()
    assert "no bundle is there" in follower.doubt.problem
    shutil.move(tmp_path / "away", folder)
    bundle(folder, "two")
    copytree = shutil.copytree

    def torn(source, target):
        copytree(source, target)
        (target / "manifest.json").write_text("half")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", torn)
        follower.look()
    assert "replaced while it was copied" in follower.doubt.problem
    assert put == []
    assert follower.look()  # at once: what was torn was not refused
    assert follower.doubt is None


def test_a_fault_of_ours_ends_neither_the_thread_nor_the_model(tmp_path, followed):
    folder = bundle(tmp_path / "model", "one")
    follower = followed(folder, lambda path: {}["secret of the bundle"])
    bundle(folder, "two")
    assert not follower.look()
    assert follower.doubt.problem == "KeyError while the model was checked"


def test_a_request_that_has_begun_is_answered_by_the_model_with_which_it_began(tmp_path):
    old, new = Named("old"), Named("new")
    store = published.open_store(tmp_path)
    app = web.app_with(tmp_path, store=store, scorer=old)
    state, answers = app.state.stagecast, []
    with web.client(app) as api:
        old.go_on.clear()
        asking = threading.Thread(target=lambda: answers.append(api.post("/v1/score", json=BODY)))
        asking.start()
        assert old.entered.wait(LIMIT_SECONDS)
        state.scorer = new
        old.go_on.set()
        asking.join(LIMIT_SECONDS)
        after = api.post("/v1/score", json=BODY)
    store.close()
    versions = [answer.json()["scores"][0]["model_version"] for answer in (*answers, after)]
    assert versions == ["old", "new"]


def test_readiness_says_since_when_and_why_the_old_model_stays(tmp_path, followed):
    store = published.open_store(tmp_path)
    app = web.app_with(tmp_path, store=store, scorer=web.FakeScorer())
    folder = bundle(tmp_path / "model", "one")
    follower = followed(folder, lambda path: {}["x"])
    app.state.stagecast.doubt = lambda: follower.doubt
    with web.client(app) as api:
        assert api.get("/readyz").json()["model_doubt"] is None
        bundle(folder, "two")
        follower.look()
        answer = api.get("/readyz")
        assert "\nstagecast_model_doubt 1.0\n" in api.get("/metrics").text
    store.close()
    assert answer.status_code == 200
    doubt = answer.json()["model_doubt"]
    assert doubt["problem"] == "KeyError while the model was checked"
    assert doubt["since"].endswith("Z")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('no alias of champion at sqlite:///mine.db')", "at MLflow"),
        ("print('<html>')", "cannot be read"),
        ("import time; time.sleep(600)", "has not answered within 1 s"),
        ("import os; os.abort()", "exit code -6"),
        ('print(\'{"version": "8", "folder": "x"}\')', "another version took its place"),
    ],
)
def test_a_registry_that_is_dead_slow_or_garbage_is_an_error(monkeypatch, tmp_path, code, words):
    source = source_of("models:/shop@champion", "sqlite:///mine.db", 1.0)
    assert isinstance(source, RegistrySource)
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **more: run([sys.executable, "-c", code], **more)
    )
    with pytest.raises(UsageError, match=words):
        source.take("7", tmp_path)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_server_serves_what_takes_the_place_and_refuses_what_is_forged(
    shop: Trained,  # noqa: F811
    tmp_path,
    workers,
):
    link, port = tmp_path / "current", free_port()
    link.symlink_to(shop.folder)
    output = tmp_path / "output"
    words = ["serve", "--port", str(port), "--model", str(link), "--follow-seconds", "1"]
    words += ["--workers", str(workers)]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "stagecast", *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
            stdout=stream,
            stderr=stream,
        )
    address = f"http://127.0.0.1:{port}"

    def ready():
        return httpx.get(f"{address}/readyz", trust_env=False).json()

    def turn(folder):
        draft = tmp_path / "draft"
        draft.symlink_to(folder)
        draft.replace(link)

    try:
        wait_for(lambda: lives(address), process, output)
        version = ready()["model_version"]
        forged = tmp_path / "forged"
        shutil.copytree(shop.folder, forged)
        (forged / "models.json").write_text("{}")
        make_hashes_fit(forged)
        turn(forged)
        wait_until(lambda: ready()["model_doubt"] is not None)
        assert ready()["model_version"] == version
        other = tmp_path / "other"
        shutil.copytree(shop.folder, other)
        models = json.loads((other / "models.json").read_text())
        (other / "models.json").write_text(json.dumps(models, indent=1))
        make_hashes_fit(other)
        newer = json.loads((other / "manifest.json").read_text())["model_version"]
        assert newer != version
        turn(other)
        wait_until(lambda: ready()["model_version"] != version)
        # all workers swap at once, and each connection may be that of another one
        assert {ready()["model_version"] for _ in range(20)} == {newer}
        wait_until(lambda: ready()["model_doubt"] is None)
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)

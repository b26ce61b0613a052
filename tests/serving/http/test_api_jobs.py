"""Batches beyond those of one request, and writes that are sent twice."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stagecast.serving.http import job_queue
from stagecast.serving.http.app import create_app
from stagecast.serving.http.job_queue import WAITING_MAX
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.settings import Settings
from stagecast.serving.store import jobs
from stagecast.serving.store.store import Store
from tests.serving import published, web
from tests.waiting import LIMIT_SECONDS

AS_OF = "1998-01-01T00:00:00Z"


def batch(count: int, *more: Any) -> dict[str, Any]:
    event = {"timestamp": "1997-06-01T00:00:00Z", "amount": 10.0}
    customers = [{"customer_id": f"c{number}", "events": [event]} for number in range(count)]
    return {"as_of": AS_OF, "customers": [*customers, *more]}


class Slow(web.FakeScorer):
    """A scorer that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def score_customers(self, customers: Any, as_of: Any) -> Any:
        assert self.go_on.wait(LIMIT_SECONDS)
        return super().score_customers(customers, as_of)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = published.open_store(tmp_path, published.scores(30))
    yield opened
    opened.close()


@pytest.fixture
def api(tmp_path: Path, store: Store) -> Iterator[web.Client]:
    app = web.app_with(tmp_path, store=store, scorer=web.FakeScorer(), max_job_bytes=2_000_000)
    with web.client(app) as client:
        yield client


def wait_until(answers: Callable[[], Any], what: str) -> Any:
    until = time.monotonic() + LIMIT_SECONDS
    while not (answer := answers()):
        assert time.monotonic() < until, f"no sign of {what}"
        time.sleep(0.02)
    return answer


def ended(api: web.Client, job: dict[str, Any]) -> dict[str, Any]:
    def state() -> Any:
        now = api.get(f"/v1/jobs/{job['id']}").json()
        return now if now["finished_at"] is not None else None

    return wait_until(state, "the job to end")


def test_each_of_several_workers_scores_the_jobs_that_are_sent_to_it(
    tmp_path: Path, store: Store
) -> None:
    for number in range(2):
        app = create_app(
            Settings(store="sqlite:///unused.db", model="bundle"),
            scorer_loader=lambda _: web.FakeScorer(),
            store=store,
            worker=Worker(number, tmp_path),
        )
        with web.client(app) as client:
            answer = client.post("/v1/jobs", json=batch(2))
            assert answer.status_code == 202, answer.text
            path = answer.headers["location"]
            wait_until(
                lambda client=client, path=path: client.get(path).json()["state"] == "done", "done"
            )


def test_a_job_scores_more_than_a_request_may_have_and_names_who_has_no_score(
    api: web.Client, store: Store
) -> None:
    body = batch(1_200, {"customer_id": "bad", "events": []}, 7)
    assert api.post("/v1/score", json=body).status_code == 422
    answer = api.post("/v1/jobs?reasons=false", json=body)
    job = answer.json()
    assert (answer.status_code, job["customers"]) == (202, 1_202)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    job = ended(api, job)
    assert (job["state"], job["scored"], job["failed"]) == ("done", 1_200, 2)
    lines = api.get(f"/v1/jobs/{job['id']}/scores").text.splitlines()
    scores = [json.loads(line) for line in lines]
    assert [score["customer_id"] for score in scores] == [f"c{k}" for k in range(1_200)]
    single = api.post("/v1/score", json=batch(1)).json()["scores"][0]
    assert scores[0].keys() == single.keys()
    errors = api.get(f"/v1/jobs/{job['id']}/scores?part=errors").text.splitlines()
    assert [(json.loads(e)["position"], json.loads(e)["customer_id"]) for e in errors] == [
        (1_200, "bad"),
        (1_201, None),
    ]
    parquet = api.get(f"/v1/jobs/{job['id']}/scores?format=parquet")
    table = pq.read_table(io.BytesIO(parquet.content))
    assert table.drop_columns(["warnings"]).schema == published.scores(1).schema
    assert table["customer_id"].to_pylist() == [score["customer_id"] for score in scores]
    assert table["p_stage_loyal"][3].as_py() == scores[3]["next_stage"]["loyal"]
    assert api.get("/v1/jobs").json()["jobs"] == [job]
    assert store.forget("c7") is not None  # an erased customer is in no job either
    assert len(api.get(f"/v1/jobs/{job['id']}/scores").text.splitlines()) == 1_199


def test_a_job_that_cannot_be_read_is_refused_at_once(api: web.Client) -> None:
    for body, status in (
        ("{", 400),
        ("{}", 422),
        ('{"customers": []}', 422),
        ('{"as_of": "soon", "customers": [1]}', 422),
        ('{"currency": "euro", "customers": [1]}', 422),
        (" " * 2_000_001, 413),
    ):
        assert api.post_text("/v1/jobs", body).status_code == status, body[:40]
    assert api.get("/v1/jobs").json()["jobs"] == []
    assert api.get("/v1/jobs/nobody").status_code == 422
    assert api.get(f"/v1/jobs/{'0' * 32}").status_code == 404


def test_a_job_can_be_cancelled_and_no_more_wait_than_are_allowed(
    tmp_path: Path, store: Store
) -> None:
    scorer = Slow()
    with web.client(web.app_with(tmp_path, store=store, scorer=scorer)) as api:
        running = api.post("/v1/jobs", json=batch(3)).json()
        wait_until(
            lambda: api.get(f"/v1/jobs/{running['id']}").json()["state"] == "running", "the start"
        )
        assert api.get(f"/v1/jobs/{running['id']}/scores").status_code == 409
        waiting = [api.post("/v1/jobs", json=batch(2)).json() for _ in range(WAITING_MAX)]
        refused = api.post("/v1/jobs", json=batch(2))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        for job in (running, waiting[0]):
            assert api.request("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
        scorer.go_on.set()
        assert ended(api, waiting[1])["state"] == "done"
        for job in (running, waiting[0]):
            assert api.get(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
            assert list(jobs.rows_of(store.engine, job["id"], "score")) == []


def test_no_further_job_is_taken_while_much_waits(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "WAITING_BYTES", len(json.dumps(batch(50))))
    scorer = Slow()
    with web.client(web.app_with(tmp_path, store=store, scorer=scorer)) as api:
        running = api.post("/v1/jobs", json=batch(3)).json()
        wait_until(
            lambda: api.get(f"/v1/jobs/{running['id']}").json()["state"] == "running", "the start"
        )
        statuses = [api.post("/v1/jobs", json=batch(100)).status_code for _ in range(3)]
        assert statuses == [202, 503, 503]
        scorer.go_on.set()


def test_a_job_of_a_server_that_stopped_is_lost_and_says_so(tmp_path: Path, store: Store) -> None:
    scorer = Slow()
    with web.client(web.app_with(tmp_path, store=store, scorer=scorer)) as api:
        sent = [api.post("/v1/jobs", json=batch(500)).json() for _ in range(2)]
        wait_until(
            lambda: api.get(f"/v1/jobs/{sent[0]['id']}").json()["state"] == "running", "the start"
        )
        threading.Timer(0.2, scorer.go_on.set).start()
    with web.client(web.app_with(tmp_path, store=store, scorer=scorer)) as api:
        states = {job["id"]: job for job in api.get("/v1/jobs").json()["jobs"]}
        for job in sent:
            assert states[job["id"]]["state"] == "lost"
            assert "send it again" in states[job["id"]]["problem"]
            assert api.get(f"/v1/jobs/{job['id']}/scores").status_code == 409


def test_a_job_of_a_server_that_was_killed_is_lost_once_it_is_silent(store: Store) -> None:
    engine, job_id = store.engine, "f" * 32
    jobs.insert_job(
        engine, job_id, "key", "dead", as_of=datetime.now(UTC), model_version="x", stages=[],
        customers=1,
    )  # fmt: skip

    def state() -> str | None:
        job = jobs.job_of(engine, job_id, "key")
        return None if job is None else job.state

    assert state() == "waiting"
    with engine.begin() as connection:
        silent = datetime.now(UTC) - 2 * jobs.LOST_AFTER
        connection.execute(jobs.jobs.update().values(beat_at=silent))
    assert state() == "lost"
    jobs.beat(engine, "dead")
    assert state() == "waiting"
    with engine.begin() as connection:
        connection.execute(jobs.jobs.update().values(beat_at=silent))
    jobs.drop_old(engine)
    jobs.beat(engine, "dead")
    assert state() == "lost"
    assert not jobs.start_job(engine, job_id)


def test_a_fault_of_the_server_fails_the_job_and_tells_nothing(
    tmp_path: Path, store: Store
) -> None:
    broken = web.FakeScorer(ZeroDivisionError("secret of the inside"))
    with web.client(web.app_with(tmp_path, store=store, scorer=broken)) as api:
        job = ended(api, api.post("/v1/jobs", json=batch(1)).json())
        assert (job["state"], job["problem"]) == (
            "failed",
            "a fault of the server: ZeroDivisionError",
        )
        broken.error = None
        assert ended(api, api.post("/v1/jobs", json=batch(1)).json())["state"] == "done"


def test_old_jobs_are_deleted_with_their_scores(api: web.Client, store: Store) -> None:
    job = ended(api, api.post("/v1/jobs", json=batch(2)).json())
    with store.engine.begin() as connection:
        old = datetime.now(UTC) - jobs.STORED - timedelta(minutes=1)
        connection.execute(jobs.jobs.update().values(finished_at=old))
    assert api.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert len(list(jobs.rows_of(store.engine, job["id"], "score"))) == 2
    api.post("/v1/jobs", json=batch(1))
    assert list(jobs.rows_of(store.engine, job["id"], "score")) == []


def test_a_job_is_that_of_the_key_that_sent_it(tmp_path: Path, store: Store) -> None:
    book, now = KeyBook(store.engine), datetime.now(UTC)
    keys = [
        {"x-api-key": str(book.create(name, ("score",), now, timedelta(days=1)).text)}
        for name in ("one", "other")
    ]
    with web.client(web.app_with(tmp_path, store=store, scorer=web.FakeScorer())) as api:
        answer = api.post("/v1/jobs", json=batch(1), headers=keys[0])
        path = answer.headers["location"]
        assert api.get(path, headers=keys[0]).status_code == 200
        for method, below in (("GET", ""), ("GET", "/scores"), ("DELETE", "")):
            assert api.request(method, path + below, headers=keys[1]).status_code == 404
        assert api.get("/v1/jobs", headers=keys[1]).json()["jobs"] == []


PLAN = {"name": "autumn", "contacts": 5, "holdout": 0, "costs": {"contact": 0.1}}
ONCE = {"idempotency-key": "3f1d8c52"}


def test_a_write_with_a_key_is_done_once(api: web.Client) -> None:
    first = api.post("/v1/plans", json=PLAN, headers=ONCE)
    assert first.status_code == 201, first.text
    again = api.post("/v1/plans", json=PLAN, headers=ONCE)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert api.post("/v1/plans", json=PLAN).status_code == 409
    other = api.post("/v1/plans", json={**PLAN, "contacts": 6}, headers=ONCE)
    assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (
        422,
        "idempotency-key-reused",
    )
    empty = {"content-type": "application/json", "idempotency-key": "freeze-1"}
    frozen = [api.post("/v1/plans/autumn/freeze", headers=empty) for _ in range(2)]
    assert [answer.status_code for answer in frozen] == [200, 200]
    assert frozen[0].json() == frozen[1].json()
    sent = [api.post("/v1/jobs", json=batch(1), headers=ONCE).json()]
    assert sent[0]["type"].endswith("idempotency-key-reused")  # a key is for one write
    ids = {
        api.post("/v1/jobs", json=batch(1), headers={"idempotency-key": "j"}).json()["id"]
        for _ in range(3)
    }
    assert len(ids) == 1


def test_a_write_that_was_refused_is_tried_again(api: web.Client) -> None:
    key = {"idempotency-key": "k"}
    assert api.post("/v1/plans", json={**PLAN, "name": "a b"}, headers=key).status_code == 422
    assert api.post("/v1/plans", json=PLAN, headers=key).status_code == 201
    for text in ("", "a b", "x" * 256, "\u00e9"):
        refused = api.post("/v1/plans", json=PLAN, headers={"idempotency-key": text.encode()})
        assert refused.json()["type"].endswith(":idempotency-key-refused"), text


def test_of_writes_at_the_same_time_one_is_done(api: web.Client) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(api.post("/v1/plans", json=PLAN, headers=ONCE))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert {a.json()["type"].rpartition(":")[2] for a in answers if a not in done} <= {
        "write-in-progress"
    }

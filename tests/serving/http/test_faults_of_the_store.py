"""Customers erased while they are read, stores that are busy, and ids that no path can name."""

from __future__ import annotations

import sqlite3
import time

import pytest
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.http.app import create_app
from stagecast.serving.http.store_faults import store_problem
from stagecast.serving.settings import Settings
from stagecast.serving.store import purging, stored_scores
from stagecast.serving.store.deleting import purge
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.purging import erasure, forget, purge_waiting
from stagecast.serving.store.queries import Filters, Order
from tests.postgres import new_database, postgres_url  # noqa: F401
from tests.serving import published, web

pytestmark = pytest.mark.slow

ODD_IDS = ("line\nend", "..", ".", "a/../../b", "tab\tin it", "/", "?id=x")
GONE = "c0007"


@pytest.fixture
def store(tmp_path):
    opened = published.open_store(tmp_path, published.scores(20, extra=ODD_IDS))
    yield opened
    opened.close()


@pytest.fixture
def api(store, tmp_path):
    with web.client(web.app_with(tmp_path, store=store)) as client:
        yield client


def erase_before_documents(store, customer_id, monkeypatch):
    """Erase a customer as soon as their row was read, and before their document is."""
    read = stored_scores.scores_of

    def erased_before(connection, run_id, customer_ids):
        forget(store.engine, customer_id)
        return read(connection, run_id, customer_ids)

    monkeypatch.setattr(stored_scores, "scores_of", erased_before)


@pytest.mark.parametrize("path", [f"/v1/customers/{GONE}", f"/customers/{GONE}"])
def test_a_customer_erased_while_they_are_read_is_unknown(api, store, path, monkeypatch):
    erase_before_documents(store, GONE, monkeypatch)
    assert api.get(path).status_code == 404


def test_a_customer_erased_while_a_list_is_read_is_left_out_of_it(api, store, monkeypatch):
    everybody = {s["customer_id"] for s in api.get("/v1/customers").json()["customers"]}
    erase_before_documents(store, GONE, monkeypatch)
    answer = api.get("/v1/customers")
    assert answer.status_code == 200
    assert {s["customer_id"] for s in answer.json()["customers"]} == everybody - {GONE}


@pytest.mark.parametrize("name", ODD_IDS)
def test_any_id_is_read_and_erased_by_a_parameter(api, name):
    by_id = {"params": {"id": name}}
    assert api.get("/v1/customer", **by_id).json()["score"]["customer_id"] == name
    assert api.get("/customer", **by_id).status_code == 200
    assert api.post("/v1/customers/lookup", json={"customer_ids": [name]}).json()["missing"] == []
    assert api.request("DELETE", "/v1/customer", **by_id).status_code == 204
    assert api.get("/v1/customer", **by_id).status_code == 404


def test_a_link_leads_to_the_page_of_any_customer(api):
    text = api.get("/customers").text
    for link in ("/customer?id=..", "/customer?id=line%0Aend"):
        assert f'href="{link}"' in text
        assert api.get(link).status_code == 200


@pytest.mark.parametrize("name", ["x" * 16_385, " c0001", "nul\0", "NaN", ""])
def test_an_id_that_no_request_could_name_is_not_published(store, name):
    with pytest.raises(DataRefusedError, match="customer_id"):
        published.publish(store, published.scores(1, extra=[name]))
    assert store.count(store.current_run(), Filters()) == 20 + len(ODD_IDS)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_erasures_that_wait_share_one_purge(database, request, tmp_path, monkeypatch):
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'own.db'}"
    else:
        url = new_database(request.getfixturevalue("postgres_url"))
    store = published.Store(open_engine(url))
    published.publish(store, published.scores(3, extra=["anna@shop.example", "b@shop.example"]))
    calls = []
    monkeypatch.setattr(purging, "purge", lambda engine: (calls.append(1), purge(engine)))
    numbers = [forget(store.engine, f"{name}@shop.example") for name in ("anna", "b", "nobody")]
    assert numbers[2] is None
    assert store.customer("anna@shop.example") is None
    assert [erasure(store.engine, n).state for n in numbers[:2]] == ["waiting"] * 2
    assert purge_waiting(store.engine)
    assert [erasure(store.engine, n).state for n in numbers[:2]] == ["done"] * 2
    assert purge_waiting(store.engine)
    assert len(calls) == 1
    store.close()
    for path in tmp_path.glob("own.db*"):
        assert b"@shop.example" not in path.read_bytes()


def test_a_server_purges_what_it_erased_and_says_when(api, tmp_path):
    answer = api.request("DELETE", f"/v1/customers/{GONE}")
    deadline = time.monotonic() + 20
    while (state := api.get(answer.headers["location"]).json())["state"] != "done":
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    assert all(GONE.encode() not in path.read_bytes() for path in tmp_path.glob("stagecast.db*"))
    assert api.get("/v1/erasures/99").status_code == 404


def test_a_purge_that_is_hindered_waits_and_says_why(store, tmp_path, monkeypatch):
    number = forget(store.engine, GONE)
    sa.event.listen(store.engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout=20"))
    reader = sqlite3.connect(tmp_path / "stagecast.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM scores").fetchone()
    assert not purge_waiting(store.engine)
    state = erasure(store.engine, number)
    assert (state.state, "write-ahead log" in state.problem) == ("waiting", True)
    reader.close()
    assert purge_waiting(store.engine)
    assert erasure(store.engine, number).problem is None


def test_a_busy_store_is_named_as_such_with_the_time_to_wait(api, store, tmp_path):
    sa.event.listen(store.engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout=20"))
    writer = sqlite3.connect(tmp_path / "stagecast.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    answer = api.request("DELETE", f"/v1/customers/{GONE}")
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5")
    assert answer.json()["type"].endswith("store-busy")
    assert "written" in answer.json()["detail"]
    writer.execute("ROLLBACK")
    writer.close()
    assert api.request("DELETE", f"/v1/customers/{GONE}").status_code == 204
    page = store.customers(store.current_run(), Filters(), Order.parse("customer_id"))
    assert len(page.documents) == 19 + len(ODD_IDS)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_server_that_only_reads_refuses_to_write_and_its_database_does_too(
    database, request, tmp_path
):
    url = f"sqlite:///{tmp_path / 'own.db'}"
    if database == "postgresql":
        url = new_database(request.getfixturevalue("postgres_url"))
    else:
        with pytest.raises(UsageError, match="is not there"):
            open_engine(url, read_only=True)
    store = published.Store(open_engine(url))
    published.publish(store, published.scores(3))
    store.close()
    replica = published.Store.open(url, read_only=True)
    app = create_app(
        Settings(store=url, read_only=True),
        scorer_loader=lambda _: web.FakeScorer(),
        store=replica,
    )
    with web.client(app) as api:
        assert api.get("/v1/customers").json()["total"] == 3
        assert api.get("/").status_code == 200
        assert api.post("/v1/customers/lookup", json={"customer_ids": ["c0001"]}).status_code == 200
        for refused in (
            api.request("DELETE", "/v1/customers/c0001"),
            api.request("DELETE", "/v1/customer", params={"id": "c0001"}),
            api.post("/v1/plans", json={}),
        ):
            assert refused.status_code == 403
            assert refused.json()["type"].endswith("read-only")
    with pytest.raises(sa.exc.SQLAlchemyError) as error:
        forget(replica.engine, "c0001")
    assert store_problem(error.value, "DELETE").slug == "store-read-only"
    replica.close()

"""What Prometheus reads: counts of requests, model, published run, what monitoring gave."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stagecast.serving.http.app import create_app
from stagecast.serving.http.workers import plain_settings
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.metrics.meter import BUCKETS, Meter
from stagecast.serving.metrics.samples import Family, Sample, gauge, text_of
from stagecast.serving.metrics.workers import Worker, of_others, write_own
from stagecast.serving.settings import Settings
from stagecast.serving.store.monitor_tables import last_monitoring, store_monitoring
from tests.serving import published, web
from tests.waiting import wait_until

ID = "anna@shop.example"
BODY = {"customers": [{"customer_id": ID, "events": [{"timestamp": "1997-06-01"}]}]}


@pytest.fixture
def store(tmp_path):
    opened = published.open_store(tmp_path, published.scores(5, extra=[ID]))
    yield opened
    opened.close()


def server(store, worker=None, **settings):
    return create_app(
        Settings(store="sqlite:///unused.db", model="bundle", **settings),
        scorer_loader=lambda _: web.FakeScorer(),
        store=store,
        worker=worker,
    )


def read(answer):
    """Return (name, labels) -> value, as the parser of Prometheus' own client reads it."""
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, frozenset(labels.items())))


def test_requests_are_counted_by_template_and_status_and_no_id_is_a_label(store):
    with web.client(server(store)) as api:
        for path in (f"/v1/customers/{ID}", "/v1/customers/nobody", f"/{ID}", f"/v1/{ID}"):
            api.get(path)
        api.request("PROPFIND", "/v1/model")
        api.post("/v1/score", json=BODY)
        answer = api.get("/metrics")
        again = read(api.get("/metrics"))
    samples, template = read(answer), "/v1/customers/{customer_id:path}"
    for status, count in (("200", 1), ("404", 1)):
        labels = {"method": "GET", "route": template, "status": status}
        assert value(samples, "stagecast_requests_total", **labels) == count
    unknown = {"method": "GET", "route": "-", "status": "404"}
    assert value(samples, "stagecast_requests_total", **unknown) == 2
    assert "PROPFIND" not in answer.text
    assert "anna" not in answer.text
    durations = {"method": "GET", "route": template}
    assert value(samples, "stagecast_request_seconds_count", **durations) == 2
    assert value(samples, "stagecast_request_seconds_bucket", **durations, le="+Inf") == 2
    assert 0 < value(samples, "stagecast_request_seconds_sum", **durations) < 60
    assert value(samples, "stagecast_requests_inside") == 1  # this one
    assert value(samples, "process_resident_memory_bytes") > 10e6
    own = {"method": "GET", "route": "/metrics", "status": "200"}
    assert value(again, "stagecast_requests_total", **own) == 1


def test_the_model_and_the_staleness_of_the_run_are_gauges(store):
    with web.client(server(store)) as api:
        samples = read(api.get("/metrics"))
    run = {"model_version": "retail-19980101"}
    as_of = datetime(1998, 1, 1, tzinfo=UTC).timestamp()
    assert value(samples, "stagecast_model_info", model_version="fake-1") == 1
    assert value(samples, "stagecast_run_as_of_timestamp_seconds", **run) == as_of
    assert value(samples, "stagecast_run_customers", **run) == 6
    age = value(samples, "stagecast_run_age_seconds", **run)
    assert age == pytest.approx(time.time() - as_of, abs=120)
    assert value(samples, "stagecast_store_up") == 1


def test_what_monitoring_gave_last_is_shown_and_replaced(store):
    text = text_of([gauge("stagecast_monitor_score_psi", "PSI.", 0.31, score="p_inactive")])
    store_monitoring(store.engine, "shop-1", published.AS_OF, text)
    before = last_monitoring(store.engine)
    with web.client(server(store)) as api:
        samples = read(api.get("/metrics"))
        assert value(samples, "stagecast_monitor_score_psi", score="p_inactive") == 0.31
        assert value(
            samples, "stagecast_monitor_timestamp_seconds", model_version="shop-1"
        ) == pytest.approx(before.made_at.timestamp(), abs=1e-3)
        store_monitoring(store.engine, "shop-1", published.AS_OF, text.replace("0.31", "0.02"))
        samples = read(api.get("/metrics"))
    assert value(samples, "stagecast_monitor_score_psi", score="p_inactive") == 0.02


def test_a_store_that_breaks_is_a_gauge_and_the_rest_is_there(store):
    with web.client(server(store)) as api:
        with store.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE documents")
            connection.exec_driver_sql("DROP TABLE scores")
            connection.exec_driver_sql("DROP TABLE runs")
        samples = read(api.get("/metrics"))
    assert value(samples, "stagecast_store_up") == 0
    assert value(samples, "stagecast_model_loaded") == 1


def test_refused_requests_are_shed_and_say_why(store):
    app = server(store, api_keys=(web.KEY,), requests_at_once=1, requests_per_minute=3)
    own = {"x-api-key": web.KEY}
    with web.client(app) as api:

        async def together():
            asked = (api._http.get("/v1/model", headers=own) for _ in range(3))
            return sorted(answer.status_code for answer in await asyncio.gather(*asked))

        assert api._portal.call(together) == [200, 503, 503]
        statuses = [api.get("/v1/model", headers=own).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        meter = app.state.stagecast.meter
    (family,) = [f for f in meter.families() if f.name == "stagecast_requests_shed_total"]
    shed = {sample.labels["reason"]: sample.value for sample in family.samples}
    assert shed == {"overloaded": 2, "limited": 2}


def test_a_key_for_metrics_reads_no_customer(store):
    key = KeyBook(store.engine).create("prometheus", ("metrics",), datetime.now(UTC), None)
    with web.client(server(store)) as api:
        headers = {"x-api-key": str(key.text)}
        assert api.get("/metrics", headers=headers).status_code == 200
        assert api.get("/v1/customers", headers=headers).status_code == 403
        assert api.get("/metrics").status_code == 401


@pytest.mark.parametrize("bound", BUCKETS)
def test_a_duration_at_a_bound_is_in_its_bucket(bound):
    meter = Meter()
    meter.count("GET", "/livez", 200, bound)
    meter.count("GET", "/livez", 200, math.nextafter(bound, math.inf))
    families = {family.name: family for family in meter.families()}
    counts = {
        sample.labels["le"]: sample.value
        for sample in families["stagecast_request_seconds"].samples
        if sample.suffix == "_bucket"
    }
    assert counts[repr(bound)] == 1
    assert counts["+Inf"] == 2
    assert list(counts.values()) == sorted(counts.values())


def draining(api, worker):
    return value(read(api.get("/metrics")), "stagecast_draining", worker=worker)


def test_any_worker_answers_for_all_and_one_of_them_does_the_jobs(store, tmp_path):
    folder = tmp_path / "workers"
    folder.mkdir()
    apps = [server(store, Worker(number, folder)) for number in range(2)]
    states = [app.state.stagecast for app in apps]
    with web.client(apps[0]) as first, web.client(apps[1]) as second:
        assert [state.purger is not None for state in states] == [True, False]
        first.get("/v1/model")
        states[0].drain()
        wait_until(lambda: draining(second, "0") == 1)
        samples = read(second.get("/metrics"))
    own = {"method": "GET", "route": "/v1/model", "status": "200"}
    assert value(samples, "stagecast_requests_total", **own, worker="0") == 1
    assert value(samples, "stagecast_draining", worker="1") == 0
    # what is of the store has no worker
    assert value(samples, "stagecast_run_customers", model_version="retail-19980101") == 6


def test_a_file_of_a_worker_that_cannot_be_read_is_left_out(tmp_path):
    write_own(Worker(1, tmp_path), [Family("a", "counter", "A.", [Sample({"x": 'q"\n'}, 2.0)])])
    (tmp_path / "2.metrics").write_text("[[")
    others = of_others(Worker(0, tmp_path))
    assert others == {"1": [Family("a", "counter", "A.", [Sample({"x": 'q"\n'}, 2.0)])]}


def test_a_worker_gets_the_settings_of_its_parent(monkeypatch, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"{web.KEY}\n")
    parent = Settings(
        store=str(tmp_path / "a.db"),
        api_keys_file=keys,
        trusted_proxies="10.0.0.0/8",
        webhook_secret="0123456789abcdefghijklmnop",
        workers=3,
        model=tmp_path,
    )
    monkeypatch.setenv("STAGECAST_API_KEYS", "another-key-4a82b6f5")
    monkeypatch.setenv("STAGECAST_PORT", "9")
    child = Settings(**plain_settings(parent))
    assert child == parent.model_copy(update={"api_keys_file": None})
    assert child.keys == (web.KEY,)

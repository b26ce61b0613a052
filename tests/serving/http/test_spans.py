"""Spans of requests, in memory and at a collector that listens."""

from __future__ import annotations

import gzip
import http.server
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from stagecast.features.errors import UsageError
from stagecast.serving.http.app import create_app
from stagecast.serving.http.spans import Spans
from stagecast.serving.settings import Settings, load_settings
from tests.serving import published, web

ID = "anna@shop.example"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = published.open_store(tmp_path_factory.mktemp("spans"), published.scores(5, extra=[ID]))
    yield opened
    opened.close()


def server(store, **more):
    spans = more.pop("spans", None)
    return create_app(
        Settings(store="sqlite:///unused.db", **more),
        scorer_loader=lambda _: web.FakeScorer(),
        store=store,
        spans=spans,
    )


def test_a_request_is_a_span_with_the_template_of_its_route_and_no_id(store):
    memory, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with web.client(server(store, spans=Spans(provider))) as api:
        traced = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = api.get(f"/v1/customers/{ID}", headers=traced)
        api.get(f"/v1/{ID}?q={ID}", headers={"traceparent": ID})
        api.request(ID, "/v1/model")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(store), "customer", lambda *_: {}[ID])
            assert api.get(f"/v1/customers/{ID}").status_code == 500
        spans = memory.get_finished_spans()
    template = "/v1/customers/{customer_id:path}"
    assert [span.name for span in spans] == [f"GET {template}", "GET", "_OTHER", f"GET {template}"]
    first, unknown, _, broken = spans
    assert first.kind is SpanKind.SERVER
    assert f"{first.context.trace_id:032x}" == TRACE
    assert first.attributes["http.route"] == template
    assert first.attributes["http.response.status_code"] == 200
    assert first.attributes["stagecast.request_id"] == answer.headers["x-request-id"]
    assert first.status.status_code is StatusCode.UNSET
    assert f"{unknown.context.trace_id:032x}" != TRACE
    assert (broken.status.status_code, broken.attributes["error.type"]) == (
        StatusCode.ERROR,
        "KeyError",
    )
    assert "anna" not in "".join(span.to_json() for span in spans)


def test_spans_reach_the_collector_that_the_setting_names(store):
    bodies = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            zipped = self.headers.get("content-encoding") == "gzip"
            bodies.append(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
        with web.client(server(store, telemetry_url=url)) as api:
            api.get("/livez")
        collector.shutdown()
    (sent,) = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    (resource,) = sent.resource_spans
    names = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert names["service.name"] == "stagecast"
    assert [span.name for span in resource.scope_spans[0].spans] == ["GET /livez"]


def test_nothing_is_sent_without_the_setting_and_a_missing_package_is_named(store, monkeypatch):
    with web.client(server(store)) as api:
        assert api.get("/livez").status_code == 200
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UsageError, match=r"pip install 'stagecast\[telemetry\]'"):
        server(store, telemetry_url="http://collector:4318/v1/traces")
    monkeypatch.setenv("STAGECAST_TELEMETRY_URL", "collector:4318")
    with pytest.raises(UsageError, match="STAGECAST_TELEMETRY_URL"):
        load_settings()

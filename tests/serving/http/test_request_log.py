"""What a server writes: changes in the audit log, and never an id, a value or a path."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError
from starlette.requests import ClientDisconnect

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import ROUTE_SCOPES
from stagecast.serving.http.app import create_app
from stagecast.serving.http.json_lines import JsonLines
from stagecast.serving.http.server import serve
from stagecast.serving.keys.audit import AuditLog
from stagecast.serving.settings import Settings
from stagecast.serving.store.key_tables import server_secrets
from stagecast.serving.store.opening import open_engine
from tests.serving import published, web

ID = "anna@shop.example"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    opened = published.open_store(tmp_path, published.scores(5, extra=[ID, "berta@shop.example"]))
    yield opened
    opened.close()


def app_of(store, **settings):
    return create_app(
        Settings(store="sqlite:///unused.db", api_keys=(web.KEY,), **settings),
        scorer_loader=lambda _: web.FakeScorer(),
        store=store,
    )


HEADERS = {"x-api-key": web.KEY, "content-type": "application/json"}


def test_changes_are_lines_with_a_keyed_hash_and_reading_is_none(store, tmp_path):
    log = tmp_path / "audit.log"
    with web.client(app_of(store, audit_log=log)) as api:
        api.get(f"/v1/customers/{ID}", headers=HEADERS)
        api.get(f"/customers/{ID}", headers=HEADERS)
        assert log.read_text() == ""
        assert api.request("DELETE", f"/v1/customers/{ID}", headers=HEADERS).status_code == 204
        api.request("DELETE", f"/v1/customers/{ID}", headers=HEADERS)
        api.request("DELETE", "/v1/customers/berta@shop.example", headers=HEADERS)
        api.get("/v1/customers?format=csv&limit=all", headers=HEADERS)
        api.post("/v1/plans/autumn/freeze", headers=HEADERS)
    text = log.read_text()
    assert "@" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["event"], line["status"], line["route"]) for line in lines] == [
        ("admin", 204, "/v1/customers/{customer_id:path}"),
        ("admin", 404, "/v1/customers/{customer_id:path}"),
        ("admin", 204, "/v1/customers/{customer_id:path}"),
        ("export", 200, "/v1/customers"),
        ("plan", 404, "/v1/plans/{name}/freeze"),
    ]
    assert {line["key"] for line in lines} == {"settings.1"}
    assert lines[4]["plan"] == "autumn"
    first, again, other = (line["customer"] for line in lines[:3])
    assert first == again != other
    assert len(first) == 32
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_hash_of_a_customer_is_that_of_the_store_and_no_other(store, tmp_path):
    apps = [app_of(store, audit_log=tmp_path / f"{number}.log") for number in range(2)]
    for app in apps:
        with web.client(app) as api:
            api.request("DELETE", f"/v1/customers/{ID}", headers=HEADERS)
    hashes = {
        json.loads((tmp_path / f"{number}.log").read_text())["customer"] for number in range(2)
    }
    assert len(hashes) == 1
    (tmp_path / "other").mkdir()
    other = published.open_store(tmp_path / "other")
    with web.client(app_of(other, audit_log=tmp_path / "2.log")) as api:
        api.request("DELETE", f"/v1/customers/{ID}", headers=HEADERS)
    other.close()
    assert json.loads((tmp_path / "2.log").read_text())["customer"] not in hashes


def test_without_a_file_the_lines_go_to_stderr(capsys):
    AuditLog(None).write("keys", NOW, key="k", subject=None)
    assert json.loads(capsys.readouterr().err) == {
        "time": "2026-01-01T00:00:00.000Z",
        "event": "keys",
        "key": "k",
    }


@pytest.mark.slow
def test_an_audit_log_that_cannot_be_written_is_refused_at_the_start(store, tmp_path):
    with pytest.raises(UsageError, match="STAGECAST_AUDIT_LOG"):
        app_of(store, audit_log=tmp_path / "nowhere" / "audit.log")


def test_a_log_that_breaks_later_does_not_hide_the_change(tmp_path, capsys):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = AuditLog(folder / "audit.log")
    (folder / "audit.log").unlink()
    folder.rmdir()
    log.write("admin", NOW, key="k")
    assert '"event": "admin"' in capsys.readouterr().err


def test_the_access_log_has_templates_for_paths(store, caplog):
    caplog.set_level(logging.INFO, "stagecast.server")
    with web.client(app_of(store, access_log=True)) as api:
        api.get(f"/v1/customers/{ID}", headers=HEADERS)
        api.get(f"/v1/{ID}", headers=HEADERS)
        api.get(f"/v1/customers/{ID}", headers={"x-api-key": f"{ID}-wrong-key"})
    lines = [record.fields for record in caplog.records if record.name == "stagecast.server"]
    assert [(line["route"], line["status"], line["key"]) for line in lines] == [
        ("/v1/customers/{customer_id:path}", 200, "settings.1"),
        ("-", 404, "settings.1"),
        ("-", 401, None),
    ]
    assert "anna" not in caplog.text


def test_a_line_and_its_answer_have_the_id_of_the_request(store, tmp_path):
    own = "0b1d7f0a-93c4-4e2e-8a55-0a2f6f3e1c11"
    stream, server_log = io.StringIO(), logging.getLogger("stagecast.server")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    server_log.addHandler(handler)
    server_log.setLevel(logging.INFO)
    audit = tmp_path / "audit.log"
    try:
        with web.client(app_of(store, access_log=True, audit_log=audit)) as api:
            ids = [
                api.request(
                    "DELETE", f"/v1/customers/{ID}", headers=HEADERS | {"x-request-id": sent}
                )
                for sent in (own, ID, f"{own}\t", "")
            ]
    finally:
        server_log.removeHandler(handler)
        server_log.setLevel(logging.NOTSET)
    answered = [answer.headers["x-request-id"] for answer in ids]
    assert answered[0] == own
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in answered[1:])
    assert len(set(answered)) == 4
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == answered
    assert [(line["level"], line["status"], line["key"]) for line in lines] == [
        ("info", status, "settings.1") for status in (204, 404, 404, 404)
    ]
    audited = [json.loads(line)["request_id"] for line in audit.read_text().splitlines()]
    assert audited == answered


def test_a_traceback_in_the_log_is_the_kind_of_its_error_alone():
    try:
        raise KeyError(ID)
    except KeyError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "broken", (), sys.exc_info())
    line = JsonLines().format(record)
    assert json.loads(line)["error"] == "KeyError"
    assert "anna" not in line


def test_an_error_of_the_server_is_one_line_without_its_text(store, caplog):
    app = app_of(store)

    def broken(customer_id: str):
        try:
            raise KeyError(customer_id)
        except KeyError as error:
            raise RuntimeError(f"score 0.79 of {customer_id}") from error

    with pytest.MonkeyPatch.context() as patch, web.client(app) as api:
        patch.setattr(type(store), "customer", lambda _, customer_id: broken(customer_id))
        answer = api.get(f"/v1/customers/{ID}", headers=HEADERS)
    assert answer.status_code == 500
    assert "anna" not in answer.text + caplog.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "RuntimeError from KeyError at http/test_request_log.py:" in record.message
    assert "GET /v1/customers/{customer_id:path}" in record.message
    assert "0.79" not in record.message
    assert record.exc_info is None
    assert "\n" not in record.message


def test_a_client_who_goes_away_is_one_line(store, caplog):
    app = app_of(store)
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/customers/lookup",
        "raw_path": b"/v1/customers/lookup",
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [
            (b"host", b"localhost"),
            (b"x-api-key", web.KEY.encode()),
            (b"content-type", b"application/json"),
        ],
    }
    with web.client(app) as api:
        api._portal.call(app, scope, receive, send)
    assert [record.message for record in caplog.records] == [
        "the client went away: POST /v1/customers/lookup"
    ]
    assert ClientDisconnect.__name__ not in caplog.text


def test_errors_of_the_database_hide_what_was_written(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'stagecast.db'}")
    row = server_secrets.insert().values(name=ID, value="0.79")
    with engine.begin() as connection:
        connection.execute(row)
    with engine.connect() as connection, pytest.raises(IntegrityError) as error:
        connection.execute(row)
    engine.dispose()
    assert "anna" not in str(error.value)
    assert "0.79" not in str(error.value)


def test_every_route_with_a_customer_in_its_path_is_hashed_by_that_name():
    assert {
        name
        for _, path in ROUTE_SCOPES
        for name in re.findall(r"{([^}:]*)", path)
        if "customer" in name
    } == {"customer_id"}


def test_the_server_lets_nobody_write_its_log_or_the_address_of_a_caller(tmp_path, monkeypatch):
    """uvicorn's own lines have paths, and it believes any process of this machine."""
    servers = []
    monkeypatch.setattr(
        "stagecast.serving.http.server.DrainingServer.run",
        lambda self, sockets: servers.append(self),
    )
    serve(Settings(store=f"sqlite:///{tmp_path / 'stagecast.db'}"), None, as_json=True)
    assert servers[0].config.access_log is False
    assert servers[0].config.proxy_headers is False

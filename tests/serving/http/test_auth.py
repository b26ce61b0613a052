"""Who gets in: addresses, keys, host names."""

from __future__ import annotations

import base64
import itertools

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import single_routes
from stagecast.serving.http.app import create_app
from stagecast.serving.http.auth import check_bind
from stagecast.serving.http.content_types import BODY_METHODS
from stagecast.serving.http.cookies import SIGN_IN, SIGN_OUT
from stagecast.serving.settings import Settings, load_settings
from tests.serving import published, web

SECOND = "another-key-of-24-chars!"
ADDRESSES = (f"203.0.113.{number}" for number in itertools.cycle(range(256)))
"""A wrong key counts against its address, so each request of these tests has another one."""


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auth")
    store = published.open_store(folder, published.scores(5))
    app = web.app_with(
        folder,
        store=store,
        scorer=web.FakeScorer(),
        host="0.0.0.0",
        api_keys=(web.KEY, SECOND),
        trusted_proxies=("127.0.0.1",),
    )
    with web.client(app, host="shop.example") as client:
        yield client
    store.close()


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"]
)
def test_this_machine_needs_no_key(host):
    check_bind(host, ())


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "",
        "192.168.1.5",
        "shop.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
    ],
)
def test_other_addresses_are_refused_without_keys_and_allowed_with(host, tmp_path):
    with pytest.raises(UsageError, match="STAGECAST_API_KEYS"):
        check_bind(host, ())
    with pytest.raises(UsageError, match="STAGECAST_API_KEYS"):
        create_app(Settings(host=host), scorer_loader=lambda _: web.FakeScorer())
    check_bind(host, (web.KEY,))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {web.KEY}"},
        {"authorization": f"bearer {SECOND}"},
        {"x-api-key": SECOND},
        basic("", web.KEY),
        basic("anna", SECOND),
    ],
)
@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/customers", "/v1/model"])
def test_a_key_opens_everything(locked, path, headers):
    assert locked.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {web.KEY}x"},
        {"authorization": f"Bearer {web.KEY[:-1]}"},
        {"authorization": f"Bearer {web.KEY},{SECOND}"},
        {"authorization": web.KEY},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic /w=="},
        {"x-api-key": ""},
        {"x-api-key": web.KEY.upper()},
        {"x-api-key": "ключ".encode()},
        basic(web.KEY, ""),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/openapi.json", "/v1/customers", "/v1/customers/a"],
)
def test_without_a_key_nothing_is_shown(locked, path, headers):
    answer = locked.get(path, headers={"x-forwarded-for": next(ADDRESSES)} | headers)
    assert answer.status_code == 401
    kind = "Bearer" if path.startswith("/v1/") else "Basic"
    assert answer.headers["www-authenticate"].startswith(kind)
    assert "c0001" not in answer.text


@pytest.mark.parametrize(
    "path", ["//v1/customers", "/livez/../v1/customers", "/livez/", "/v1/x;/livez", "/LIVEZ"]
)
def test_no_spelling_of_a_path_goes_around_the_keys(locked, path):
    assert locked.get(path).status_code == 401


def test_health_needs_no_key(locked):
    assert locked.get("/livez").status_code == 200
    assert locked.get("/readyz").status_code == 200


def test_posting_needs_a_key_too(locked):
    assert locked.post("/v1/score", json={}).status_code == 401


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "localhost:8000", "127.0.0.1:9", "LocalHost"]
)
def test_this_machine_by_its_names(tmp_path, host):
    with web.client(web.app_with(tmp_path)) as api:
        assert api.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost.evil.example", "127.0.0.1.nip.io", "", "[::2]", "evil.example:8000"]
)
def test_a_foreign_name_for_this_machine_is_refused(tmp_path, host):
    with web.client(web.app_with(tmp_path)) as api:
        answer = api.get("/v1/customers", headers={"host": host})
        assert answer.status_code == 421
        assert "STAGECAST_ALLOWED_HOSTS" in answer.json()["detail"]


def test_a_host_that_was_allowed_is_answered(tmp_path):
    with web.client(web.app_with(tmp_path, allowed_hosts=("scores.shop.example",))) as api:
        assert api.get("/", headers={"host": "scores.shop.example:8000"}).status_code == 200
        assert api.get("/", headers={"host": "other.shop.example"}).status_code == 421


def test_hosts_are_checked_with_keys_too_where_they_are_named(tmp_path):
    app = web.app_with(tmp_path, api_keys=(web.KEY,), allowed_hosts=("shop.example",))
    with web.client(app) as api:
        key = {"x-api-key": web.KEY}
        assert api.get("/", headers=key | {"host": "shop.example"}).status_code == 200
        assert api.get("/", headers=key | {"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_a_foreign_page_cannot_write_through_a_form(tmp_path, kind):
    app, form = web.app_with(tmp_path), {"content-type": kind}
    written = [
        (method, route.path)
        for route in single_routes(app.routes)
        for method in sorted((getattr(route, "methods", None) or set()) & BODY_METHODS)
        if route.path not in (SIGN_IN, SIGN_OUT)
    ]
    assert len(written) >= 10
    with web.client(app) as api:
        for method, path in written:
            answer = api.request(
                method, path.format(name="a", number=1), content=b"{}", headers=form
            )
            assert (method, path, answer.status_code) == (method, path, 415)
        for method in ("PUT", "PATCH"):
            answer = api.request(method, "/v1/customers/a", content=b"{}", headers=form)
            assert (answer.status_code, answer.json()["type"][-14:]) == (405, "method-refused")


def test_a_program_need_not_name_the_type_of_a_body_that_it_does_not_send(tmp_path):
    with web.client(web.app_with(tmp_path)) as api:
        address = "/v1/plans/autumn/freeze"
        assert api.post(address).json()["type"] == "urn:stagecast:problem:plan-unknown"
        for of_browser in (
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"content-type": "text/plain"},
        ):
            assert api.post(address, headers=of_browser).status_code == 415
        assert api.post(address, content=b"{}").status_code == 415
        assert api.post(address, headers={"transfer-encoding": "chunked"}).status_code == 415


@pytest.mark.parametrize(
    "keys", ["short", f"{web.KEY},short", "with blanks in it here", "ключ-из-многих-букв-да"]
)
def test_a_weak_key_is_refused_and_not_shown(monkeypatch, keys):
    monkeypatch.setenv("STAGECAST_API_KEYS", keys)
    with pytest.raises(UsageError, match="STAGECAST_API_KEYS: key") as error:
        load_settings()
    assert keys not in str(error.value)


def test_keys_come_from_the_environment_and_from_a_file(monkeypatch, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# of the shop\n{SECOND}\n\n")
    monkeypatch.setenv("STAGECAST_API_KEYS", f" {web.KEY} ,")
    monkeypatch.setenv("STAGECAST_API_KEYS_FILE", str(file))
    settings = load_settings()
    assert settings.keys == (web.KEY, SECOND)
    assert web.KEY not in repr(settings)
    assert SECOND not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("STAGECAST_PORT", "http", "STAGECAST_PORT 'http'"),
        ("STAGECAST_PORT", "70000", "STAGECAST_PORT '70000'"),
        ("STAGECAST_MAX_BODY_BYTES", "-1", "STAGECAST_MAX_BODY_BYTES '-1'"),
        ("STAGECAST_API_KEYS_FILE", "/nowhere/keys", "API keys '/nowhere/keys' cannot be read"),
    ],
)
def test_a_setting_that_will_not_do_names_its_variable(monkeypatch, variable, value, says):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=says):
        load_settings()


def test_the_command_line_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("STAGECAST_STORE", "from-environment.db")
    assert load_settings(store=None).store == "sqlite:///from-environment.db"
    assert load_settings(store="given.db").store == "sqlite:///given.db"
    with pytest.raises(UsageError, match="--port '99999'"):
        load_settings(port=99999)


def test_tracking_falls_back_to_the_variable_of_mlflow(monkeypatch):
    monkeypatch.delenv("STAGECAST_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert load_settings().tracking_uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert load_settings().tracking_uri == "http://mlflow:5000"
    monkeypatch.setenv("STAGECAST_TRACKING_URI", "sqlite:///own.db")
    assert load_settings().tracking_uri == "sqlite:///own.db"
    assert load_settings(tracking_uri="sqlite:///given.db").tracking_uri == "sqlite:///given.db"

"""Sign-in with a key: what the cookie opens, how it ends, and who may not use it."""

from __future__ import annotations

import itertools
import json
import re
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import sqlalchemy as sa

from stagecast.serving.http.app import create_app
from stagecast.serving.http.cookies import local_path
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.keys.limits import FAILURES
from stagecast.serving.keys.ring import RELOAD_SECONDS
from stagecast.serving.keys.sessions import LIFETIME
from stagecast.serving.settings import Settings
from stagecast.serving.store.key_tables import sessions
from tests.serving import published, web
from tests.serving.http.test_access import Clock

FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PLAN = {"name": "spring", "contacts": 20}
NUMBERS = itertools.count()


class Shop:
    """A server with keys in its store, a clock that tests set, and a browser's requests."""

    def __init__(self, client, clock, engine, audit):
        self.client, self.clock, self.engine, self.audit = client, clock, engine, audit
        self.book = KeyBook(engine)

    def key(self, *scopes, lifetime=timedelta(days=9)):
        """Make a key; the server reads the keys of its store again."""
        name = f"team-{next(NUMBERS)}"
        made = self.book.create(name, scopes or ("read", "plan"), self.clock.now, lifetime)
        self.clock.now += timedelta(seconds=RELOAD_SECONDS)
        return made

    def post(self, key, next_path=None, headers=FORM, path="/sign-in", **cookie):
        fields = {"key": key} | ({} if next_path is None else {"next": next_path})
        number = next(NUMBERS)
        address = f"198.51.{number // 250}.{number % 250}"
        headers = {"x-forwarded-for": address, **headers, **cookie}
        return self.client.post(path, content=urlencode(fields), headers=headers)

    def cookie(self, *scopes):
        """Sign in with a new key, and return the header of a browser that did."""
        made = self.key(*scopes)
        return made, cookie_of(self.post(str(made.text)))


def cookie_of(answer):
    assert answer.status_code == 303, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sign-in")
    store = published.open_store(folder, published.scores(40))
    clock, audit = Clock(), folder / "audit.jsonl"
    KeyBook(store.engine).create("first", ("metrics",), clock.now, None)
    settings = Settings(
        store="sqlite:///unused.db", trusted_proxies="127.0.0.1", audit_log=audit, model="bundle"
    )
    app = create_app(settings, scorer_loader=lambda _: web.FakeScorer(), store=store, clock=clock)
    with web.client(app) as client:
        # this client would keep cookies by itself, and tests say what a browser sends
        client._http.cookies.jar.set_policy(NoCookies())
        yield Shop(client, clock, store.engine, audit)
    store.close()


class NoCookies(DefaultCookiePolicy):
    """Keeps no cookie."""

    def set_ok(self, cookie, request):
        return False


@pytest.mark.parametrize("path", ["/", "/customers?stage=new&sort=-clv", "/customers/a%2Fb%20c"])
def test_a_browser_is_led_to_the_sign_in_and_back_to_the_page(shop, path):
    led = shop.client.get(path, headers=BROWSER)
    assert led.status_code == 303
    target = urlsplit(led.headers["location"])
    assert target.path == "/sign-in"
    form = shop.client.get(led.headers["location"], headers=BROWSER)
    assert form.status_code == 200
    assert "www-authenticate" not in form.headers
    back = parse_qs(target.query).get("next", ["/"])[0]
    answer = shop.post(str(shop.key().text), next_path=back)
    assert (answer.status_code, answer.headers["location"]) == (303, path)


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/customers/a"])
def test_a_program_gets_no_form(shop, path):
    answer = shop.client.get(path, headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert shop.client.get("/", headers={"accept": "*/*"}).status_code == 401


def test_the_password_of_a_user_works_as_before(shop):
    made = shop.key("read")
    answer = shop.client.request("GET", "/", auth=("anna", str(made.text)), headers=BROWSER)
    assert answer.status_code == 200
    assert "/sign-out" not in answer.text


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(shop):
    key = str(shop.key().text)
    header = shop.post(key).headers["set-cookie"]
    name, *attributes = header.split("; ")
    assert name.startswith("stagecast_session=")
    assert set(attributes) == {"Path=/", "Max-Age=43200", "SameSite=Strict", "HttpOnly"}
    assert key not in header
    secure = shop.post(key, headers=FORM | {"x-forwarded-proto": "https"}).headers["set-cookie"]
    assert secure.startswith("__Host-stagecast_session=")
    assert secure.endswith("; Secure")


def test_a_session_reads_and_plans_but_never_scores_or_erases(shop):
    _, cookie = shop.cookie("read", "plan", "export", "score", "admin")
    page = shop.client.get("/", headers=cookie | BROWSER)
    assert page.status_code == 200
    assert 'action="/sign-out"' in page.text
    assert shop.client.get("/v1/customers?format=csv", headers=cookie).status_code == 200
    json_from_page = cookie | {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    body = json.dumps(PLAN | {"name": "of-a-session"})
    answer = shop.client.post("/v1/plans", content=body, headers=json_from_page)
    assert answer.status_code == 201, answer.text
    refused = shop.client.request("DELETE", "/v1/customers/nobody", headers=json_from_page)
    assert refused.status_code == 403
    assert shop.client.post("/v1/score", content=b"{}", headers=json_from_page).status_code == 403


def test_a_session_has_no_scope_that_its_key_has_not(shop):
    _, cookie = shop.cookie("read")
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 200
    assert shop.client.get("/v1/customers?format=csv", headers=cookie).status_code == 403
    answer = shop.post(str(shop.key("score", "metrics").text))
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9000"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost@evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:x"},
        {"origin": "file://localhost"},
        {},
    ],
)
def test_a_page_of_somebody_else_can_change_nothing_by_the_cookie(shop, origin):
    _, cookie = shop.cookie("read", "plan")
    headers = cookie | origin | {"content-type": "application/json"}
    body = json.dumps(PLAN | {"name": "stolen"})
    answer = shop.client.post("/v1/plans", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"][-10:]) == (403, "cross-site")
    assert shop.client.request("DELETE", "/v1/plans/none", headers=headers).status_code == 403
    out = shop.client.post("/sign-out", content=b"", headers=cookie | origin)
    assert out.status_code == 403
    assert shop.client.get("/v1/plans/stolen", headers=cookie).status_code == 404
    # nor sign somebody in to a session of its own
    own = shop.post(str(shop.key().text), headers={"content-type": FORM["content-type"]} | origin)
    assert own.status_code == 403
    assert "set-cookie" not in own.headers


def test_the_origin_alone_is_enough_without_tls(shop):
    _, cookie = shop.cookie("read", "plan")
    headers = cookie | {"origin": "http://localhost", "content-type": "application/json"}
    body = json.dumps(PLAN | {"name": "by-origin"})
    answer = shop.client.post("/v1/plans", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    form = headers | {"content-type": "text/plain"}
    assert shop.client.post("/v1/plans", content=body, headers=form).status_code == 415


def test_with_tls_a_page_without_it_is_another_origin(shop):
    key = str(shop.key().text)
    tls = {"content-type": FORM["content-type"], "x-forwarded-proto": "https"}
    assert shop.post(key, headers=tls | {"origin": "http://localhost"}).status_code == 403
    assert shop.post(key, headers=tls | {"origin": "https://localhost"}).status_code == 303


def test_a_session_ends_after_twelve_hours(shop):
    _, cookie = shop.cookie("read")
    shop.clock.now += LIFETIME - timedelta(seconds=1)
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 200
    shop.clock.now += timedelta(seconds=1)
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401
    shop.cookie("read")
    with shop.engine.connect() as connection:
        ends = connection.scalars(sa.select(sessions.c.expires_at)).all()
    assert min(ends) > shop.clock.now  # what has expired was removed


def test_a_session_ends_with_its_key(shop):
    made, cookie = shop.cookie("read")
    shop.book.revoke(made.key.id, shop.clock.now)
    shop.clock.now += timedelta(seconds=RELOAD_SECONDS)
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401
    short = shop.key("read", lifetime=timedelta(minutes=5))
    cookie = cookie_of(shop.post(str(short.text)))
    shop.clock.now += timedelta(minutes=5)
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401


def test_a_copied_cookie_is_worth_nothing_after_the_sign_out(shop):
    _, cookie = shop.cookie("read")
    out = shop.client.post("/sign-out", content=b"", headers=FORM | cookie)
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401


def test_signing_in_again_ends_the_session_before(shop):
    made, cookie = shop.cookie("read")
    again = cookie_of(shop.post(str(made.text), **cookie))
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401
    assert shop.client.get("/v1/customers", headers=again).status_code == 200


def test_nobody_makes_a_cookie_of_what_the_store_holds(shop):
    made, cookie = shop.cookie("read")
    with shop.engine.connect() as connection:
        rows = connection.execute(sa.select(sessions)).mappings().all()
    row = next(row for row in rows if row["key_id"] == made.key.id)
    token = cookie["cookie"].partition("=")[2]
    assert token not in str(rows)
    for forged in (row["token_sha256"], row["token_sha256"][:43], row["seal"][:43], "a" * 43, ""):
        headers = {"cookie": f"stagecast_session={forged}"}
        assert shop.client.get("/v1/customers", headers=headers).status_code == 401
    # a row that was moved to another key is not sealed with it
    other = shop.key("read", "admin")
    with shop.engine.begin() as connection:
        connection.execute(
            sessions.update()
            .where(sessions.c.token_sha256 == row["token_sha256"])
            .values(key_id=other.key.id)
        )
    assert shop.client.get("/v1/customers", headers=cookie).status_code == 401


def test_wrong_keys_of_an_address_are_limited_here_too(shop):
    headers = FORM | {"x-forwarded-for": "192.0.2.77"}
    answers = [
        shop.client.post("/sign-in", content="key=wrong", headers=headers)
        for _ in range(FAILURES.capacity + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * FAILURES.capacity + [429]
    assert "Retry-After" in answers[-1].headers
    right = urlencode({"key": str(shop.key().text)})
    shop.clock.now -= timedelta(seconds=RELOAD_SECONDS)
    blocked = shop.client.post("/sign-in", content=right, headers=headers)
    assert blocked.status_code == 429
    assert "set-cookie" not in blocked.headers


@pytest.mark.parametrize(
    "next_path",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/sign-in?next=/",
        "/" + "a" * 3_000,
        "",
    ],
)
def test_the_sign_in_leads_to_no_other_server(shop, next_path):
    assert local_path(next_path) == "/"
    answer = shop.post(str(shop.key().text), next_path=next_path)
    assert answer.headers["location"] == "/"
    form = shop.client.get(f"/sign-in?{urlencode({'next': next_path})}", headers=BROWSER)
    assert 'name="next" value="/"' in form.text


def test_a_path_is_no_markup(shop):
    address = "/sign-in?" + urlencode({"next": '/"><script>x'})
    form = shop.client.get(address, headers=BROWSER)
    assert "<script>x" not in form.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"key=x", "application/json", 415),
        (b"key=x", "multipart/form-data; boundary=b", 415),
        (b"key=" + b"x" * 9_000, "application/x-www-form-urlencoded", 413),
        (b"&".join([b"a=1"] * 99), "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe=%ff", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 401),
    ],
)
def test_a_bad_form_is_refused(shop, content, kind, status):
    headers = FORM | {"content-type": kind, "x-forwarded-for": "192.0.2.9"}
    assert shop.client.post("/sign-in", content=content, headers=headers).status_code == status


@pytest.mark.parametrize(("language", "word"), [("en", "Sign in"), ("ru", "Вход"), ("fa", "ورود")])
def test_the_form_speaks_the_language_of_the_browser(shop, language, word):
    headers = BROWSER | {"accept-language": language}
    form = shop.client.get("/sign-in?next=/plans", headers=headers)
    assert f"<h1>{word}</h1>" in form.text
    assert re.search(r'href="/sign-in\?next=%2Fplans&amp;lang=(ru|en)"', form.text)
    wrong = shop.client.post(
        "/sign-in",
        content="key=x&next=/plans",
        headers=headers | FORM | {"x-forwarded-for": f"192.0.3.{next(NUMBERS) % 250}"},
    )
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    assert 'name="next" value="/plans"' in wrong.text


def test_sign_in_and_out_are_lines_of_the_audit_log(shop):
    made, cookie = shop.cookie("read")
    shop.client.post("/sign-out", content=b"", headers=FORM | cookie)
    lines = [json.loads(line) for line in shop.audit.read_text().splitlines()]
    own = [(line["event"], line["status"]) for line in lines if line["key"] == made.key.id]
    assert own == [("sign-in", 303), ("sign-out", 303)]
    assert cookie["cookie"].partition("=")[2] not in shop.audit.read_text()


def test_without_keys_there_is_nothing_to_sign_in_to(tmp_path):
    with web.client(web.app_with(tmp_path)) as client:
        answer = client.get("/sign-in?next=/plans", headers=BROWSER)
        assert (answer.status_code, answer.headers["location"]) == (303, "/plans")


def test_a_key_of_the_settings_opens_a_session_that_ends_with_it(tmp_path):
    store = published.open_store(tmp_path, published.scores(3))
    with web.client(web.app_with(tmp_path, store=store, api_keys=(web.KEY,))) as client:
        cookie = cookie_of(client.post("/sign-in", content=f"key={web.KEY}", headers=FORM))
    for keys, status in (((web.KEY,), 200), (("another-key-of-24-chars!",), 401)):
        with web.client(web.app_with(tmp_path, store=store, api_keys=keys)) as client:
            assert client.get("/v1/customers", headers=cookie).status_code == status
    store.close()


def test_a_server_that_only_reads_asks_for_the_password_instead(tmp_path):
    published.open_store(tmp_path).close()
    app = web.app_with(tmp_path, api_keys=(web.KEY,), read_only=True)
    with web.client(app) as client:
        answer = client.get("/", headers=BROWSER)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")

"""The Host header and the headers of proxies, against what attackers write there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.serving.http.hosts import host_name, requested_host
from stagecast.serving.http.proxies import Proxies
from tests.serving import web

MALFORMED = [
    *("localhost:", "localhost:x", "localhost:-1", "localhost:+80", "localhost:0"),
    "localhost:65536",
    *("localhost:80:80", "localhost:8 0", "localhost:٨٠", "localhost:000080", "localhost:80 "),
    *("[::1", "::1", "[::1]x", "[::1]:", "[::1]:x", "[::1%25eth0]", "[::1%eth0]", "[localhost]"),
    *("[]", "[[::1]]", "[127.0.0.1]", "]", "[::1]:80:80", "[v1.x]"),
    *("localhost, evil.example", "localhost,localhost", "localhost;", "localhost evil.example"),
    *("user@localhost", "evil.example@localhost", "localhost/", "localhost#", "localhost?x", "/"),
    *("http://localhost", "localhost\\@evil.example", "local%68ost", "localhost\x00"),
    "localhost\t",
    *(" localhost", "localhost..", ".localhost", "..", ".", "a..b", "-a.example", "a-.example"),
    *("a" * 64, ".".join(["a" * 60] * 5), "lоcalhost", "localhost。", "*", "local*host", "'", '"'),
]  # fmt: skip
WELL_FORMED = {
    "localhost": "localhost",
    "LOCALHOST:8000": "localhost",
    "localhost.": "localhost",
    "127.0.0.1:1": "127.0.0.1",
    "[::1]": "::1",
    "[0:0:0:0:0:0:0:1]:65535": "::1",
    "xn--e1afmkfd.example": "xn--e1afmkfd.example",
    "db_1.internal": "db_1.internal",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_host_has_no_name(text):
    assert host_name(text) is None


@pytest.mark.parametrize("text", WELL_FORMED)
def test_a_host_has_its_name(text):
    assert host_name(text) == WELL_FORMED[text]


@given(st.text(max_size=300) | st.text(alphabet="localhst.:[]@/,%0189 ", max_size=40))
def test_whatever_is_written_is_a_name_of_few_characters_or_none(text):
    name = host_name(text)
    assert name is None or set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


def test_two_hosts_are_none_and_no_host_is_empty():
    assert requested_host([(b"host", b"localhost"), (b"host", b"localhost")]) is None
    assert requested_host([(b"host", b"localhost"), (b"host", b"evil.example")]) is None
    assert requested_host([(b"x-host", b"localhost")]) == ""
    assert requested_host([(b"host", "lоcalhost".encode())]) is None


@pytest.mark.parametrize(
    "text", ["localhost, evil.example", "localhost:x", "user@localhost", "[::1", "localhost/"]
)
def test_a_malformed_host_is_refused_also_with_a_key(tmp_path, text):
    for settings in ({}, {"api_keys": (web.KEY,)}):
        with web.client(web.app_with(tmp_path, **settings)) as api:
            answer = api.get("/", headers={"host": text, "x-api-key": web.KEY})
            assert answer.status_code == 400
            assert answer.json()["type"] == "urn:stagecast:problem:host-malformed"


def scope(peer: str | None, *forwarded: str, proto: str | None = None):
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"client": peer and (peer, 1), "headers": headers, "scheme": "http"}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # no proxy: the header is a claim
        ("10.0.0.7", (), "10.0.0.7"),
        ("10.0.0.7", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.7", ("1.2.3.4, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.7", ("1.2.3.4", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.7", ("1.2.3.4, 198.51.100.1, 10.1.1.1",), "198.51.100.1"),
        ("10.0.0.7", ("10.2.2.2, 10.1.1.1",), "10.2.2.2"),
        ("10.0.0.7", ("1.2.3.4, nonsense",), "10.0.0.7"),
        ("10.0.0.7", ("1.2.3.4, nonsense, 10.1.1.1",), "10.1.1.1"),
        ("10.0.0.7", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.7", ("[2001:db8:1:2:3::4]:4711",), "2001:db8:1:2::/64"),
        ("10.0.0.7", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("::ffff:10.0.0.7", ("198.51.100.1",), "198.51.100.1"),
        ("2001:db8::1", ("198.51.100.1",), "2001:db8::/64"),
        (None, ("198.51.100.1",), "unknown"),
    ],
)
def test_the_sender_is_who_no_trusted_proxy_is(peer, forwarded, client):
    assert Proxies(("10.0.0.0/8",)).client(scope(peer, *forwarded)) == client


def test_the_scheme_is_believed_from_a_trusted_proxy_alone():
    proxies = Proxies(("10.0.0.7",))
    assert proxies.scheme(scope("10.0.0.7", proto="https")) == "https"
    assert proxies.scheme(scope("10.0.0.8", proto="https")) == "http"
    for nonsense in ("javascript", "https, http", ""):
        assert proxies.scheme(scope("10.0.0.7", proto=nonsense)) == "http"


def test_nobody_is_trusted_by_default():
    assert Proxies().client(scope("127.0.0.1", "198.51.100.1")) == "127.0.0.1"

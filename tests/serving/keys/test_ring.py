"""The check of a key in memory: how soon it ends, what it reads, what it writes."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from stagecast.serving.keys import ring as ring_module
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.keys.ring import RELOAD_SECONDS, Caller, KeyRing, KeysUnreadableError
from stagecast.serving.keys.secret import new_key_text
from stagecast.serving.store.key_tables import api_keys
from tests.postgres import postgres_url  # noqa: F401
from tests.serving.keys.databases import engine  # noqa: F401

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN = "9d3f7b1c-e04a82b6f5-test"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def checked(ring: KeyRing, text: str | None, now: datetime) -> Caller | None:
    """Return who has a key as the server finds out: with a look into the store if it is due."""
    if ring.is_due(text, now):
        ring.reload(now)
    return ring.check(text, now)


@pytest.fixture
def ring(engine):  # noqa: F811
    ring = KeyRing()
    ring.attach(engine)
    return ring


def test_a_key_has_its_scopes_and_nothing_else_opens(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("score", "read"), NOW, None)
    text = str(made.text)
    assert checked(ring, text, NOW) == Caller(made.key.id, frozenset({"score", "read"}))
    other = new_key_text()
    for wrong in (
        None,
        "",
        text[:-1],
        text + "a",
        text.upper(),
        made.text.secret,
        f"{made.key.id}.{other.secret}",
        f"{other.id}.{made.text.secret}",
        str(other),
        "x" * 10_000_000,
    ):
        assert checked(ring, wrong, NOW) is None


def test_the_hash_that_is_stored_is_no_key(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    with engine.connect() as connection:
        stored = connection.scalar(sa.select(api_keys.c.secret_sha256))
    assert checked(ring, f"{made.key.id}.{stored[:43]}", NOW) is None
    assert checked(ring, stored, NOW) is None


def test_a_revoked_key_stops_within_the_stated_time(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    assert checked(ring, str(made.text), NOW) is not None
    KeyBook(engine).revoke(made.key.id, NOW)
    assert checked(ring, str(made.text), NOW + seconds(RELOAD_SECONDS)) is None


def test_a_clock_that_was_set_back_does_not_keep_a_revoked_key(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    assert checked(ring, str(made.text), NOW) is not None
    KeyBook(engine).revoke(made.key.id, NOW)
    assert checked(ring, str(made.text), NOW - timedelta(hours=1)) is None


def test_an_expired_key_stops_at_once(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, seconds(2))
    text = str(made.text)
    assert checked(ring, text, NOW + seconds(1.9)) is not None
    assert ring.check(text, NOW + seconds(2)) is None


def test_a_new_key_works_a_second_later_and_the_old_one_goes_on(engine, ring):  # noqa: F811
    book = KeyBook(engine)
    old = book.create("shop", ("read",), NOW, None)
    assert checked(ring, str(old.text), NOW) is not None
    new = book.rotate(old.key.id, NOW, timedelta(days=1))
    now = NOW + seconds(1)
    assert checked(ring, str(new.text), now) is not None
    assert checked(ring, str(old.text), now) is not None
    assert checked(ring, str(old.text), NOW + timedelta(days=1)) is None


def test_requests_do_not_read_the_store_and_guesses_once_a_second(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("score",), NOW, None)
    checked(ring, str(made.text), NOW)
    statements = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    for number in range(1_000):
        assert checked(ring, str(made.text), NOW + seconds(number * 0.0049)) is not None
    assert statements == []
    for _ in range(1_000):
        assert checked(ring, str(new_key_text()), NOW + seconds(2)) is None
    assert len(statements) == 1


def test_keys_that_cannot_be_read_open_nothing(engine, ring):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    assert checked(ring, str(made.text), NOW) is not None
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE api_keys RENAME TO hidden_keys"))
    try:
        with pytest.raises(KeysUnreadableError):
            checked(ring, str(made.text), NOW + seconds(RELOAD_SECONDS))
        assert not ring.is_empty
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE hidden_keys RENAME TO api_keys"))
    assert checked(ring, str(made.text), NOW + seconds(RELOAD_SECONDS + 1)) is not None


def test_a_server_whose_last_key_has_ended_is_not_open(engine, ring):  # noqa: F811
    ring.reload(NOW)
    assert ring.is_empty
    key = KeyBook(engine).create("shop", ("read",), NOW, seconds(1)).key
    KeyBook(engine).revoke(key.id, NOW)
    ring.reload(NOW + seconds(60))
    assert not ring.is_empty


def test_keys_of_the_settings_may_do_everything():
    ring = KeyRing(("another-key-of-24-chars!", PLAIN))
    caller = ring.check(PLAIN, NOW)
    assert caller is not None
    assert (caller.key_id, sorted(caller.scopes)) == (
        "settings.2",
        ["admin", "export", "metrics", "plan", "read", "score"],
    )
    assert ring.check(PLAIN[:-1], NOW) is None


@pytest.mark.parametrize("known", [True, False])
def test_digests_are_compared_by_the_constant_time_function_alone(
    engine,  # noqa: F811
    monkeypatch,
    known,
):
    ring = KeyRing((PLAIN, "another-key-of-24-chars!"))
    ring.attach(engine)
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    ring.reload(NOW)
    compared = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return original(first, second)

    original = hmac.compare_digest
    monkeypatch.setattr(
        ring_module, "hmac", type("Counted", (), {"compare_digest": staticmethod(compare)})
    )
    ring.check(str(made.text if known else new_key_text()), NOW)
    assert compared == [(32, 32)] * 3  # every key of the settings, and one of the store


def test_the_last_use_is_written_once_a_minute_over_all_workers(engine):  # noqa: F811
    made = KeyBook(engine).create("shop", ("read",), NOW, None)
    workers = [KeyRing(), KeyRing()]
    writes = []
    sa.event.listen(
        engine,
        "after_cursor_execute",
        lambda *call: writes.append(call[1].rowcount) if "last_used_at=" in call[2] else None,
    )
    for ring in workers:
        ring.attach(engine)
        for second in (0, 1, 30, 59.9):
            now = NOW + seconds(second)
            caller = checked(ring, str(made.text), now)
            assert caller is not None
            if ring.is_use_due(caller, now):
                ring.write_use(caller, now)
    assert writes == [1, 0]
    assert KeyBook(engine).all_keys()[0].last_used_at == NOW
    later = NOW + seconds(60)
    caller = checked(workers[0], str(made.text), later)
    assert caller is not None
    assert workers[0].is_use_due(caller, later)
    workers[0].write_use(caller, later)
    assert KeyBook(engine).all_keys()[0].last_used_at == later

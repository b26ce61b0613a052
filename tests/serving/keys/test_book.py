"""Keys in the store: what is stored of them, when they end, how many are live."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.keys.scopes import parse_scopes
from stagecast.serving.keys.secret import new_key_text, split_key
from stagecast.serving.store.key_tables import api_keys
from stagecast.serving.store.opening import open_engine
from tests.postgres import postgres_url  # noqa: F401
from tests.serving.keys.databases import engine  # noqa: F401

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_store_has_the_sha256_of_the_secret_and_nothing_of_the_secret(engine):  # noqa: F811
    made = KeyBook(engine).create("shop", ("score",), NOW, 90 * DAY)
    with engine.connect() as connection:
        row = connection.execute(sa.select(api_keys)).mappings().one()
    assert row["secret_sha256"] == hashlib.sha256(made.text.secret.encode()).hexdigest()
    assert made.text.secret not in repr(dict(row))
    assert row["expires_at"] == NOW + 90 * DAY


def test_a_secret_has_256_bits_and_is_never_the_same():
    texts = [new_key_text() for _ in range(500)]
    assert len({text.secret for text in texts}) == len({text.id for text in texts}) == 500
    assert {len(text.secret) for text in texts} == {43}  # 43 characters of 6 bits hold 256
    assert all(split_key(str(text)) == text for text in texts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a" * 56,
        "3f9c0a41b2d7." + "a" * 42,
        "3f9c0a41b2d7." + "a" * 44,
        "3F9C0A41B2D7." + "a" * 43,
        "3f9c0a41b2d7." + "a" * 42 + "é",
        "3f9c0a41b2d7." + "a" * 43 + "\n",
        " 3f9c0a41b2d7." + "a" * 43,
        "3f9c0a41b2d٧." + "a" * 43,
    ],
)
def test_what_has_not_the_form_of_a_key_is_none(text):
    assert split_key(text) is None


def test_a_key_is_live_up_to_its_expiry_and_not_at_it(engine):  # noqa: F811
    key = KeyBook(engine).create("shop", ("read",), NOW, DAY).key
    assert key.is_live(NOW + DAY - timedelta(microseconds=1))
    assert not key.is_live(NOW + DAY)
    assert KeyBook(engine).has_live_key(NOW)
    assert not KeyBook(engine).has_live_key(NOW + DAY)


def test_rotation_has_two_live_keys_and_no_third(engine):  # noqa: F811
    book = KeyBook(engine)
    old = book.create("shop", ("score", "read"), NOW, 30 * DAY)
    new = book.rotate(old.key.id, NOW + DAY, DAY)
    assert (new.key.name, new.key.scopes) == ("shop", ("score", "read"))
    assert new.key.expires_at == NOW + 31 * DAY  # as long as the old one was made for
    live = {key.id: key for key in book.all_keys() if key.is_live(NOW + DAY)}
    assert set(live) == {old.key.id, new.key.id}
    assert live[old.key.id].expires_at == NOW + 2 * DAY
    with pytest.raises(UsageError, match="two live keys"):
        book.rotate(new.key.id, NOW + DAY, DAY)
    assert len(book.all_keys()) == 2  # the third was not left behind
    third = book.rotate(new.key.id, NOW + 2 * DAY, DAY)  # the first has ended by then
    assert third.key.is_live(NOW + 2 * DAY)


def test_rotation_never_makes_an_old_key_last_longer(engine):  # noqa: F811
    book = KeyBook(engine)
    old = book.create("shop", ("read",), NOW, DAY)
    book.rotate(old.key.id, NOW, 30 * DAY)
    assert next(k for k in book.all_keys() if k.id == old.key.id).expires_at == NOW + DAY


def test_a_key_that_has_ended_cannot_be_rotated(engine):  # noqa: F811
    book = KeyBook(engine)
    first, second = (book.create(name, ("read",), NOW, DAY).key for name in ("a", "b"))
    book.revoke(second.id, NOW)
    for key, state in ((first, "expired"), (second, "revoked")):
        with pytest.raises(UsageError, match=f"{state}; make a new one"):
            book.rotate(key.id, NOW + DAY, DAY)


def test_a_name_with_a_live_key_gets_no_second_one(engine):  # noqa: F811
    book = KeyBook(engine)
    key = book.create("shop", ("read",), NOW, DAY).key
    with pytest.raises(UsageError, match=f"rotate {key.id}"):
        book.create("shop", ("read",), NOW, DAY)
    assert len(book.all_keys()) == 1
    book.revoke(key.id, NOW)
    assert book.create("shop", ("read",), NOW, None).key.expires_at is None


def test_revoking_twice_keeps_the_first_instant(engine):  # noqa: F811
    book = KeyBook(engine)
    key = book.create("shop", ("read",), NOW, None).key
    assert book.revoke(key.id, NOW).revoked_at == NOW
    assert book.revoke(key.id, NOW + DAY).revoked_at == NOW
    with pytest.raises(UsageError, match="no key 'nobody'"):
        book.revoke("nobody", NOW)


def test_rotations_at_a_time_leave_two_live_keys(engine):  # noqa: F811
    book = KeyBook(engine)
    key = book.create("shop", ("read",), NOW, None).key
    refused = []

    def rotate():
        try:
            book.rotate(key.id, NOW, DAY)
        except UsageError as error:
            refused.append(error)

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert sum(k.is_live(NOW) for k in book.all_keys()) == 2


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "x" * 64, "a\nb", "ключ", "a/b"])
def test_a_name_that_cannot_be_used_is_refused(engine, name):  # noqa: F811
    with pytest.raises(UsageError, match="cannot be used"):
        KeyBook(engine).create(name, ("read",), NOW, None)


@pytest.mark.parametrize("text", ["", ",", "red", "read,everything", "read;score"])
def test_unknown_scopes_are_refused(text):
    with pytest.raises(UsageError, match="score, read, plan, export, metrics, admin"):
        parse_scopes(text)


def test_a_store_without_the_tables_of_keys_gets_them(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = open_engine(url)  # noqa: F811
    with engine.begin() as connection:
        for name in ("api_keys", "rates", "server_secrets"):
            connection.execute(sa.text(f"DROP TABLE {name}"))
    engine.dispose()
    engine = open_engine(url)
    assert KeyBook(engine).all_keys() == []
    engine.dispose()

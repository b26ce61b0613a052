"""Keys of the command line: made, listed, revoked, rotated, with a line in the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

from stagecast.serving.keys.audit import AuditLog
from stagecast.serving.keys.book import KeyBook, MadeKey, StoredKey
from stagecast.serving.settings import load_settings
from stagecast.serving.store.store import Store


def present() -> datetime:
    """Return the present to the second, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


@contextmanager
def open_keys(url: str | None) -> Iterator[KeyBook]:
    """Open the keys of the store that an option or the settings name."""
    store = Store.open(load_settings(store=url).store)
    try:
        yield KeyBook(store.engine)
    finally:
        store.close()


def create_key(
    name: str, scopes: Sequence[str], lifetime_days: int | None, *, store: str | None
) -> MadeKey:
    """Make a key.

    Parameters
    ----------
    name, scopes
        Whose it is, and what it may do.
    lifetime_days
        How long it is valid, in days; None: until it is revoked.
    store
        The store; None: that of the settings.

    Raises
    ------
    UsageError
        The name cannot be used, or has a live key.
    """
    now = present()
    with open_keys(store) as book:
        made = book.create(name, scopes, now, _span(lifetime_days))
    _note("create", made.key.id, now)
    return made


def revoke_key(key_id: str, *, store: str | None) -> StoredKey:
    """End a key for good.

    Raises
    ------
    UsageError
        There is no such key.
    """
    now = present()
    with open_keys(store) as book:
        key = book.revoke(id_of(key_id), now)
    _note("revoke", key.id, now)
    return key


def rotate_key(
    key_id: str,
    overlap_days: int,
    lifetime_days: int | Literal["same"] | None,
    *,
    store: str | None,
) -> MadeKey:
    """Make a key in the place of another, which is valid for some days yet.

    Parameters
    ----------
    key_id
        The key to replace.
    overlap_days
        How long it is still valid, in days.
    lifetime_days
        How long the new key is valid, in days; None: until it is revoked; ``same``: as long as
        the old one was made for.
    store
        The store; None: that of the settings.

    Raises
    ------
    UsageError
        There is no such key, it is not live, or its name has two live keys already.
    """
    now = present()
    with open_keys(store) as book:
        made = book.rotate(
            id_of(key_id),
            now,
            timedelta(days=overlap_days),
            "same" if lifetime_days == "same" else _span(lifetime_days),
        )
    _note("rotate", made.key.id, now)
    return made


def id_of(text: str) -> str:
    """Return the id of a key that was typed as a whole, so that no message shows its secret."""
    return text.partition(".")[0]


def _span(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _note(change: str, key_id: str, now: datetime) -> None:
    # without a file, what the command prints is the record
    path = load_settings().audit_log
    if path is not None:
        AuditLog(path).write("keys", now, key="command line", change=change, subject=key_id)

"""What ``stagecast keys`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stagecast.features.clock import iso
from stagecast.serving.commands.console import table
from stagecast.serving.keys.book import MadeKey, StoredKey


def made_lines(made: MadeKey) -> list[str]:
    """Return a new key, with its secret, and what to know of it."""
    end = made.key.expires_at
    return [
        str(made.text),
        f"Key {made.key.id} of {made.key.name}: {', '.join(made.key.scopes)}; "
        + ("valid until it is revoked." if end is None else f"valid until {iso(end)}."),
        "It is shown this once. Send it as 'Authorization: Bearer KEY'.",
    ]


def made_json(made: MadeKey) -> dict[str, Any]:
    """Return a new key as plain data, with its secret."""
    return {**made.key.to_json(made.key.created_at), "key": str(made.text)}


def list_lines(keys: Sequence[StoredKey], now: datetime) -> list[str]:
    """Return all keys as a table.

    Parameters
    ----------
    keys
        The keys, without their secrets.
    now
        The present, UTC.
    """
    if not keys:
        return ["No keys yet; make one: stagecast keys create NAME --scopes read,score"]
    rows = [["id", "name", "scopes", "state", "expires", "last used"]]
    rows += [
        [
            key.id,
            key.name,
            ",".join(key.scopes),
            key.state(now),
            "never" if key.expires_at is None else iso(key.expires_at),
            "never" if key.last_used_at is None else iso(key.last_used_at),
        ]
        for key in keys
    ]
    return table(rows, set())

"""Who may be contacted, and when they were: loaded into the store from files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import parse_instant, to_utc
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.jobs.plans import open_store
from stagecast.serving.quoting import quote
from stagecast.serving.store.names import name_key
from stagecast.serving.store.plan_tables import contacts, profiles
from stagecast.serving.targeting.plan.uploads import ID, check_distinct, flag, read_upload

_TEXTS = ("name", "contact_key", "channel", "country")
_FLAGS = ("consent", "do_not_contact")
_ROWS = 5_000


def email_digest(address: str) -> str:
    """Return the SHA-256 of an address in small letters without blanks, as ad platforms hash it.

    >>> email_digest(" Ann@Shop.example ")[:8]
    '6a0bf011'
    """
    return sha256(address.strip().lower().encode("utf-8")).hexdigest()


def load_profiles(file: Path, *, store: str | None) -> int:
    """Store the profiles of a file, and return their number; a known customer is replaced.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The file cannot be read, a customer stands twice, or a value cannot be used; nothing is
        stored then.
    """
    rows = read_upload(file)
    check_distinct(rows, file)
    now = datetime.now(UTC)
    records = [_profile(row, file, now) for row in rows]
    with open_store(store) as opened, opened.engine.begin() as connection:
        _replace(connection, profiles, records, ("customer_id",))
    return len(records)


def load_contacts(file: Path, *, store: str | None) -> int:
    """Store when customers were contacted, and return the number of contacts.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The file cannot be read, or a time cannot; nothing is stored then.
    """
    rows = read_upload(file, required=(ID, "contacted_at"))
    records = {}
    for row in rows:
        at = _instant(row, file)
        records[row[ID], at] = {"customer_id": row[ID], "contacted_at": at, "source": "upload"}
    with open_store(store) as opened, opened.engine.begin() as connection:
        _replace(connection, contacts, list(records.values()), ("customer_id", "contacted_at"))
    return len(records)


def _profile(row: dict[str, Any], file: Path, now: datetime) -> dict[str, Any]:
    email = row.get("email")
    taken = {ID, "email", *_TEXTS, *_FLAGS}
    return {
        "customer_id": row[ID],
        **{name: str(row[name]) if row.get(name) not in (None, "") else None for name in _TEXTS},
        **{name: flag(row, name, file) for name in _FLAGS},
        "name_key": name_key(str(row["name"])) if row.get("name") not in (None, "") else None,
        "email_sha256": email_digest(str(email)) if email else None,
        "attributes": {
            name: str(value)
            for name, value in row.items()
            if name not in taken and value not in (None, "")
        },
        "updated_at": now,
    }


def _instant(row: dict[str, Any], file: Path) -> datetime:
    value = row["contacted_at"]
    try:
        return to_utc(value) if isinstance(value, datetime) else parse_instant(str(value))
    except UsageError:
        raise DataRefusedError(
            f"'{file}': contacted_at of customer '{quote(row[ID])}' is '{quote(str(value))}'; "
            "write it like 2026-11-30T09:00:00Z"
        ) from None


def _replace(
    connection: sa.Connection,
    table: sa.Table,
    records: Sequence[dict[str, Any]],
    key: Sequence[str],
) -> None:
    """Insert rows in the place of those with the same key."""
    for start in range(0, len(records), _ROWS):
        part = records[start : start + _ROWS]
        same_key = sa.and_(*(table.c[name] == sa.bindparam(f"key_{name}") for name in key))
        connection.execute(
            table.delete().where(same_key),
            [{f"key_{name}": record[name] for name in key} for record in part],
        )
        connection.execute(table.insert(), part)

"""What changed between two runs, customer by customer: the feed that an app follows."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from stagecast.serving.store.queries import CursorError
from stagecast.serving.store.tables import scores

COMPARED = ("state", "stage", "churn_band", "play")
"""Columns of which one differs where a customer has changed."""
SHOWN = (*COMPARED, "churn_probability", "value_at_risk")
Kind = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Change:
    """How a customer's score differs between two runs.

    Parameters
    ----------
    customer_id
        The customer.
    kind
        ``added``: no score in the earlier run; ``removed``: none in the later one.
    before, now
        The columns :data:`SHOWN` in the earlier and the later run; None: no score.
    """

    customer_id: str
    kind: Kind
    before: dict[str, Any] | None
    now: dict[str, Any] | None


class _Token(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    since: int
    run: int
    customer_id: str


def encode_place(since: int, run: int, customer_id: str) -> str:
    """Return the cursor after a customer, of the changes between two runs."""
    token = msgspec.json.encode(_Token(since, run, customer_id))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode("ascii")


def decode_place(text: str) -> tuple[int, int, str]:
    """Return what :func:`encode_place` encoded.

    Raises
    ------
    CursorError
        It is damaged.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        token = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, UnicodeError, msgspec.MsgspecError, RecursionError):
        raise CursorError(
            "damaged", "the cursor is damaged; take next_cursor as it is, or ask again without one"
        ) from None
    return token.since, token.run, token.customer_id


def changes_between(
    engine: sa.Engine, since: int, run: int, *, limit: int, after: str = ""
) -> list[Change]:
    """Return the customers whose scores differ between two runs, in the order of their ids.

    Parameters
    ----------
    engine
        The store.
    since, run
        Numbers of the earlier and the later run.
    limit
        Most customers to return.
    after
        Only customers with an id beyond this one.
    """
    now, before = scores.alias("now"), scores.alias("before")
    columns = [side.c[name].label(f"{label}_{name}") for side, label in
               ((before, "before"), (now, "now")) for name in SHOWN]  # fmt: skip
    differs = sa.or_(*(now.c[name].is_distinct_from(before.c[name]) for name in COMPARED))
    here = (
        sa.select(now.c.customer_id, *columns, before.c.customer_id.is_(None).label("is_one_sided"))
        .select_from(now.join(before, _same(now, before, since), isouter=True))
        .where(now.c.run_id == run, now.c.customer_id > after)
        .where(sa.or_(before.c.customer_id.is_(None), differs))
        .order_by(now.c.customer_id)
        .limit(limit)
    )
    gone = (
        sa.select(before.c.customer_id, *columns)
        .select_from(before.join(now, _same(before, now, run), isouter=True))
        .where(before.c.run_id == since, before.c.customer_id > after, now.c.customer_id.is_(None))
        .order_by(before.c.customer_id)
        .limit(limit)
    )
    with engine.connect() as connection:
        changes = [
            Change(row["customer_id"], "added", None, _side(row, "now"))
            if row["is_one_sided"]
            else Change(row["customer_id"], "changed", _side(row, "before"), _side(row, "now"))
            for row in connection.execute(here).mappings()
        ]
        changes += [
            Change(row["customer_id"], "removed", _side(row, "before"), None)
            for row in connection.execute(gone).mappings()
        ]
    return sorted(changes, key=lambda change: change.customer_id)[:limit]


def _same(first: sa.FromClause, second: sa.FromClause, run: int) -> sa.ColumnElement[bool]:
    return sa.and_(second.c.run_id == run, second.c.customer_id == first.c.customer_id)


def _side(row: Any, label: str) -> dict[str, Any]:
    return {name: row[f"{label}_{name}"] for name in SHOWN}

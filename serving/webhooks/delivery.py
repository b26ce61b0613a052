"""Delivery of webhooks: signed by the Standard Webhooks specification, retried, at least once.

Each request has ``webhook-id`` (the same in every attempt), ``webhook-timestamp`` (seconds since
1970) and ``webhook-signature``: ``v1,`` and the Base64 of HMAC-SHA256 over ``id.timestamp.body``.

Source: Standard Webhooks, https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import instant_text
from stagecast.serving.store.webhook_tables import webhooks
from stagecast.serving.webhooks import outbox
from stagecast.serving.webhooks.messages import message_of
from stagecast.serving.webhooks.receiver import PREFIX, Receiver

RETRY_AFTER = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
"""Seconds from a failed attempt to the next; after the last one the message is given up."""
TIMEOUT_SECONDS = 10
GIVE_UP_DAYS = 3
"""Older messages are not sent any more, such as those from before an address was set."""
LEASE_SECONDS = 60
"""A message that is being sent is not sent by another process for so long."""


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``.

    >>> signature("secret", "msg_1", 0, b"{}")
    'v1,sti6m5wfzVDclSKWhERritTcCYHSMVKjmU7PF5lLeh0='
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def _key(secret: str) -> bytes:
    """Return the key of a secret: its text, or what its Base64 says after ``whsec_``."""
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX))
    return secret.encode("utf-8")


def deliver_due(
    engine: sa.Engine,
    receiver: Receiver,
    now: datetime | None = None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Send the messages that are due, the oldest first, and return how many arrived.

    Several processes may call it: a message that one of them is sending is left alone by the
    others for a minute.

    Parameters
    ----------
    engine
        The store.
    receiver
        Where they are sent.
    now
        The time, UTC; None: that of the clock.
    stopped
        Asked before each message; True: the rest is left for later.
    """
    arrived = 0
    while not stopped() and (row := _take(engine, now or datetime.now(UTC))) is not None:
        arrived += _deliver(engine, receiver, row, now or datetime.now(UTC))
    return arrived


def _take(engine: sa.Engine, now: datetime) -> sa.Row[Any] | None:
    """Return the next message that is due, and keep other processes from it for a while."""
    due = (
        sa.select(webhooks)
        .where(
            webhooks.c.delivered_at.is_(None),
            webhooks.c.failed_at.is_(None),
            webhooks.c.next_at <= now,
            webhooks.c.created_at > now - timedelta(days=GIVE_UP_DAYS),
        )
        .order_by(webhooks.c.id)
        .limit(1)
    )
    with engine.begin() as connection:
        row = connection.execute(due).first()
        if row is None:
            return None
        taken = connection.execute(
            webhooks.update()
            .where(webhooks.c.id == row.id, webhooks.c.next_at == row.next_at)
            .values(next_at=now + timedelta(seconds=LEASE_SECONDS))
        )
        return row if taken.rowcount == 1 else None


def _deliver(engine: sa.Engine, receiver: Receiver, row: sa.Row[Any], now: datetime) -> bool:
    with engine.connect() as connection:
        message = message_of(connection, row.kind, row.subject, min_step=receiver.min_step)
    problem = None
    if message.data is not None:
        body = json.dumps(
            {"type": row.kind, "timestamp": instant_text(row.created_at), "data": message.data}
        ).encode("utf-8")
        problem = _post(receiver, row.message_id, body)
    with engine.begin() as connection:
        if problem is None:
            changed = connection.execute(
                webhooks.update()
                .where(webhooks.c.id == row.id, webhooks.c.delivered_at.is_(None))
                .values(delivered_at=now, attempts=row.attempts + 1, last_problem=None)
            )
            if message.rest is not None and changed.rowcount == 1:
                outbox.add(connection, row.kind, message.rest, now)
            return message.data is not None
        is_last = row.attempts >= len(RETRY_AFTER)
        wait = RETRY_AFTER[min(row.attempts, len(RETRY_AFTER) - 1)]
        connection.execute(
            webhooks.update()
            .where(webhooks.c.id == row.id)
            .values(
                attempts=row.attempts + 1,
                next_at=now + timedelta(seconds=wait),
                failed_at=now if is_last else None,
                last_problem=problem,
            )
        )
    return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed body goes to the address that was set, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _post(receiver: Receiver, message_id: str, body: bytes) -> str | None:
    """Send a message; return why it did not arrive, or None."""
    timestamp = int(datetime.now(UTC).timestamp())
    request = urllib.request.Request(
        receiver.url,
        data=body,
        method="POST",
        headers={
            "Content-Type": "application/json",
            "User-Agent": "stagecast",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(receiver.secret, message_id, timestamp, body),
        },
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return None if 200 <= answer.status < 300 else f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return f"could not be reached: {getattr(error, 'reason', error)}"[:200]

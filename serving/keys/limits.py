"""Limits over all workers: failed keys of an address, and requests of a key.

Each worker counts in memory, and asks the store only for what it lets through, so that a flood
costs the store nothing: a failed key that the worker's own bucket allows takes a token of the
shared bucket, and requests take shared tokens in batches. If the store is busy, the worker's own
bucket alone counts.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.keys.buckets import LocalBuckets, Rate, take_shared
from stagecast.serving.keys.server_secret import keyed_hash

FAILURES = Rate(capacity=10, per_second=10 / 60)
"""Failed keys of one address: ten at once, then ten a minute."""
BATCH_SHARE = 20
"""A worker takes this share of a minute's requests from the store at once."""


class FailureLimit:
    """How many wrong keys an address may send, over all workers.

    Parameters
    ----------
    rate
        Rate of each address.
    """

    def __init__(self, rate: Rate = FAILURES) -> None:
        self._rate, self._local = rate, LocalBuckets(rate)
        self._engine: sa.Engine | None = None
        self._secret = b""

    def attach(self, engine: sa.Engine, secret: bytes) -> None:
        """Share the count in a store, which gets keyed hashes of addresses."""
        self._engine, self._secret = engine, secret

    def before(self, address: str, now: float) -> float:
        """Take a token before a key is checked; return 0, or the seconds to wait.

        It is taken first and given back for a right key, so that of many requests at a time no
        more are checked than there are tokens.

        Parameters
        ----------
        address
            Where the request comes from.
        now
            Seconds since 1970, UTC.
        """
        return self._local.take(address, now)

    def right(self, address: str, now: float) -> None:
        """Give the token back."""
        self._local.give_back(address, now)

    def wrong(self, address: str, now: float) -> float | None:
        """Count a wrong key over all workers; return 0, the seconds to wait, or None: not counted.

        It waits for the store, and runs in a thread.
        """
        if self._engine is None:
            return None
        name = f"failed:{keyed_hash(self._secret, address)}"
        return take_shared(self._engine, self._rate, name, now)

    def block(self, address: str, now: float, wait: float) -> None:
        """Refuse an address at this worker for some seconds, since others have refused it."""
        self._local.empty(address, now, wait)


class RequestLimit:
    """How many requests a key may send, over all workers.

    Parameters
    ----------
    per_minute
        Requests of one key; as many may come at once.
    """

    def __init__(self, per_minute: int) -> None:
        self._rate = Rate(per_minute, per_minute / 60)
        self._batch = max(1, per_minute // BATCH_SHARE)
        self._local = LocalBuckets(self._rate)
        self._leases: dict[str, int] = {}
        self._engine: sa.Engine | None = None

    def attach(self, engine: sa.Engine) -> None:
        """Share the count in a store."""
        self._engine = engine

    def take(self, key_id: str, now: float) -> float:
        """Count a request at this worker; return 0, or the seconds to wait."""
        return self._local.take(key_id, now)

    def needs_lease(self, key_id: str) -> bool:
        """Return whether the worker must ask the store, and count the request if not."""
        left = self._leases.get(key_id, 0)
        if self._engine is None:
            return False
        if left > 0:
            self._leases[key_id] = left - 1
            return False
        return True

    def lease(self, key_id: str, now: float) -> float:
        """Take a batch of requests, or one, from the store; return 0, or the seconds to wait.

        It waits for the store, and runs in a thread.
        """
        if self._engine is None:
            return 0.0
        name = f"requests:{key_id}"
        wait: float | None = 0.0
        for count in sorted({self._batch, 1}, reverse=True):
            wait = take_shared(self._engine, self._rate, name, now, count)
            if wait == 0.0:
                self._leases[key_id] = self._leases.get(key_id, 0) + count - 1
                return 0.0
            if wait is None:
                return 0.0
        return wait or 0.0

    def block(self, key_id: str, now: float, wait: float) -> None:
        """Refuse a key at this worker for some seconds, since others have used up its requests."""
        self._local.empty(key_id, now, wait)

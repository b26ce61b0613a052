"""Token buckets: at most ``capacity`` at once, and ``per_second`` in the long run.

A bucket that was never touched is full. Those of a worker are in memory; those that workers share
are rows of the store, each changed by one statement, so that no two workers take the same token.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import sqlalchemy as sa

from stagecast.serving.store.key_tables import rates
from stagecast.serving.store.waiting import short_wait

BUCKETS_MAX = 10_000


@dataclass(frozen=True)
class Rate:
    """How many tokens a bucket holds, and how many are added per second."""

    capacity: float
    per_second: float

    def tokens(self, tokens: float, elapsed: float) -> float:
        """Return the tokens after some seconds; a clock that was set back adds none."""
        return min(self.capacity, tokens + max(elapsed, 0.0) * self.per_second)

    def wait(self, tokens: float, count: float = 1.0) -> float:
        """Return the seconds until so many tokens are there."""
        return max(0.0, (count - tokens) / self.per_second)


class LocalBuckets:
    """Buckets of one worker, at most 10,000: of more the one that was touched first is forgotten.

    It is used from the event loop alone.

    Parameters
    ----------
    rate
        Rate of each.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now: float) -> float:
        """Take a token; return 0, or the seconds until there is one.

        Parameters
        ----------
        name
            The bucket.
        now
            The present, in seconds.
        """
        tokens = self._tokens(name, now)
        if tokens < 1.0:
            return self._rate.wait(tokens)
        self._put(name, tokens - 1.0, now)
        return 0.0

    def give_back(self, name: str, now: float) -> None:
        """Put a token back that was not needed."""
        tokens = min(self._rate.capacity, self._tokens(name, now) + 1.0)
        if tokens >= self._rate.capacity:
            self._buckets.pop(name, None)
        else:
            self._put(name, tokens, now)

    def empty(self, name: str, now: float, wait: float) -> None:
        """Let a bucket have no token before ``wait`` seconds have passed."""
        self._put(name, 1.0 - wait * self._rate.per_second, now)

    def _tokens(self, name: str, now: float) -> float:
        tokens, at = self._buckets.get(name, (self._rate.capacity, now))
        return self._rate.tokens(tokens, now - at)

    def _put(self, name: str, tokens: float, now: float) -> None:
        self._buckets[name] = (tokens, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)


def take_shared(
    engine: sa.Engine, rate: Rate, name: str, now: float, count: int = 1
) -> float | None:
    """Take tokens of a bucket that all workers share.

    Parameters
    ----------
    engine
        The database.
    rate
        Rate of the bucket.
    name
        The bucket, at most 80 characters.
    now
        Seconds since 1970, UTC.
    count
        How many tokens; all of them are taken, or none.

    Returns
    -------
    float or None
        0, or the seconds until there are as many; None: the store is busy or cannot be read.
    """
    c = rates.c
    elapsed = sa.case((c.at < now, now - c.at), else_=0.0)
    filled = c.tokens + elapsed * rate.per_second
    tokens = sa.case((filled > rate.capacity, rate.capacity), else_=filled)
    taking = (
        rates.update().where(c.name == name, tokens >= count).values(tokens=tokens - count, at=now)
    )
    try:
        with short_wait(engine) as connection:
            if connection.execute(taking).rowcount:
                return 0.0
            row = connection.execute(sa.select(c.tokens, c.at).where(c.name == name)).first()
            if row is not None:
                return rate.wait(rate.tokens(row.tokens, now - row.at), count)
            # buckets that are full again need no row
            full_after = rate.capacity / rate.per_second
            kind = name.partition(":")[0]
            connection.execute(
                rates.delete().where(c.name.startswith(f"{kind}:"), c.at < now - full_after)
            )
            connection.execute(
                rates.insert().values(name=name, tokens=rate.capacity - count, at=now)
            )
            return 0.0
    except sa.exc.SQLAlchemyError:
        return None

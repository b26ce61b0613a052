"""The ledger of settled runs: a chain of hashes, in which an edited row shows.

Each row has the hash of the row before it and of its own text. Whoever edits a row, takes one out
or puts one in must write all later rows anew; the hash of the last row, which is shown with the
list, then differs from what was seen before. So does it where the last row was taken out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError
from stagecast.serving.settled.settlement import Settlement
from stagecast.serving.store.plan_tables import settled

START = "0" * 64


@dataclass(frozen=True)
class Entry:
    """A row of the ledger.

    Parameters
    ----------
    run_id
        The run that was settled.
    settled_at
        When, UTC.
    result
        :class:`Settlement` as plain data.
    hash
        Of the row and, through the row before it, of all rows before.
    """

    run_id: int
    settled_at: datetime
    result: dict[str, Any]
    hash: str


def append(connection: sa.Connection, run_id: int, result: Settlement) -> Entry:
    """Add a row to the ledger; the caller's transaction makes it lasting.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        The run is settled already.
    """
    last = connection.scalar(sa.select(settled.c.hash).order_by(settled.c.id.desc()).limit(1))
    previous, now = last or START, datetime.now(UTC)
    body = json.dumps({"run": run_id, **result.to_json()}, sort_keys=True, ensure_ascii=True)
    digest = _hash(previous, body)
    connection.execute(
        settled.insert().values(
            run_id=run_id, settled_at=now, body=body, previous_hash=previous, hash=digest
        )
    )
    return Entry(run_id, now, result.to_json(), digest)


def entries(connection: sa.Connection, newest: int | None = None) -> list[Entry]:
    """Return the rows of the ledger, the oldest first, after checking the chain.

    Parameters
    ----------
    connection
        The store.
    newest
        Only so many of the newest rows, each checked against the one before it; None: all.

    Raises
    ------
    DataRefusedError
        A row was edited, taken out or put in.
    """
    query = sa.select(settled).order_by(settled.c.id.desc())
    # one row more, whose hash the first of them follows
    limit = None if newest is None else newest + 1
    rows = connection.execute(query.limit(limit)).all()[::-1]
    if limit is not None and len(rows) == limit:
        _check(rows[1:], rows[0].hash)
        rows = rows[1:]
    else:
        _check(rows)
    result = []
    for row in rows:
        body = json.loads(row.body)
        body.pop("run")
        result.append(Entry(row.run_id, row.settled_at, body, row.hash))
    return result


def _check(rows: Sequence[Any], previous: str = START) -> None:
    for row in rows:
        number = row.id
        if row.previous_hash != previous or row.hash != _hash(previous, row.body):
            raise DataRefusedError(
                f"row {number} of the ledger of settled runs is not what was written: it or a row "
                "before it was edited, taken out or put in; restore the table 'settled' from a "
                "backup"
            )
        if json.loads(row.body)["run"] != row.run_id:
            raise DataRefusedError(
                f"row {number} of the ledger of settled runs names another run than was written"
            )
        previous = row.hash


def _hash(previous: str, body: str) -> str:
    return sha256(f"{previous}\n{body}".encode()).hexdigest()

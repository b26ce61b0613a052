"""The table of purges: which erasures still have bytes in the database's files.

A row holds no customer. The rows of an erased customer are deleted in the transaction that inserts
it; their bytes leave the files when the purge is finished.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import Instant, metadata

purges = sa.Table(
    "purges",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    # why the last attempt failed, without values of rows
    sa.Column("problem", sa.String),
    sqlite_autoincrement=True,
)

"""The table of answered writes: a write that is sent again with its key is answered, not repeated.

A row holds hashes of the key and of what was asked, and the answer. No answer to these writes names
a customer.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import Instant, metadata

answered_writes = sa.Table(
    "answered_writes",
    metadata,
    # of the API key, the route and the key of the caller
    sa.Column("name_sha256", sa.String(64), primary_key=True),
    # of the path, the parameters and the body
    sa.Column("request_sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # null while the write is being done
    sa.Column("status", sa.Integer),
    sa.Column("content", sa.LargeBinary),
    sa.Column("location", sa.String),
)

"""The tables of access to the server: keys, rates that all workers share, a secret of the server.

    api_keys          who may do what, until when; of a key its id and the hash of its secret
    rates             token buckets; their names are keyed hashes of addresses, or ids of keys
    server_secrets    what keys the hashes of the audit log
    sessions          browsers that signed in with a key; of a token its hash

None of them holds the id of a customer.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import ID, Instant, metadata

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("name", ID, nullable=False),
    sa.Column("secret_sha256", sa.String(64), nullable=False),
    # comma-separated
    sa.Column("scopes", sa.String, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
    # to the minute
    sa.Column("last_used_at", Instant),
)
sa.Index("api_keys_by_name", api_keys.c.name)

rates = sa.Table(
    "rates",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("tokens", sa.Float(53), nullable=False),
    # seconds since 1970, UTC
    sa.Column("at", sa.Float(53), nullable=False),
)

server_secrets = sa.Table(
    "server_secrets",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(64), nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_sha256", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.String(40), nullable=False),
    # HMAC of the key's digest under the token, which stands nowhere
    sa.Column("seal", sa.String(64), nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
)
sa.Index("sessions_by_end", sessions.c.expires_at)

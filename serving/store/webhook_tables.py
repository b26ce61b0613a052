"""The table of webhooks: what is to be sent, how often it was tried, and when it arrived.

A row holds no customer: what a webhook says of customers is read from the scores when it is sent,
so that nothing has to be erased here.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import Instant, metadata

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    # the same for every attempt, so that the receiver can drop what arrives twice
    sa.Column("message_id", sa.String(40), nullable=False, unique=True),
    sa.Column("kind", sa.String, nullable=False),
    # what is to be read from the store: a plan, or two runs and where their list goes on
    sa.Column("subject", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
    sa.Column("delivered_at", Instant),
    sa.Column("failed_at", Instant),
    # the last answer, without its text
    sa.Column("last_problem", sa.String),
    sqlite_autoincrement=True,
)
sa.Index("webhooks_due", webhooks.c.delivered_at, webhooks.c.failed_at, webhooks.c.next_at)

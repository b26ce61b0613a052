"""The tables of jobs: batches of raw events that are scored in the background.

    jobs              state, counts and owner of each; not what was sent
      \\-< job_scores  the score of each customer, or why there is none

The rows of a job are deleted a day after it was done, and those of an erased customer with all
others of them.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import ID, Instant, metadata

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    # of the API key that sent it
    sa.Column("key_id", sa.String(80), nullable=False),
    # of the process that does it
    sa.Column("worker", sa.String(32), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    # when the process that does it last said so
    sa.Column("beat_at", Instant, nullable=False),
    sa.Column("as_of", Instant, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("stages", sa.JSON, nullable=False),
    sa.Column("customers", sa.Integer, nullable=False),
    sa.Column("scored", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    # without values of customers
    sa.Column("problem", sa.String),
)

job_scores = sa.Table(
    "job_scores",
    metadata,
    sa.Column("job_id", sa.String(32), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    # null: it could not be read
    sa.Column("customer_id", ID),
    sa.Column("score", sa.Text),
    sa.Column("error", sa.Text),
    sqlite_with_rowid=False,
)
sa.Index("job_scores_by_customer", job_scores.c.customer_id)

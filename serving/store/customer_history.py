"""A customer's last published score, and the scores of the runs before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.serving.store import stored_scores
from stagecast.serving.store.tables import runs, scores


@dataclass(frozen=True)
class PastScore:
    """A customer's score in one run.

    ``stage`` is a stage of ``scheme``, ``zone`` the zone whose days were counted (None: UTC), and
    ``currency`` the code of the currency of the amounts (None: not known). ``run`` is the number of
    the run.
    """

    as_of: datetime
    stage: str
    churn_probability: float | None
    value_at_risk: float | None
    clv: float | None
    model_version: str
    scheme: str
    zone: str | None = None
    currency: str | None = None
    run: int | None = None


@dataclass(frozen=True)
class CustomerRecord:
    """A customer's last published score, and the history.

    Parameters
    ----------
    document
        The score that was published last, as the text of a JSON object.
    history
        All published scores, latest first.
    previous_document
        The score of the latest earlier as_of with the same scheme and horizon, as the text of a
        JSON object; None: there is none.
    zone
        Zone whose days the last score counts; None: UTC.
    currency
        Code of the currency of its amounts; None: not known.
    run
        Number of the run of the last score.
    """

    document: str
    history: list[PastScore]
    previous_document: str | None = None
    zone: str | None = None
    currency: str | None = None
    run: int | None = None

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop of the last score."""
        return clock_named(self.zone or "UTC")


def customer_record(engine: sa.Engine, customer_id: str) -> CustomerRecord | None:
    """Return the last published score of a customer and the history, or None if unknown."""
    c = scores.c
    history_query = (
        sa.select(
            runs.c.id,
            runs.c.as_of,
            *(c.stage, c.churn_probability, c.value_at_risk, c.clv),
            *(runs.c.model_version, runs.c.scheme_id, runs.c.zone, runs.c.currency),
            runs.c.horizon_days,
        )
        .select_from(scores.join(runs, runs.c.id == c.run_id))
        .where(c.customer_id == customer_id, runs.c.published_at.is_not(None))
        .order_by(runs.c.as_of.desc(), runs.c.id.desc())
    )
    with engine.connect() as connection:
        rows = connection.execute(history_query).all()
        if not rows:
            return None
        last_run_id = max(row[0] for row in rows)
        document = stored_scores.scores_of(connection, last_run_id, [customer_id]).get(customer_id)
        if document is None:
            return None  # erased since the query before
        last = next(row for row in rows if row[0] == last_run_id)
        previous_run_id = next(
            (
                row[0]
                for row in rows
                if row.as_of < last.as_of
                and (row.scheme_id, row.horizon_days) == (last.scheme_id, last.horizon_days)
            ),
            None,
        )
        previous_document = None
        if previous_run_id is not None:
            previous_document = stored_scores.scores_of(
                connection, previous_run_id, [customer_id]
            ).get(customer_id)
    history = [replace(PastScore(*row[1:-1]), run=row[0]) for row in rows]
    return CustomerRecord(
        document, history, previous_document, last.zone, last.currency, last_run_id
    )

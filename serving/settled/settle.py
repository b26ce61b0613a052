"""Runs of the store whose horizon has passed are settled from a later log."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from stagecast.features.clock import instant_text
from stagecast.features.contracts import Terms
from stagecast.features.errors import DataRefusedError, NotEnoughDataError, StagecastError
from stagecast.features.events import EventLog
from stagecast.serving.settled.ledger import Entry, append
from stagecast.serving.settled.settlement import Said, settlement
from stagecast.serving.store.plan_tables import settled
from stagecast.serving.store.tables import runs, scores
from stagecast.serving.targeting.plan.observed import observe
from stagecast.serving.targeting.plan.sources import is_contract

_COLUMNS = (
    "customer_id",
    "state",
    "stage",
    "churn_band",
    "method",
    "p_inactive",
    "expected_orders",
    "expected_spend",
)
_TEXTS = 5


def settle_due(engine: sa.Engine, log: EventLog, as_of: datetime) -> list[Entry]:
    """Settle the published runs whose horizon is over at an as_of, and return their rows.

    Runs whose churn is the end of a contract are settled by the contracts of the log, while the
    model of the run, which says what begins and cancels one, can be read. Not settled are runs of
    which the log knows nothing: it begins after their as_of, or has other customers.

    A second publication for the same as_of and horizon is settled as well: each row is of a run.

    Parameters
    ----------
    engine
        The store.
    log
        The log with what came.
    as_of
        End of what is known of it.
    """
    with engine.connect() as connection:
        due = connection.execute(
            sa.select(
                *(runs.c.id, runs.c.as_of, runs.c.horizon_days, runs.c.model_version),
                *(runs.c.customers, runs.c.published_at, runs.c.model_path),
            )
            .where(
                runs.c.published_at.is_not(None),
                runs.c.id.not_in(sa.select(settled.c.run_id)),
            )
            .order_by(runs.c.id)
        ).all()
    known = log.clock.shop(as_of)
    result = []
    for run in due:
        end = log.clock.shop(run.as_of) + timedelta(days=run.horizon_days)
        if end > known:
            continue
        with engine.connect() as connection:
            of_contracts = is_contract(connection, run.id)
        terms = None
        if of_contracts:
            terms = _contract_terms(run.model_path)
            if terms is None:
                continue
        entry = _settle(engine, log, run, as_of, terms)
        result += [] if entry is None else [entry]
    return result


def _contract_terms(model_path: str) -> Terms | None:
    """Return what begins and cancels a contract; None where the model cannot be read."""
    from stagecast.training.bundle import load_bundle  # slow to import

    try:
        terms: Terms | None = load_bundle(Path(model_path)).models.plan.terms
    except StagecastError:
        return None
    return terms


def _settle(
    engine: sa.Engine,
    log: EventLog,
    run: Any,
    as_of: datetime,
    terms: Terms | None,
) -> Entry | None:
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(*(scores.c[name] for name in _COLUMNS)).where(scores.c.run_id == run.id)
        ).all()
    if not rows:
        return None
    columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True))
    ids = [str(id_) for id_ in columns["customer_id"]]
    arrays = {
        name: np.array(columns[name], dtype=object if k < _TEXTS else np.float64)
        for k, name in enumerate(_COLUMNS)
    }
    arrays.pop("customer_id")
    looks = np.array([run.horizon_days], dtype=np.int64)
    try:
        observed = observe(log, ids, run.as_of, run.horizon_days, until=as_of, looks=looks)
        stayed = None
        if terms is not None:
            of_contracts = observe(
                log, ids, run.as_of, run.horizon_days, until=as_of, looks=looks, terms=terms
            )
            stayed = of_contracts.orders[:, -1] > 0
    except (NotEnoughDataError, DataRefusedError):
        return None
    spend = observed.spend
    result = settlement(
        Said(**arrays),
        observed.orders[:, -1],
        None if spend is None else spend[:, -1],
        as_of=instant_text(run.as_of),
        horizon_days=run.horizon_days,
        model_version=run.model_version,
        customers=run.customers,
        kept=stayed,
        in_time=run.published_at < run.as_of + timedelta(days=run.horizon_days),
    )
    try:
        with engine.begin() as connection:
            return append(connection, run.id, result)
    except sa.exc.IntegrityError:
        return None  # another process settled it meanwhile

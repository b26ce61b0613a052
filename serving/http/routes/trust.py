"""What the scores rest on: earlier scores against what came, the model's card, what was read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from stagecast.features.errors import DataRefusedError
from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import RunDep, StoreDep
from stagecast.serving.monitor.kept import drift_of
from stagecast.serving.settled.ledger import entries
from stagecast.serving.store.evidence import stored_evidence
from stagecast.serving.store.monitor_tables import last_monitoring
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

router = APIRouter(prefix="/v1", tags=["model"])


@router.get(
    "/trust",
    summary="What the published scores rest on, and how true earlier ones were",
    responses={**json_response("TrustAnswer"), **problem_responses(404)},
)
def trust(store: StoreDep, run: RunDep) -> dict[str, Any]:
    """Return the settled runs, the latest first, each with what was said and what came by churn
    band, stage and method; the card of the model of the current run; and the counts of the report
    on its data. `card` and `data` are null where the run was published without them. `drift` is
    what the last `stagecast monitor` with this store said of its model, which may be another one
    than that of the run; null: there was none.
    """
    return trust_of(store, run)


def trust_of(store: Store, run: Run) -> dict[str, Any]:
    """Return what the API answers about a run."""
    stored = stored_evidence(store.engine, run.id)
    watched = last_monitoring(store.engine)
    problem, settled = None, []
    try:
        with store.engine.connect() as connection:
            settled = entries(connection)[::-1]
    except DataRefusedError as error:
        problem = str(error)
    return {
        "as_of": run.as_of,
        "data_cutoff": run.data_cutoff,
        "published_at": run.published_at,
        "model_version": run.model_version,
        "scheme": run.scheme_id,
        "customers": run.customers,
        "settled": [
            {**entry.result, "settled_at": entry.settled_at, "hash": entry.hash}
            for entry in settled
        ],
        "ledger_problem": problem,
        "card": stored.get("card"),
        "data": stored.get("data"),
        "drift": None if watched is None else drift_of(watched),
    }

"""Metrics of the server for Prometheus: requests, model, published run, the last monitoring."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime

import anyio.to_thread
from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from stagecast.features.clock import parse_instant
from stagecast.features.errors import StagecastError
from stagecast.serving.http.rollout_metrics import rollout_families
from stagecast.serving.http.state import State, StateDep
from stagecast.serving.metrics.samples import Family, gauge, merged, text_of
from stagecast.serving.metrics.workers import EVERY_SECONDS, Worker, of_others, write_own
from stagecast.serving.store.monitor_tables import last_monitoring
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STORE_SECONDS = 5.0
_logger = logging.getLogger("stagecast.server")
router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="What the server counts, for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Metrics in the text format of Prometheus",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    },
)
async def get_metrics(state: StateDep) -> Response:
    """Return the metrics of all workers (with a label `worker` where there are several), of the
    published run, and of the last `stagecast monitor` that had this store.
    """
    own = worker_families(state)
    worker = state.worker
    if worker is not None:
        others = await anyio.to_thread.run_sync(of_others, worker)
        parts = {worker.name: own, **others}
        own = merged([({"worker": name}, families) for name, families in sorted(parts.items())])
    text = text_of(own)
    # of the store, which may be slow: threads of the health checks, and not for ever
    of_store = text_of([gauge("stagecast_store_up", _STORE_UP, 0.0)])
    if state.store is not None:
        with anyio.move_on_after(STORE_SECONDS):
            of_store = await anyio.to_thread.run_sync(
                _of_store, state.store, limiter=state.health_limiter(), abandon_on_cancel=True
            )
    return Response(text + of_store, media_type=MEDIA_TYPE)


def worker_families(state: State) -> list[Family]:
    """Return the metrics of this process."""
    return [
        *state.meter.families(),
        gauge(
            "stagecast_score_requests_waiting",
            "Requests for scores that wait for the batch that is being scored.",
            state.micro_batches.waiting,
        ),
        gauge(
            "stagecast_draining",
            "Whether the server was told to stop.",
            float(state.is_draining),
        ),
        gauge(
            "stagecast_model_doubt",
            "Whether an old model is served, since another one could not be; of a server that "
            "follows its model.",
            None if state.doubt is None else float(state.doubt() is not None),
        ),
        *_of_model(state),
        *rollout_families(state),
    ]


async def keep_written(state: State, worker: Worker) -> None:
    """Write the metrics of this worker for the others, until the task is cancelled."""
    while True:
        try:
            write_own(worker, worker_families(state))
        except OSError as error:
            _logger.warning("the metrics of a worker cannot be written: %s", error.strerror)
        await asyncio.sleep(EVERY_SECONDS)


def _of_model(state: State) -> list[Family]:
    if state.scorer is None:
        return [gauge("stagecast_model_loaded", "Whether events can be scored.", 0.0)]
    version = state.scorer.model_version
    as_of = state.scorer.card.get("as_of")
    families = [
        gauge("stagecast_model_loaded", "Whether events can be scored.", 1.0),
        gauge(
            "stagecast_model_info",
            "The model that scores; always 1.",
            1.0,
            model_version=version,
        ),
    ]
    if isinstance(as_of, str):
        families.append(
            gauge(
                "stagecast_model_as_of_timestamp_seconds",
                "Up to when the model has learned, Unix time.",
                parse_instant(as_of).timestamp(),
                model_version=version,
            )
        )
    return families


_STORE_UP = "Whether the store of published scores can be read."


def _of_store(store: Store) -> str:
    try:
        run, watched = store.current_run(), last_monitoring(store.engine)
    except (SQLAlchemyError, StagecastError):
        return text_of([gauge("stagecast_store_up", _STORE_UP, 0.0)])
    families = [gauge("stagecast_store_up", _STORE_UP, 1.0)]
    if run is not None:
        families += _of_run(run)
    if watched is None:
        return text_of(families)
    families.append(
        gauge(
            "stagecast_monitor_timestamp_seconds",
            "When `stagecast monitor` ran last with this store, Unix time.",
            watched.made_at.timestamp(),
            model_version=watched.model_version,
        )
    )
    return text_of(families) + watched.metrics


def _of_run(run: Run) -> list[Family]:
    labels = {"model_version": run.model_version}
    age = time.time() - run.as_of.timestamp()
    instants: list[tuple[str, str, datetime]] = [
        ("as_of", "As_of of the published scores, Unix time.", run.as_of),
        ("data_cutoff", "Last event that the published scores know, Unix time.", run.data_cutoff),
        ("published", "When the published scores became current, Unix time.", run.published_at),
    ]
    return [
        *(
            gauge(f"stagecast_run_{name}_timestamp_seconds", text, instant.timestamp(), **labels)
            for name, text, instant in instants
        ),
        gauge("stagecast_run_age_seconds", "Seconds since the as_of of the scores.", age, **labels),
        gauge("stagecast_run_customers", "Published scores.", run.customers, **labels),
    ]

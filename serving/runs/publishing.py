"""Scores written to the store that the server reads, and what a later log tells of earlier ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from stagecast.features.stages.scheme import Scheme
from stagecast.serving.runs.channels import Standings, channels_if_any
from stagecast.serving.settled.settle import settle_due
from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.logged_contacts import store_contacts

if TYPE_CHECKING:
    from stagecast.features.events import EventLog


def publish(
    url: str,
    scores: pa.Table,
    model: Path,
    scheme: Scheme,
    log: EventLog,
    as_of: datetime,
    *,
    margin: float = 1.0,
) -> None:
    """Write scores to the store, and make them the current ones.

    Then the contacts that the log knows of are stored, and the earlier runs whose horizon is over
    at the as_of are settled. Where the log has channels, the table of them is stored too.

    Parameters
    ----------
    url
        SQLAlchemy URL of the store.
    scores
        The scores.
    model
        Folder of the bundle that gave the scores.
    scheme
        Its stages.
    log
        The log that was scored.
    as_of
        Where the customers stand.
    margin
        Share of the spend that is earned, as in the scores.
    """
    store = Store.open(url)
    try:
        run_id = store.publish(scores, model_path=str(model.resolve()), scheme=scheme)
        store_contacts(store.engine, log, as_of)
        settle_due(store.engine, log, as_of)
        by_channel = channels_if_any(log, as_of, Standings.of_scores(scores), margin=margin)
        if by_channel is not None:
            store_channels(store.engine, run_id, by_channel.by, by_channel.to_json())
    finally:
        store.close()

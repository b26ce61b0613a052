"""Scores written to the store that the server reads, and what a later log tells of earlier ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from stagecast.serving.runs.channels import Standings, channels_if_any
from stagecast.serving.runs.names import store_names
from stagecast.serving.runs.permissions import store_permissions
from stagecast.serving.runs.timelines import last_events
from stagecast.serving.settings import Settings
from stagecast.serving.settled.settle import settle_due
from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.evidence import data_of_report, store_evidence
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.logged_contacts import store_contacts
from stagecast.serving.webhooks.delivery import deliver_due
from stagecast.serving.webhooks.outbox import add_moves
from stagecast.serving.webhooks.receiver import receiver_of
from stagecast.training.bundle import Bundle

if TYPE_CHECKING:
    from stagecast.features.events import EventLog


def publish(
    settings: Settings,
    scores: pa.Table,
    model: Path,
    bundle: Bundle,
    log: EventLog,
    as_of: datetime,
) -> None:
    """Write scores to the store, and make them the current ones.

    The last events of each customer, the card of the model and the counts of the data report are
    stored with them. Then the names of the table of customers and the contacts that the log knows
    of are stored, and the earlier runs whose horizon is over at the as_of are settled. Where the
    log has channels, the table of them is stored, too; webhooks tell who moved, where an address is
    set.

    Parameters
    ----------
    settings
        Name the store, and where webhooks are sent.
    scores
        The scores.
    model
        Folder of the bundle that gave the scores.
    bundle
        The bundle, which knows its stages, the zone of the shop and its currency.
    log
        The log that was scored.
    as_of
        Where the customers stand.
    """
    receiver = receiver_of(settings)  # refused before anything is written
    store = Store.open(settings.store)
    try:
        run_id = store.publish(
            scores,
            model_path=str(model.resolve()),
            scheme=bundle.models.scheme,
            zone=bundle.clock.zone,
            currency=bundle.money.currency,
            past=last_events(log, as_of),
        )
        report = data_of_report(log.report.to_json())
        store_evidence(store.engine, run_id, {"card": bundle.card, "data": report})
        with store.engine.begin() as connection:
            add_moves(connection, datetime.now(UTC))
        store_names(store.engine, log, as_of)
        store_permissions(store.engine, log, as_of)
        store_contacts(store.engine, log, as_of)
        settle_due(store.engine, log, as_of)
        margin = bundle.models.config.margin
        by_channel = channels_if_any(log, as_of, Standings.of_scores(scores), margin=margin)
        if by_channel is not None:
            store_channels(store.engine, run_id, by_channel.by, by_channel.to_json())
        if receiver is not None:
            deliver_due(store.engine, receiver)
    finally:
        store.close()

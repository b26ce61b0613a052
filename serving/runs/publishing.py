"""Scores written to the store that the server reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stagecast.serving.store.store import Store
from stagecast.training.bundle import Bundle


def publish(url: str, scores: pa.Table, model: Path, bundle: Bundle) -> None:
    """Write scores to the store, and make them the current ones.

    Parameters
    ----------
    url
        SQLAlchemy URL of the store.
    model
        Folder of the bundle that gave the scores.
    bundle
        The bundle, which knows its stages, the zone of the shop and its currency.
    """
    store = Store.open(url)
    try:
        store.publish(
            scores,
            model_path=str(model.resolve()),
            scheme=bundle.models.scheme,
            zone=bundle.clock.zone,
            currency=bundle.money.currency,
        )
    finally:
        store.close()

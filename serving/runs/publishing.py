"""Scores written to the store that the server reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stagecast.features.stages.scheme import Scheme
from stagecast.serving.store.store import Store


def publish(url: str, scores: pa.Table, model: Path, scheme: Scheme) -> None:
    """Write scores to the store, and make them the current ones.

    Parameters
    ----------
    url
        SQLAlchemy URL of the store.
    model
        Folder of the bundle that gave the scores.
    scheme
        Its stages.
    """
    store = Store.open(url)
    try:
        store.publish(scores, model_path=str(model.resolve()), scheme=scheme)
    finally:
        store.close()

"""The bundle as a model of MLflow: events and an as_of in, scores out.

The model is code and a bundle: nothing is unpickled. Where it is loaded, stagecast must be
installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stagecast.features.clock import parse_shop_time
from stagecast.features.errors import UsageError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.scoring.batch import check_as_of, snapshot
from stagecast.serving.scoring.scorer import Scorer

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("customer_id", "timestamp", "event", "amount", "channel")
"""Columns of an event; those after the second may be left out."""


def score_events(scorer: Scorer, events: pd.DataFrame, as_of: str = "") -> pd.DataFrame:
    """Return the scores of all customers of a frame of events, as ``stagecast score`` does.

    Parameters
    ----------
    events
        One row per event: ``customer_id`` and ``timestamp``, and if known ``event``, ``amount`` and
        ``channel``.
    as_of
        ISO 8601; events at or after it are ignored. Empty: the day after the last event.

    Raises
    ------
    stagecast.features.errors.StagecastError
        Columns are missing, no event can be read, or the model has seen what comes after the as_of.
    """
    missing = [name for name in COLUMNS[:2] if name not in events]
    if missing:
        raise UsageError(
            f"the events lack {', '.join(missing)}; an event has {', '.join(COLUMNS)}, of which "
            "the first two are needed"
        )
    columns = [name for name in COLUMNS if name in events and events[name].notna().any()]
    # equal events count as they did in the log of the training
    duplicates: Literal["keep", "drop"] = (
        "keep" if scorer.bundle.card.get("equal_events") == "each" else "drop"
    )
    options = ReadOptions(zone=scorer.bundle.clock.zone, duplicates=duplicates)
    with from_frame(events[columns], options) as log:
        at = log.choose_as_of(parse_shop_time(as_of, "as_of") if as_of else None)
        check_as_of(scorer.bundle, at)
        now, cutoff = snapshot(log, scorer.bundle, at)
        scores = scorer.score(now, cutoff, has_amounts=log.has_amounts)
    frame: pd.DataFrame = scores.to_pandas()
    return frame

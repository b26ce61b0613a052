"""The columns ``play`` and ``action``: what to do, by stage, risk and value together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.stages.play_choice import assign_plays
from stagecast.features.stages.scheme import Scheme


def play_columns(
    scheme: Scheme,
    bounds: Mapping[str, float],
    columns: Mapping[str, Any],
    stage: NDArray[np.int64],
) -> dict[str, Any]:
    """Return the play of each customer, null where none holds, and its action or the stage's.

    Parameters
    ----------
    scheme
        The scheme with its plays.
    bounds
        Percentiles of the training.
    columns
        The other columns of the score, shape (rows,) each.
    stage
        Position of each customer's stage, shape (rows,).
    """
    play = assign_plays(scheme.plays, columns, bounds, len(stage))
    # the last entry, at position -1, is that of customers without a play
    ids = np.array([*(p.id for p in scheme.plays), None], dtype=object)
    texts = np.array([*(p.action.get("en", "") for p in scheme.plays), ""], dtype=object)
    of_stage = np.array([s.action["en"] for s in scheme.stages], dtype=object)
    return {"play": ids[play], "action": np.where(texts[play] == "", of_stage[stage], texts[play])}

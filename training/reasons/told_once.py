"""Facts that two families of columns would tell: each is told once, with the effects of both.

Of who ordered once, the first order is the last one. The first order of a first contract began with
it, and as many orders as it had periods say how old it is. Where payments come on dates, a silence
is compared with the gap; and where gaps are longer than a window, the orders within the window say
how long ago the last one was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.reasons.due import USUAL_GAP
from stagecast.training.reasons.families import Family


def told_once(
    families: Sequence[Family], columns: Mapping[str, Array], *effects: Array
) -> tuple[Array, ...]:
    """Return the effects with those of a family that tells nothing of its own at the other one.

    Parameters
    ----------
    families
        The families.
    columns
        Feature -> values, shape (rows,).
    effects
        Arrays of shape (rows, families), which are left as they are.
    """
    moved = tuple(values.copy() for values in effects)
    for source, target, rows in _same_facts(families, columns):
        for values in moved:
            values[rows, target] += values[rows, source]
            values[rows, source] = 0.0
    return moved


def _same_facts(
    families: Sequence[Family], columns: Mapping[str, Array]
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Yield the position of a family, that of the one that tells its fact, and of which rows."""
    place = {family.feature: k for k, family in enumerate(families)}
    if "contract_days" in place:
        age, is_first = place["contract_days"], columns["earlier_contracts"] == 0
        if "T_days" in place:
            yield place["T_days"], age, is_first
        if "orders" in place:
            periods = columns["contract_days"] / columns["payment_period_days"]
            yield place["orders"], age, is_first & (np.abs(columns["orders"] - periods) <= 1.5)
    if "recency_days" not in place or "frequency" not in columns:
        return
    silence = place["recency_days"]
    if "T_days" in place:
        yield place["T_days"], silence, columns["frequency"] == 0
    if USUAL_GAP not in columns:
        return
    gaps = columns[USUAL_GAP]
    for k, family in enumerate(families):
        if family.feature == "gap_mean":
            yield k, silence, np.ones(len(gaps), dtype=np.bool_)
        elif family.window_days:
            yield k, silence, gaps > family.window_days

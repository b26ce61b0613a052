"""Risk and value of the active: how many stand where, and with how much money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.serving.reports.columns import BANDS, codes, numbers, total
from stagecast.serving.scoring.value_classes import VALUE_SHARES

Row = tuple[str, list[Mapping[str, Any] | None]]
"""A band, and its cells from the most valuable class to the least; None where nobody is."""


def grid_rows(cells: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the bands, the highest first, each with its cells by class of value.

    Parameters
    ----------
    cells
        ``band``, ``value_class`` (0 is the most valuable), ``customers`` and ``value_at_risk``.
    """
    by_place = {(cell["band"], cell["value_class"]): cell for cell in cells}
    classes = range(len(VALUE_SHARES) + 1)
    # a band without customers has a row too: that nobody is at a high risk is worth knowing
    return [
        (band, [by_place.get((band, value_class)) for value_class in classes])
        for band in (reversed(BANDS) if by_place else ())
    ]


def grid_cells(scores: pa.Table) -> list[dict[str, Any]]:
    """Return the cells of scores, as the store counts them for the first page."""
    clv, at_risk = numbers(scores, "clv"), numbers(scores, "value_at_risk")
    band = codes(scores, "churn_band", BANDS)
    known = (band >= 0) & ~np.isnan(clv)
    if not known.any():
        return []
    ranked = np.sort(clv[known])[::-1]
    limits = [ranked[min(int(share * len(ranked)), len(ranked) - 1)] for share in VALUE_SHARES]
    plays = np.asarray(scores["play"].to_pylist(), dtype=object)
    value_class = np.select([clv > limits[0], clv > limits[1]], [0, 1], 2)
    cells: list[dict[str, Any]] = []
    for code, name in enumerate(BANDS):
        for place in range(len(VALUE_SHARES) + 1):
            members = known & (band == code) & (value_class == place)
            if members.any():
                cells.append(
                    {
                        "band": name,
                        "value_class": place,
                        "customers": int(members.sum()),
                        "value_at_risk": total(at_risk[members]),
                        **_largest(plays[members]),
                    }
                )
    return cells


def _largest(plays: NDArray[np.object_]) -> dict[str, Any]:
    """Return the most frequent play of a cell, None for no play, and how many customers have it.

    Of plays with as many customers it is the first by name, as the store says it.
    """
    counts = Counter(plays.tolist()).items()
    play, customers = min(counts, key=lambda part: (-part[1], part[0] is None, part[0] or ""))
    return {"play": play, "play_customers": customers}

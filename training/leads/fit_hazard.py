"""The hazard of the first purchase by age, fitted on how long each lead was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.attributes import Texts
from stagecast.training.leads.exposure import (
    AGE_EDGES_DAYS,
    HALF_LIFE_DAYS,
    Exposure,
    Leads,
    exposure,
)
from stagecast.training.leads.fit_effects import fit_effects
from stagecast.training.leads.hazard import HazardModel

FEWEST_IN_BIN = 5
"""Conversions, seen or expected at the rate of younger ages, that a bin of age needs to stand on
its own.
"""


def fit_hazard(
    leads: Leads,
    as_of_day: float,
    categories: Mapping[str, Texts],
    *,
    edges_days: tuple[float, ...] = AGE_EDGES_DAYS,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> HazardModel:
    """Fit on what was seen before the as_of.

    Parameters
    ----------
    categories
        Column -> one text per lead, known at the first contact.
    edges_days
        Ages at which the hazard may change; bins that have not :data:`FEWEST_IN_BIN` conversions,
        nor as many to expect, are put together.
    half_life_days
        See :func:`stagecast.training.leads.exposure.exposure`.
    """
    seen = exposure(leads, as_of_day, edges_days, half_life_days)
    groups = _groups(seen)
    kept = tuple(edge for k, edge in enumerate(edges_days) if groups[k + 1] != groups[k])
    rates, effects = fit_effects(seen.merged(groups), categories)
    return HazardModel(kept, tuple(rates.tolist()), effects)


def _groups(seen: Exposure) -> NDArray[np.int64]:
    """Return the new bin of each bin of age, so that each new one has enough to tell its rate."""
    bins, days = seen.days.shape[1], seen.days.sum(axis=0)
    counts = np.bincount(seen.bin[seen.bin >= 0], minlength=bins)
    hits = np.bincount(seen.bin[seen.bin >= 0], weights=seen.hit[seen.bin >= 0], minlength=bins)

    def enough(first: int, last: int) -> bool:
        # where many were expected, to see few is as telling as to see many
        younger = hits[:first].sum() / max(days[:first].sum(), 1.0)
        return bool(
            max(counts[first:last].sum(), younger * days[first:last].sum()) >= FEWEST_IN_BIN
        )

    groups, first = np.zeros(bins, dtype=np.int64), 0
    for k in range(1, bins):
        groups[k] = groups[k - 1]
        if enough(first, k) and enough(k, bins):
            groups[k] += 1
            first = k
    return groups

"""Fitting of the hazard of the first purchase by age, on the observed time of each lead."""

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
"""Least number of conversions in a bin of age, observed or expected at the rate of younger ages."""


def fit_hazard(
    leads: Leads,
    as_of_day: float,
    categories: Mapping[str, Texts],
    *,
    edges_days: tuple[float, ...] = AGE_EDGES_DAYS,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> HazardModel:
    """Fit the hazard on the exposure and conversions before the as_of.

    Parameters
    ----------
    leads
        One entry per customer of the log.
    as_of_day
        The as_of as a day number.
    categories
        Column known at the first contact -> one text per lead.
    edges_days
        Ages at which the hazard may change; bins with fewer than :data:`FEWEST_IN_BIN` observed and
        expected conversions are merged.
    half_life_days
        See :func:`stagecast.training.leads.exposure.exposure`.
    """
    observed = exposure(leads, as_of_day, edges_days, half_life_days)
    groups = _groups(observed)
    edges = tuple(edge for k, edge in enumerate(edges_days) if groups[k + 1] != groups[k])
    rates, effects = fit_effects(observed.merged(groups), categories)
    return HazardModel(edges, tuple(rates.tolist()), effects)


def _groups(observed: Exposure) -> NDArray[np.int64]:
    """Return the merged bin of each bin of age, so that each has enough conversions."""
    bins, days = observed.days.shape[1], observed.days.sum(axis=0)
    counts = np.bincount(observed.bin[observed.bin >= 0], minlength=bins)
    hits = np.bincount(
        observed.bin[observed.bin >= 0], weights=observed.hit[observed.bin >= 0], minlength=bins
    )

    def has_enough(first: int, last: int) -> bool:
        # few conversions where many are expected are as informative as many
        younger = hits[:first].sum() / max(days[:first].sum(), 1.0)
        return bool(
            max(counts[first:last].sum(), younger * days[first:last].sum()) >= FEWEST_IN_BIN
        )

    groups, first = np.zeros(bins, dtype=np.int64), 0
    for k in range(1, bins):
        groups[k] = groups[k - 1]
        if has_enough(first, k) and has_enough(k, bins):
            groups[k] += 1
            first = k
    return groups

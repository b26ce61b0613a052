"""The effect by play, stage or band, each shrunk to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, error_of
from stagecast.serving.targeting.trial.shrinkage import shrink

FEWEST = 20
"""Customers that each arm of a segment needs for an interval of its own."""


@dataclass(frozen=True)
class Segment:
    """The effect within one segment.

    Parameters
    ----------
    label
        Name of the play, stage or band.
    contacted, held_out
        Numbers of customers.
    alone
        Effect per contacted customer from this segment alone; None with fewer than 20 customers in
        an arm, or where there is nothing to compare.
    shrunk
        The same, shrunk to the whole; the one to read. Where ``alone`` is None it says what the
        other customers say of a segment of which nothing is known.
    """

    label: str
    contacted: int
    held_out: int
    alone: Interval | None
    shrunk: Interval


def by_segment(
    outcome: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None,
    labels: Sequence[str],
    *,
    level: float = LEVEL,
) -> tuple[Segment, ...]:
    """Estimate the effect within each segment, and shrink the segments to the whole.

    Parameters
    ----------
    outcome, contacted, stratum, covariates, level
        As in :func:`stagecast.serving.targeting.trial.effect.effect_of`.
    labels
        Segment of each customer, shape (n,).

    Returns
    -------
    tuple of Segment
        In the order of the labels; empty if no segment has an estimate.
    """
    label = np.asarray(labels, dtype=object)
    names = sorted(set(labels))
    alone: dict[str, Interval] = {}
    for name in names:
        rows = label == name
        if min(contacted[rows].sum(), (~contacted[rows]).sum()) >= FEWEST:
            _estimate(alone, name, rows, (outcome, contacted, stratum, covariates), level)
    measured = dict(alone)
    if not measured:  # all are too small: they get what the whole says of one more
        everybody = np.ones(len(label), dtype=np.bool_)
        _estimate(measured, "", everybody, (outcome, contacted, stratum, covariates), level)
    if not measured:
        return ()
    shrunk = shrink(
        np.array([interval.estimate for interval in measured.values()]),
        np.array([error_of(interval, level) for interval in measured.values()]),
        level,
    )
    own = dict(zip(measured, shrunk.effects, strict=True))
    return tuple(
        Segment(
            name,
            int(contacted[label == name].sum()),
            int((~contacted[label == name]).sum()),
            alone.get(name),
            own[name] if name in alone else shrunk.unknown,
        )
        for name in names
    )


def _estimate(
    intervals: dict[str, Interval],
    name: str,
    rows: NDArray[np.bool_],
    campaign: tuple[Array, NDArray[np.bool_], Integers, Array | None],
    level: float,
) -> None:
    """Add the interval of these customers, unless there is nothing to compare."""
    outcome, contacted, stratum, covariates = campaign
    scores = None if covariates is None else covariates[rows]
    try:
        effect = effect_of(outcome[rows], contacted[rows], stratum[rows], scores, level=level)
    except NotEnoughDataError:
        return
    if 0 < effect.per_customer.width < np.inf:
        intervals[name] = effect.per_customer

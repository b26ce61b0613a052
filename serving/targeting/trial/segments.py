"""The effect by play, stage or band, each shrunk to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval
from stagecast.serving.targeting.trial.shrinkage import shrink


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
        Effect per contacted customer from this segment alone; None if it is too small for one.
    shrunk
        The same, shrunk to the whole; the one to read.
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
    alone: dict[str, tuple[Interval, float]] = {}
    for name in names:
        rows = label == name
        try:
            effect = effect_of(
                outcome[rows],
                contacted[rows],
                stratum[rows],
                None if covariates is None else covariates[rows],
                level=level,
            )
        except NotEnoughDataError:
            continue  # too small for an estimate of its own: it gets that of the whole
        alone[name] = effect.per_customer, effect.standard_error
    if not alone:
        return ()
    shrunk = shrink(
        np.array([interval.estimate for interval, _ in alone.values()]),
        np.array([error for _, error in alone.values()]),
        level,
    )
    own = dict(zip(alone, shrunk.effects, strict=True))
    return tuple(
        Segment(
            name,
            int(contacted[label == name].sum()),
            int((~contacted[label == name]).sum()),
            alone[name][0] if name in alone else None,
            own.get(name, shrunk.unknown),
        )
        for name in names
    )

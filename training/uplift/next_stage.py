"""What a contact changes in the next stage, by play: P(stage | contact) - P(stage | none), shrunk.

Within a play the arms are weighted by inverse propensity. A play of few customers says little by
itself, so that each play's effects are drawn towards those of all plays together,

    shrunk = whole + B (own - whole),     B = between / (between + noise of the play)

with the variance between plays estimated from all plays and stages. ``B`` is one number per play,
so that the effects on the stages of a play go on adding up to 0.

Source: Efron and Morris (1975), "Data analysis using Stein's estimator and its generalizations";
DerSimonian and Laird (1986), "Meta-analysis in clinical trials", equation 4, for the variance
between; Morris (1983), "Parametric empirical Bayes inference", section 5, for the interval where
that variance is estimated; Agresti (2013), "Categorical data analysis", section 1.6, for the added
customer, who has the stages of all plays (a Dirichlet prior of weight 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.uplift.estimate import Estimate

PRIOR_CUSTOMERS = 1.0


@dataclass(frozen=True)
class PlayEffect:
    """What the contacts of one play change.

    Parameters
    ----------
    play
        Name of the play.
    contacted, alone
        Customers of each arm.
    raw
        P(stage | contact) - P(stage | none) by stage, from the play alone.
    effect
        The same drawn towards all plays.
    weight
        ``B``: how much of the play's own difference from the whole is believed, 0 to 1.
    """

    play: str
    contacted: int
    alone: int
    raw: dict[str, Estimate]
    effect: dict[str, Estimate]
    weight: float


def next_stage_effects(
    play: Sequence[str],
    stage: Sequence[str],
    contacted: ArrayLike,
    propensity: ArrayLike,
    stages: Sequence[str],
) -> tuple[PlayEffect, ...]:
    """Return the effects of the plays, in the order of their names.

    Parameters
    ----------
    play
        Play that each customer was due for, length n; those left alone, too.
    stage
        Stage of each customer at the end of the horizon, length n.
    contacted
        True or 1 for the contacted, shape (n,).
    propensity
        P(contact) of each customer, strictly between 0 and 1: one number, or shape (n,).
    stages
        All stages of the scheme.

    Returns
    -------
    tuple of PlayEffect
        A play without customers in one of the arms has the effects of the whole, with the interval
        of a play that is not known yet.

    Raises
    ------
    UsageError
        Shapes do not agree, a propensity is not between 0 and 1, or a stage is not in ``stages``.
    DataRefusedError
        No play has customers in both arms.
    """
    w, n = np.asarray(contacted).astype(bool), len(play)
    e = np.broadcast_to(np.asarray(propensity, dtype=np.float64), w.shape)
    if w.shape != (n,) or len(stage) != n:
        raise UsageError(
            f"{n} plays, {len(stage)} stages and {w.shape} contacts do not belong together; give "
            "one of each per customer"
        )
    if not ((e > 0) & (e < 1)).all():
        raise UsageError("a propensity is not strictly between 0 and 1; leave such customers out")
    if unknown := sorted(set(stage) - set(stages)):
        raise UsageError(f"'{unknown[0]}' is no stage of the scheme: {', '.join(stages)}")
    reached = np.array([[at == name for name in stages] for at in stage], dtype=np.float64)
    reached = reached.reshape(n, len(stages))
    plays = sorted(set(play))
    rows = [np.array([name == p for name in play], dtype=bool) for p in plays]
    compared = [_arms(reached, w, e, part) for part in rows]
    known = [pair for pair in compared if pair is not None]
    if not known:
        raise DataRefusedError(
            "no play has both contacted customers and customers left alone; draw a hold-out with "
            "the next plan"
        )
    raw, noise = (np.array([pair[k] for pair in known]) for k in (0, 1))
    whole, whole_noise, between = _pooled(raw, noise)
    unsettled = 2 / max(len(known) - 3, 1) if len(known) > 1 else 0.0
    effects = []
    for name, part, pair in zip(plays, rows, compared, strict=True):
        own, own_noise = (whole, np.full(len(stages), math.inf)) if pair is None else pair
        believed = between / (between + float(own_noise.mean())) if between > 0 else 0.0
        shrunk = whole + believed * (own - whole)
        if pair is None:
            spread = whole_noise + between
        else:
            # what is left of the play's own noise, and the whole's as far as it is leaned on
            spread = believed * own_noise + (1 - believed) ** 2 * whole_noise
            # the variance between plays is an estimate, which a few plays do not settle
            spread = spread + unsettled * (1 - believed) ** 2 * (own - whole) ** 2
        effects.append(
            PlayEffect(
                name,
                int((part & w).sum()),
                int((part & ~w).sum()),
                {} if pair is None else _named(stages, own, own_noise),
                _named(stages, shrunk, spread),
                believed,
            )
        )
    return tuple(effects)


def _arms(
    reached: Array, w: NDArray[np.bool_], e: Array, part: NDArray[np.bool_]
) -> tuple[Array, Array] | None:
    """Return the differences of the arms by stage and their variances; None without both arms."""
    means, variances = [], []
    for rows, weight in ((part & w, 1 / e), (part & ~w, 1 / (1 - e))):
        if not rows.any():
            return None
        whole = reached.mean(axis=0)
        share = weight[rows] / weight[rows].sum()
        size = 1 / float(share @ share)
        mean = share @ reached[rows]
        smooth = (size * mean + PRIOR_CUSTOMERS * whole) / (size + PRIOR_CUSTOMERS)
        means.append(mean)
        variances.append(smooth * (1 - smooth) / size)
    return means[0] - means[1], variances[0] + variances[1]


def _pooled(raw: Array, noise: Array) -> tuple[Array, Array, float]:
    """Return the whole's effects, their variances, and the variance between plays."""
    of_play = np.maximum(noise.mean(axis=1), 1e-12)
    weight = 1 / of_play
    whole = weight @ raw / weight.sum()
    plays, stages = raw.shape
    between = 0.0
    if plays > 1 and stages > 1:
        # each stage's sum of squares has the mean sum(w v) of noise alone, less the whole's share
        squares = float((weight[:, None] * (raw - whole) ** 2).sum())
        expected = float((weight[:, None] * noise).sum() - (weight**2 @ noise).sum() / weight.sum())
        scale = stages * float(weight.sum() - weight @ weight / weight.sum())
        between = max(0.0, (squares - expected) / scale)
    weight = 1 / (of_play + between)
    whole = weight @ raw / weight.sum()
    variance = (weight**2) @ (noise + between) / weight.sum() ** 2
    return whole, variance, between


def _named(stages: Sequence[str], values: Array, variances: Array) -> dict[str, Estimate]:
    return {
        name: Estimate(float(value), math.sqrt(float(variance)))
        for name, value, variance in zip(stages, values, variances, strict=True)
    }

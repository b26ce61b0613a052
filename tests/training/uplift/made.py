"""Contacts drawn at random whose effects are known."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.uplift.trial import Trial, make_trial

NAMES = ("orders", "recency", "region", "constant")


def features(n: int, seed: int) -> Array:
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.normal(0, 1, n), random.normal(0, 1, n), random.integers(0, 4, n), np.ones(n)]
    )


def simulate(
    n: int,
    seed: int,
    *,
    spread: float = 0.15,
    binary: bool = True,
    propensity: str = "half",
    base: float = 0.2,
) -> tuple[Trial, Array]:
    """Return a trial and the true effects.

    The outcome without a contact grows with ``recency`` by ``base``; the effect is .1 on the
    average and grows with ``orders`` by ``spread`` in its middle. With ``propensity="unequal"`` the
    propensity depends on both.
    """
    X = features(n, seed)
    random = np.random.default_rng(seed + 1_000)
    alone = 0.2 + base * expit(2 * X[:, 1])
    effect = 0.1 + spread * np.tanh(X[:, 0])
    e = np.full(n, 0.5) if propensity == "half" else 0.2 + 0.6 * expit(X[:, 0] + X[:, 1])
    w = random.uniform(size=n) < e
    mean = alone + w * effect
    y = random.uniform(size=n) < mean if binary else 100 * mean + random.normal(0, 20, n)
    return make_trial(X, NAMES, w, e, y), effect if binary else 100 * effect

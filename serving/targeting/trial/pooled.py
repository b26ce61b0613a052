"""The effect over several plans, and what the next plan may bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, around, critical_value
from stagecast.serving.targeting.trial.shrinkage import shrink


@dataclass(frozen=True)
class Pooled:
    """Random-effects mean over plans.

    Parameters
    ----------
    plans
        Number of plans.
    mean
        Mean effect per contacted customer, over plans like these.
    between_sd
        Standard deviation of the plans' true effects.
    next_plan
        Interval for the true effect of the next such plan; None after a single one.
    """

    plans: int
    mean: Interval
    between_sd: float
    next_plan: Interval | None


def between_variance(effects: Array, variances: Array) -> float:
    """Return the variance tau^2 of true effects at which Cochran's Q is what it should be.

    Parameters
    ----------
    effects, variances
        Estimates and their squared standard errors, shape (k,), k at least 2.

    Source: Paule and Mandel (1982), Journal of Research of the NBS 87.

    >>> round(between_variance(np.array([1.0, 2.0, 3.0]), np.full(3, 0.5)), 6)
    0.5
    """
    excess = len(effects) - 1

    def statistic(tau2: float) -> float:
        weight = 1 / (variances + tau2)
        mean = np.sum(weight * effects) / weight.sum()
        return float(np.sum(weight * (effects - mean) ** 2))

    if statistic(0.0) <= excess:
        return 0.0
    low, high = 0.0, float(np.ptp(effects) ** 2)  # there the statistic is at most k / 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if statistic(middle) > excess else (low, middle)
    return high


def pool(
    effects: Sequence[float],
    standard_errors: Sequence[float],
    *,
    degrees: float = np.inf,
    level: float = LEVEL,
) -> Pooled:
    """Return the mean effect over plans whose true effects differ; one plan gives itself.

    The plans must be independent. With a standing hold-out the same customers are held out in all,
    and their luck is shared: the interval is then too narrow.

    Parameters
    ----------
    effects
        Effect per contacted customer of each plan, shape (k,).
    standard_errors
        Their standard errors, above 0, shape (k,).
    degrees
        Degrees of freedom of the standard error, used for one plan only.
    level
        Confidence level.

    Raises
    ------
    NotEnoughDataError
        There is no plan.
    UsageError
        The lengths differ, or a standard error is not above 0.

    Source: Paule and Mandel (1982); interval of Hartung and Knapp (2001), Statistics in Medicine
    20, its factor at least 1 (Röver, Knapp and Friede 2015). The interval of the next plan is that
    of :func:`stagecast.serving.targeting.trial.shrinkage.shrink`, which averages over what the
    plans say of tau; one that plugs tau in holds too seldom after few plans.

    >>> pool([2.0], [0.5]).mean.estimate
    2.0
    """
    y, error = np.asarray(effects, dtype=np.float64), np.asarray(standard_errors, np.float64)
    if len(y) != len(error):
        raise UsageError(f"{len(error)} standard errors of {len(y)} plans; give one of each plan")
    if not len(y):
        raise NotEnoughDataError("no plan has been read out; pool at least one")
    if not np.all(np.isfinite(error) & (error > 0)):
        worst = int(np.argmax(~(np.isfinite(error) & (error > 0))))
        raise UsageError(
            f"the standard error of plan {worst} is {error[worst]}, not above 0; leave that plan "
            "out"
        )
    plans = len(y)
    if plans == 1:
        half = critical_value(level, degrees) * float(error[0])
        return Pooled(1, around(float(y[0]), half), 0.0, None)
    tau2 = between_variance(y, error**2)
    weight = 1 / (error**2 + tau2)
    mean = float(np.sum(weight * y) / weight.sum())
    factor = max(1.0, float(np.sum(weight * (y - mean) ** 2)) / (plans - 1))
    variance = factor / float(weight.sum())
    half = critical_value(level, plans - 1) * float(np.sqrt(variance))
    return Pooled(plans, around(mean, half), float(np.sqrt(tau2)), shrink(y, error, level).unknown)

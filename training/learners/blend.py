"""Weights and level of a pool, learned on rows that its members were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, brentq, minimize
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.learners.agreement import UNKNOWN, Agreement

# Strength of the shrinkage towards the prior weights, in customers: the penalty is PULL / customers
# times the squared distance.
PULL = 20.0
# Share of a past shift of the level that is carried over, and the size up to which a shift is taken
# for noise.
CARRIED, NOISE = 0.6, 0.15
# Spread of the shift of a season among logs, in logs or log odds, and the number of years that the
# prior variance between years weighs as much as.
SEASON_SPREAD, PRIOR_YEARS = 0.5, 2.0
# Least variance between years over that of the season: next year is never quite like the last.
LEAST_VARIANCE = 0.01
# Standard errors within which a difference of levels is chance.
CHANCE = 2.0
# Spread, in log odds, by which the level of a customer base differs from that of the last horizon,
# before there is an outcome.
LEVEL_SPREAD = 0.7


def pool_weights(
    margins: Mapping[str, Array],
    target: NDArray[np.bool_],
    prior: Mapping[str, float] | None = None,
    min_pull: float = 0.0,
) -> dict[str, float]:
    """Return the weights of a pool of log odds: not negative, with sum 1, shrunk towards a prior.

    Parameters
    ----------
    margins
        Member -> log odds of rows that the member was not fitted on, preferably of a later window,
        shape (rows,).
    target
        Observed outcomes, shape (rows,).
    prior
        Member -> weight that is shrunk towards, with sum 1; None means equal weights.
    min_pull
        Least strength of the shrinkage, however many rows there are.

    Notes
    -----
    Minimises the mean log loss plus the penalty. An intercept is fitted, too, and dropped, so that
    the level of one short window does not influence the weights.
    """
    names = list(margins)
    w_prior = np.array([1.0 / len(names) if prior is None else prior[name] for name in names])
    if len(names) == 1 or target.all() or not target.any():
        return dict(zip(names, w_prior.tolist(), strict=True))
    X = np.column_stack([margins[name] for name in names])
    sign = np.where(target, 1.0, -1.0)
    penalty = max(PULL / len(target), min_pull)

    def loss(theta: Array) -> float:
        w, level = theta[:-1], theta[-1]
        return float(
            np.logaddexp(0.0, -sign * (X @ w + level)).mean() + penalty * np.sum((w - w_prior) ** 2)
        )

    def gradient(theta: Array) -> Array:
        w, level = theta[:-1], theta[-1]
        slope = -sign * expit(-sign * (X @ w + level)) / len(target)
        return np.asarray(np.r_[X.T @ slope + 2 * penalty * (w - w_prior), slope.sum()])

    optimum = minimize(
        loss,
        np.r_[w_prior, 0.0],
        jac=gradient,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(names) + [(-3.0, 3.0)],
        constraints=[LinearConstraint(np.r_[np.ones(len(names)), 0.0], 1.0, 1.0)],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    w = np.clip(optimum.x[:-1], 0.0, 1.0) if optimum.success else w_prior
    return dict(zip(names, (w / w.sum()).tolist(), strict=True))


def pool_class_weights(
    logs: Mapping[str, Array],
    target: NDArray[np.int64],
    prior: Mapping[str, float],
    min_pull: float = 0.0,
) -> dict[str, float]:
    """Return the weights of a pool of classes: not negative, with sum 1, shrunk towards a prior.

    Parameters
    ----------
    logs
        Member -> log probabilities of rows of a later window, which the member was not fitted on,
        shape (rows, classes); minus infinity in all members where a class is impossible.
    target
        Position of the observed class, shape (rows,); one that was possible.
    prior
        Member -> weight that is shrunk towards, with sum 1.
    min_pull
        Least strength of the shrinkage, however many rows there are.
    """
    names = list(logs)
    w_prior = np.array([prior[name] for name in names])
    cube = np.stack([logs[name] for name in names])
    possible = np.isfinite(cube[0])
    cube = np.where(possible, cube, 0.0)
    rows = np.arange(len(target))
    target_logs = cube[:, rows, target]
    penalty = max(PULL / len(target), min_pull)

    def loss(w: Array) -> tuple[float, Array]:
        mixed = np.where(possible, np.tensordot(w, cube, 1), -np.inf)
        highest = mixed.max(axis=1, keepdims=True)
        p = np.exp(mixed - highest)
        total = p.sum(axis=1, keepdims=True)
        value = float((np.log(total[:, 0]) + highest[:, 0] - mixed[rows, target]).mean())
        slope = (cube * (p / total)).sum(axis=2).mean(axis=1) - target_logs.mean(axis=1)
        return value + penalty * float(np.sum((w - w_prior) ** 2)), slope + 2 * penalty * (
            w - w_prior
        )

    optimum = minimize(
        loss,
        w_prior,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(names),
        constraints=[LinearConstraint(np.ones(len(names)), 1.0, 1.0)],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    w = np.clip(optimum.x, 0.0, 1.0) if optimum.success else w_prior
    return dict(zip(names, (w / w.sum()).tolist(), strict=True))


def level_shift(margin: Array, target: NDArray[np.bool_] | Array) -> float:
    """Return the shift of the log odds that makes their mean probability equal that of the target.

    ``target`` are outcomes or probabilities, shape (rows,). 0 where no shift within 20 does.
    """
    share = float(np.clip(target.mean(), 0.5 / len(target), 1 - 0.5 / len(target)))

    def gap(shift: float) -> float:
        return float(expit(margin + shift).mean() - share)

    return float(brentq(gap, -20.0, 20.0)) if gap(-20.0) < 0 < gap(20.0) else 0.0


def carried_share(
    of_one: float,
    shifts: Sequence[float],
    years: Agreement = UNKNOWN,
    known: Sequence[float] | None = None,
) -> float:
    """Return the share of the mean of the shifts of past years that is carried over.

    Parameters
    ----------
    of_one
        The share where one year is known, above 0 and below 1.
    shifts
        The shift of each known year, in logs or log odds; at least one.
    years
        How well the years agree at other times of the year, too.
    known
        Weight of each year, such as the days that its customers had been known; None: equal ones.

    Notes
    -----
    The posterior mean of a shift that comes every year, with the spread ``SEASON_SPREAD`` among
    logs. How much years differ from each other is what ``of_one`` says, as if ``PRIOR_YEARS`` years
    had shown it, and what the known years show: those that agree count for more. A shift far beyond
    that spread, as of a business that closes for two months, is taken for what it is as far as it
    exceeds what years differ by, see :func:`beyond_chance`.

    >>> [round(carried_share(0.75, [0.5] * years), 2) for years in (1, 2, 3)]
    [0.75, 0.9, 0.95]
    >>> round(carried_share(0.75, [0.9, 0.1]), 2), round(carried_share(0.75, [2.0]), 2)
    (0.76, 0.92)
    >>> round(carried_share(0.75, [0.5], Agreement(0.01, 6.0)), 2)  # they agree all the year
    0.98
    """
    between = _between_years(of_one, shifts, years, known) / len(shifts)
    mean = float(np.average(shifts, weights=known))
    beyond = beyond_chance(mean, SEASON_SPREAD**2 * between)
    return max(1.0 / (1.0 + between), beyond)


def carried_mean(
    of_one: float,
    shifts: Sequence[float],
    years: Agreement = UNKNOWN,
    known: Sequence[float] | None = None,
) -> float:
    """Return the mean of the shifts of past years as far as it is carried over.

    The parameters are those of :func:`carried_share`.

    >>> round(carried_mean(0.75, [0.5]), 3)
    0.375
    """
    return carried_share(of_one, shifts, years, known) * float(np.average(shifts, weights=known))


def _between_years(
    of_one: float, shifts: Sequence[float], years: Agreement, known: Sequence[float] | None
) -> float:
    """Return the variance of a year around the season, over that of the season."""
    squares = (np.asarray(shifts) - np.average(shifts, weights=known)) ** 2
    around = len(shifts) * float(np.average(squares, weights=known)) / SEASON_SPREAD**2
    prior = 1.0 / of_one - 1.0
    freedom = PRIOR_YEARS + len(shifts) - 1
    of_dates = (PRIOR_YEARS * prior + around) / freedom
    if not years.freedom:
        return of_dates
    share = years.freedom / (freedom + years.freedom)
    # variances differ between logs by factors. A season that comes every year is believed; that
    # there is none at other times of the year tells nothing of one that is seen here
    both = of_dates ** (1.0 - share) * max(years.variance, LEAST_VARIANCE) ** share
    return float(min(of_dates, both))


def carried_level(
    shifts: Sequence[float], years: Agreement = UNKNOWN, known: Sequence[float] | None = None
) -> float:
    """Return the part of past shifts that is carried over: a share of what exceeds the noise.

    Parameters
    ----------
    shifts
        The shift of each known year, in log odds; years that agree are noise less often.
    years, known
        As in :func:`carried_share`.

    >>> carried_level([0.1]), round(carried_level([-0.65]), 2), round(carried_level([-0.65] * 3), 2)
    (0.0, -0.3, -0.53)
    """
    mean = float(np.average(shifts, weights=known))
    between = _between_years(CARRIED, shifts, years, known) / len(shifts)
    noise = NOISE * np.sqrt(between / (1.0 / CARRIED - 1.0))
    size = max(abs(mean) - noise, 0.0)
    return float(carried_share(CARRIED, shifts, years, known) * np.sign(mean) * size)


def shrunk_level(shift: float, outcomes: NDArray[np.bool_]) -> float:
    """Return a shift of the level, shrunk towards 0 by what few customers tell of it.

    The variance of the level of ``n`` outcomes with the share ``p`` is ``1 / (n p (1 - p))`` in log
    odds; the shift is shrunk as the mean of a normal posterior is, with the prior spread
    ``LEVEL_SPREAD``.

    Parameters
    ----------
    shift
        That of :func:`level_shift`, in log odds.
    outcomes
        Outcomes that it was measured on, shape (n_customers,).

    Examples
    --------
    >>> half = np.arange(200) % 2 == 0
    >>> round(shrunk_level(1.0, half), 2), round(shrunk_level(1.0, half[:8]), 2)
    (0.96, 0.49)
    """
    information = information_of(outcomes)
    return shift * information / (information + 1.0 / LEVEL_SPREAD**2)


def information_of(outcomes: NDArray[np.bool_]) -> float:
    """Return the inverse of the variance of the level of outcomes, in log odds.

    >>> round(information_of(np.arange(200) % 2 == 0), 2)
    50.0
    """
    share = (float(outcomes.sum()) + 0.5) / (len(outcomes) + 1.0)
    return len(outcomes) * share * (1.0 - share)


def beyond_chance(difference: float, variance: float) -> float:
    """Return how far a difference is believed, 0 to 1: not at all within ``CHANCE`` of its errors.

    Parameters
    ----------
    difference
        In logs or log odds.
    variance
        Its sampling variance, above 0.

    Notes
    -----
    The non-negative garrote of Breiman (1995), Technometrics 37(4).

    >>> beyond_chance(0.1, 0.01), round(beyond_chance(0.5, 0.01), 6)
    (0.0, 0.84)
    """
    return max(0.0, 1.0 - CHANCE**2 * variance / difference**2) if difference else 0.0

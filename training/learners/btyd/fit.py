"""Fitting the customer-base models: lifetimes finds the optimum, our own likelihood verifies and
polishes it.

lifetimes stops with "precision loss" at or near an optimum, overflows for heavy buyers and can run
off along a ridge. So its answer is only a starting point: from there our log-likelihood climbs on,
with bounds, and a fit is accepted where its gradient vanishes. Only training imports this module;
the server does not.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError, did_you_mean
from stagecast.training.learners.btyd.climb import climb, newton
from stagecast.training.learners.btyd.closed_forms import PARAMETERS, Model, checked_history
from stagecast.training.learners.btyd.distinct import packed
from stagecast.training.learners.btyd.gammagamma import GammaGamma, log_density

MIN_CUSTOMERS: Final = 30
MIN_REPEATERS: Final = 10

# Customers who are enough to find the neighbourhood of an optimum.
FEW = 5_000
_SHAPE = (-9.0, 9.0)  # log of a shape: 0.0001 to 8,100
_TIME = (-14.0, 14.0)  # log of alpha or beta, in units of the longest T
_STARTS = np.array(
    [[0.1, 0.1, 0.1, 0.1], [-0.7, -2.0, -0.5, 0.5], [0.5, 1.0, -1.5, -2.0], [-1.5, -4.0, 1.0, 3.0]]
)


class FitError(NotEnoughDataError):
    """The customers are too few, or too much alike, for the model to have an optimum."""


def fit(
    name: str,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    weights: ArrayLike | None = None,
    start: Model | None = None,
) -> Model:
    """Fit a customer-base model by maximum likelihood. Deterministic.

    Parameters
    ----------
    name : str
        A key of :data:`stagecast.training.learners.btyd.closed_forms.PARAMETERS`.
    x, t_x, T : array_like, shape (customers,)
        Repeat purchase days (whole numbers); days from first to last purchase; days from first
        purchase to now.
    weights : array_like, shape (customers,), optional
        How many customers each row stands for; 1 unless told.
    start : Model, optional
        A model of the same name fitted earlier, to start from.

    Returns
    -------
    Model
        Its parameters lie within e^-9 and e^9 (shapes), e^-14 and e^14 times the longest T (times);
        data without churn, say, end on a bound rather than at infinity.

    Raises
    ------
    FitError
        Fewer than ``MIN_CUSTOMERS`` customers or ``MIN_REPEATERS`` repeaters, or no start leads to
        an optimum.
    UsageError
        Unknown name; arrays of different lengths; weights that are negative or not finite; x that
        is not whole.
    ValueError
        A history that cannot be (see :meth:`Model.log_likelihood_of`).
    """
    if name not in PARAMETERS:
        raise UsageError(
            f"'{name}' is no customer-base model; use "
            f"{', '.join(PARAMETERS)}.{did_you_mean(name, PARAMETERS)}"
        )
    if start is not None and start.name != name:
        raise UsageError(
            f"cannot start a fit of {name} from a fit of {start.name}; leave start out"
        )
    if start is None:
        start = _near(name, x, t_x, T, weights)
    (x, t_x, T), counts = _distinct((x, t_x, T), weights)
    x, t_x, T = checked_history(x, t_x, T)
    if np.any(x != np.floor(x)):
        raise UsageError(
            f"x holds {x[x != np.floor(x)][0]:g}; repeat purchase days are whole numbers"
        )
    customers, repeaters = float(counts.sum()), float(counts[x > 0].sum())
    _enough(name, customers, repeaters)
    longest = float(T.max())
    if longest <= 0:
        raise FitError(
            f"{name} cannot be fitted: all {customers:.0f} customers are new today; fit "
            "at a later date"
        )
    # log-parameters in units of the longest T: the scale on which lifetimes takes its starts, too
    is_time = np.array([parameter.endswith("_days") for parameter in PARAMETERS[name]])
    scale = np.where(is_time, longest, 1.0)
    bounds = [_TIME if time else _SHAPE for time in is_time]

    def params(theta: Array) -> tuple[float, float, float, float]:
        r, alpha, third, fourth = (float(v) for v in np.exp(theta) * scale)
        return r, alpha, third, fourth

    def mean_loss(theta: Array) -> float:
        each = Model(name, params(theta), 0.0, 1).log_likelihood_of(x, t_x, T)
        return -float(counts @ each) / customers

    if start is not None:
        # near an optimum the climb alone is there in a fraction of the time
        begin = np.log(np.array(start.params) / scale)
        if len(x) > 2 * FEW:

            def few_loss(theta: Array) -> float:
                every = len(x) // FEW
                each = Model(name, params(theta), 0.0, 1).log_likelihood_of(
                    x[::every], t_x[::every], T[::every]
                )
                return -float(counts[::every] @ each) / float(counts[::every].sum())

            begin = newton(mean_loss, few_loss, begin, bounds)
        best = climb(mean_loss, begin, bounds)
        if best is not None:
            return Model(name, params(best), -mean_loss(best) * customers, round(customers))
    for theta in _STARTS:
        found = _lifetimes_optimum(name, theta, x, t_x, T, counts)
        best = climb(mean_loss, theta if found is None else np.log(found / scale), bounds)
        if best is not None:
            return Model(name, params(best), -mean_loss(best) * customers, round(customers))
    raise FitError(
        f"{name} has no optimum on {customers:.0f} customers, {repeaters:.0f} of them "
        "with a repeat purchase: "
        f"{len(_STARTS)} starts led nowhere; use more customers or a longer history"
    )


def _near(
    name: str, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, weights: ArrayLike | None
) -> Model | None:
    """Return the optimum of every so manyth of many customers; None where these are few, or have
    none.

    The long way to the optimum is gone with a few thousand customers, so that only the last steps
    take all of them.
    """
    rows = [np.asarray(v, dtype=np.float64) for v in (x, t_x, T)]
    if any(v.shape != rows[0].shape or v.ndim != 1 for v in rows) or len(rows[0]) < 2 * FEW:
        return None
    step = len(rows[0]) // FEW
    some = None if weights is None else np.asarray(weights, dtype=np.float64)[::step]
    try:
        return fit(name, rows[0][::step], rows[1][::step], rows[2][::step], some)
    except (FitError, UsageError, ValueError):
        return None  # what is wrong is told of the whole


def fit_gamma_gamma(
    x: ArrayLike, monetary: ArrayLike, weights: ArrayLike | None = None
) -> GammaGamma:
    """Fit the Gamma-Gamma model of spend by maximum likelihood, on repeaters with a spend above 0.
    Deterministic.

    Where the free optimum has ``q <= 1``, whose population has no finite mean, q is held at 1 or
    above.

    Parameters
    ----------
    x, monetary : array_like, shape (customers,)
        Repeat purchase days, and the mean money per such day; customers with 0 in either, or
        without a finite spend, are left out.
    weights : array_like, shape (customers,), optional
        How many customers each row stands for; 1 unless told.

    Raises
    ------
    FitError
        Fewer than ``MIN_REPEATERS`` such repeaters, or no start leads to an optimum.
    UsageError
        Arrays of different lengths; weights that are negative or not finite; x that is negative or
        not finite.
    """
    (x, monetary), counts = _distinct((x, monetary), weights)
    if not np.all(np.isfinite(x) & (x >= 0)):
        raise UsageError(
            "x holds a value that is negative or not finite; repeat purchase days are whole numbers"
        )
    paying = (x > 0) & (monetary > 0) & np.isfinite(monetary)
    x, monetary, counts = x[paying], monetary[paying], counts[paying]
    customers = float(counts.sum())
    if customers < MIN_REPEATERS:
        raise FitError(
            f"Gamma-Gamma cannot be fitted: {customers:.0f} customers have a repeat "
            "purchase with a spend above 0, "
            f"{MIN_REPEATERS} are needed; use more customers or a longer history"
        )
    mean_spend = float(counts @ (x * monetary)) / float(counts @ x)
    money = monetary / mean_spend

    def mean_loss(theta: Array) -> float:
        p, q, v = (float(value) for value in np.exp(theta))
        return -float(counts @ log_density(p, q, v, x, money)) / customers

    for theta in (np.array([0.1, 0.1, 0.1]), np.array([1.5, 1.0, 0.5]), np.array([0.0, 3.0, 3.0])):
        found = _lifetimes_spend(theta, x, money, counts)
        best = climb(mean_loss, theta if found is None else np.log(found), [_SHAPE, _SHAPE, _TIME])
        if best is not None and best[1] <= 0.0:
            best = climb(mean_loss, best, [_SHAPE, (0.0, _SHAPE[1]), _TIME])
        if best is not None:
            p, q, v = (float(value) for value in np.exp(best))
            total = -mean_loss(best) * customers - float(counts.sum()) * np.log(mean_spend)
            return GammaGamma(p, q, v * mean_spend, mean_spend, total, round(customers))
    raise FitError(
        f"Gamma-Gamma has no optimum on {customers:.0f} repeaters; use more customers or "
        "a longer history"
    )


def _distinct(
    columns: tuple[ArrayLike, ...], weights: ArrayLike | None
) -> tuple[list[Array], Array]:
    """Return the distinct rows as columns, and how many customers each stands for (rows that
    nobody has left out).
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    given = np.ones(arrays[0].shape) if weights is None else np.asarray(weights, dtype=np.float64)
    shapes = [a.shape for a in (*arrays, given)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise UsageError(
            "the columns (and weights) must be one-dimensional and of one length; got "
            f"shapes {shapes}"
        )
    bad = ~(np.isfinite(given) & (given >= 0))
    if bad.any():
        raise UsageError(
            f"weights holds {given[bad][0]:g} at position {np.flatnonzero(bad)[0]}; use "
            "finite counts >= 0"
        )
    kept = [array[given > 0] for array in arrays]
    key = packed(kept)
    if key is None:
        _, first, row_of = np.unique(
            np.column_stack(kept), axis=0, return_index=True, return_inverse=True
        )
    else:
        _, first, row_of = np.unique(key, return_index=True, return_inverse=True)
    counts = np.bincount(row_of.ravel(), weights=given[given > 0], minlength=len(first)).astype(
        np.float64
    )
    return [column[first] for column in kept], counts


def _enough(name: str, customers: float, repeaters: float) -> None:
    if customers < MIN_CUSTOMERS or repeaters < MIN_REPEATERS:
        raise FitError(
            f"{name} cannot be fitted on {customers:.0f} customers, {repeaters:.0f} of "
            "them with a repeat purchase; "
            f"it needs {MIN_CUSTOMERS} and {MIN_REPEATERS}: use more customers or a longer history"
        )


@cache
def _fitters() -> dict[str, Any]:
    """Import lifetimes on first use: it sets warning filters and pandas options at import."""
    with _contained(Warning):  # its import alone: pandas deprecations, invalid escapes
        import lifetimes
    return {
        "bg_nbd": lifetimes.BetaGeoFitter,
        "mbg_nbd": lifetimes.ModifiedBetaGeoFitter,
        "pareto_nbd": lifetimes.ParetoNBDFitter,
        "gamma_gamma": lifetimes.GammaGammaFitter,
    }


@contextlib.contextmanager
def _contained(category: type[Warning]) -> Iterator[None]:
    """Keep what lifetimes prints and the warning filters it sets to itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", category)
        yield


# Its Nelder-Mead creeps for minutes on a young log, where leaving cannot be told from waiting; the
# climb goes on.
_OPTIONS: dict[str, dict[str, Any]] = {"pareto_nbd": {"maxiter": 200}}


def _lifetimes_optimum(
    name: str, theta: Array, x: Array, t_x: Array, T: Array, counts: Array
) -> Array | None:
    """Return where lifetimes ends up, times in days, or None where it fails or runs off."""
    fitter = _fitters()[name]()
    begin = (
        np.exp(theta) if name == "pareto_nbd" else theta
    )  # lifetimes takes the one raw, the others in logs
    try:
        # It overflows on the way for heavy buyers (RuntimeWarning); the climb judges where it
        # arrives.
        with _contained(RuntimeWarning):
            fitter.fit(x, t_x, T, weights=counts, initial_params=begin, **_OPTIONS.get(name, {}))
    except (
        ValueError,
        ArithmeticError,
        np.linalg.LinAlgError,
    ):  # its ConvergenceError is a ValueError
        return None
    return _usable(fitter)


def _lifetimes_spend(theta: Array, x: Array, money: Array, counts: Array) -> Array | None:
    """Return where lifetimes ends up, or None where it fails or runs off."""
    fitter = _fitters()["gamma_gamma"]()
    try:
        with _contained(RuntimeWarning):  # as above
            fitter.fit(x, money, weights=counts, initial_params=theta)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return _usable(fitter)


def _usable(fitter: Any) -> Array | None:
    found = np.asarray(fitter.params_, dtype=np.float64)
    return found if np.all(np.isfinite(found) & (found > 0)) else None

"""Fitting of the customer-base models: lifetimes gives a start, our own likelihood the optimum.

lifetimes stops with "precision loss" at or near an optimum, overflows for heavy buyers and can
diverge along a ridge. Its result is therefore only the starting point of a bounded optimisation of
our own log-likelihood, and a fit is accepted where the gradient vanishes. Only training imports
this module; the server does not.
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
from stagecast.training.learners.btyd.climb import Loss, climb, newton
from stagecast.training.learners.btyd.closed_forms import PARAMETERS, Model
from stagecast.training.learners.btyd.densities import log_likelihood
from stagecast.training.learners.btyd.distinct import packed
from stagecast.training.learners.btyd.gammagamma import GammaGamma, log_density
from stagecast.training.learners.btyd.histories import checked_history
from stagecast.training.learners.btyd.slopes import log_likelihood_slopes, spend_slopes

MIN_CUSTOMERS: Final = 30
MIN_REPEATERS: Final = 10

# Number of customers that is enough to come near the optimum.
SAMPLE_CUSTOMERS = 5_000
_SHAPE = (-9.0, 9.0)  # log of a shape: 0.0001 to 8,100
_TIME = (-14.0, 14.0)  # log of alpha or beta, in units of the longest T
_STARTS = np.array(
    [[0.1, 0.1, 0.1, 0.1], [-0.7, -2.0, -0.5, 0.5], [0.5, 1.0, -1.5, -2.0], [-1.5, -4.0, 1.0, 3.0]]
)


class FitError(NotEnoughDataError):
    """The customers are too few, or too similar, for the model to have an optimum."""


def fit(
    name: str,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    weights: ArrayLike | None = None,
    start: Model | None = None,
    regularity: int = 1,
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
        Number of customers that each row stands for; 1 by default.
    start : Model, optional
        A fitted model of the same name, whose parameters the optimisation starts from; its
        regularity may be another.
    regularity : int
        Phases of a gap, see :class:`Model`; it is not fitted. Above 1 for ``mbg_nbd`` and
        ``pareto_nbd`` alone.

    Returns
    -------
    Model
        Its parameters are between e^-9 and e^9 (shapes), or between e^-14 and e^14 times the
        longest T (times). An optimum at infinity, as in data without churn, ends on a bound.

    Raises
    ------
    FitError
        Fewer than ``MIN_CUSTOMERS`` customers or ``MIN_REPEATERS`` repeaters, or no start leads to
        an optimum.
    UsageError
        Unknown name; arrays of different lengths; weights that are negative or not finite; x that
        is not whole.
    ValueError
        An impossible history (see :meth:`Model.log_likelihood_of`).
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
    if regularity > 1 and start is None:
        start = fit(name, x, t_x, T, weights)
    if start is not None and start.regularity != regularity:
        r, alpha, third, fourth = start.params
        # the same mean gap
        alpha *= start.regularity / regularity
        start = Model(name, (r, alpha, third, fourth), 0.0, 1, regularity)
    if start is None:
        start = _fit_sample(name, x, t_x, T, weights)
    (x, t_x, T), counts = _distinct((x, t_x, T), weights)
    x, t_x, T = checked_history(x, t_x, T)
    if np.any(x != np.floor(x)):
        raise UsageError(
            f"x holds {x[x != np.floor(x)][0]:g}; repeat purchase days are whole numbers"
        )
    customers, repeaters = float(counts.sum()), float(counts[x > 0].sum())
    _check_enough(name, customers, repeaters)
    longest = float(T.max())
    if longest <= 0:
        raise FitError(
            f"{name} cannot be fitted: all {customers:.0f} customers are new today; fit "
            "at a later date"
        )
    # log-parameters in units of the longest T, the scale of lifetimes' starting points, too
    is_time = np.array([parameter.endswith("_days") for parameter in PARAMETERS[name]])
    scale = np.where(is_time, longest, 1.0)
    bounds = [_TIME if time else _SHAPE for time in is_time]

    def params(theta: Array) -> tuple[float, float, float, float]:
        r, alpha, third, fourth = (float(v) for v in np.exp(theta) * scale)
        return r, alpha, third, fourth

    def loss_of(rows: slice) -> Loss:
        history, weight = (x[rows], t_x[rows], T[rows]), counts[rows] / counts[rows].sum()

        def mean_loss(theta: Array) -> tuple[float, Array]:
            values = params(theta)
            density, slopes = log_likelihood_slopes(name, values, regularity, *history)
            return -float(np.sum(weight * density)), -_weighted(slopes, weight) * np.array(values)

        return mean_loss

    mean_loss = loss_of(slice(None))

    def model(theta: Array) -> Model:
        total = float(counts @ log_likelihood(name, params(theta), regularity, x, t_x, T))
        return Model(name, params(theta), total, round(customers), regularity)

    if start is not None:
        # near an optimum, our own optimisation alone is several times as fast
        theta_start = np.log(np.array(start.params) / scale)
        if len(x) > 2 * SAMPLE_CUSTOMERS:
            sample = slice(None, None, len(x) // SAMPLE_CUSTOMERS)
            theta_start = newton(mean_loss, loss_of(sample), theta_start, bounds)
        best = climb(mean_loss, theta_start, bounds)
        if best is not None:
            return model(best)
    for theta in _STARTS if regularity == 1 else ():
        optimum = _lifetimes_optimum(name, theta, x, t_x, T, counts)
        best = climb(mean_loss, theta if optimum is None else np.log(optimum / scale), bounds)
        if best is not None:
            return model(best)
    raise FitError(
        f"{name} has no optimum on {customers:.0f} customers, {repeaters:.0f} of them "
        "with a repeat purchase: "
        f"{len(_STARTS)} starts led nowhere; use more customers or a longer history"
    )


def _fit_sample(
    name: str, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, weights: ArrayLike | None
) -> Model | None:
    """Return a fit on every k-th customer, or None where customers are few or have no optimum.

    It gives the start of a fit on all customers, which then needs only a few steps.
    """
    arrays = [np.asarray(array, dtype=np.float64) for array in (x, t_x, T)]
    if (
        any(array.shape != arrays[0].shape or array.ndim != 1 for array in arrays)
        or len(arrays[0]) < 2 * SAMPLE_CUSTOMERS
    ):
        return None
    step = len(arrays[0]) // SAMPLE_CUSTOMERS
    sample_weights = None if weights is None else np.asarray(weights, dtype=np.float64)[::step]
    try:
        return fit(name, arrays[0][::step], arrays[1][::step], arrays[2][::step], sample_weights)
    except (FitError, UsageError, ValueError):
        return None  # the fit on all customers reports the fault


def fit_gamma_gamma(
    x: ArrayLike, monetary: ArrayLike, weights: ArrayLike | None = None
) -> GammaGamma:
    """Fit the Gamma-Gamma model of spend by maximum likelihood. Deterministic.

    Where the optimum has ``q <= 1``, with which the population has no finite mean, q is bounded
    below by 1.

    Parameters
    ----------
    x, monetary : array_like, shape (customers,)
        Repeat purchase days, and the mean money per such day; customers with 0 in either, or
        without a finite spend, are left out.
    weights : array_like, shape (customers,), optional
        Number of customers that each row stands for; 1 by default.

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

    def mean_loss(theta: Array) -> tuple[float, Array]:
        p, q, v = (float(value) for value in np.exp(theta))
        density, slopes = spend_slopes(p, q, v, x, money)
        slope = -_weighted(slopes, counts) / customers * np.array([p, q, v])
        return -float(np.sum(counts * density)) / customers, slope

    for theta in (np.array([0.1, 0.1, 0.1]), np.array([1.5, 1.0, 0.5]), np.array([0.0, 3.0, 3.0])):
        optimum = _lifetimes_spend(theta, x, money, counts)
        best = climb(
            mean_loss, theta if optimum is None else np.log(optimum), [_SHAPE, _SHAPE, _TIME]
        )
        if best is not None and best[1] <= 0.0:
            best = climb(mean_loss, best, [_SHAPE, (0.0, _SHAPE[1]), _TIME])
        if best is not None:
            p, q, v = (float(value) for value in np.exp(best))
            total = float(counts @ log_density(p, q, v, x, money)) - customers * np.log(mean_spend)
            return GammaGamma(p, q, v * mean_spend, mean_spend, total, round(customers))
    raise FitError(
        f"Gamma-Gamma has no optimum on {customers:.0f} repeaters; use more customers or "
        "a longer history"
    )


def _weighted(slopes: Array, weight: Array) -> Array:
    # a BLAS product of this size starts threads at a cost above their gain
    return np.asarray(np.einsum("ij,j->i", slopes, weight))


def _distinct(
    columns: tuple[ArrayLike, ...], weights: ArrayLike | None
) -> tuple[list[Array], Array]:
    """Return the distinct rows as columns, and the number of customers of each, above 0."""
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    row_weights = (
        np.ones(arrays[0].shape) if weights is None else np.asarray(weights, dtype=np.float64)
    )
    shapes = [a.shape for a in (*arrays, row_weights)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise UsageError(
            "the columns (and weights) must be one-dimensional and of one length; got "
            f"shapes {shapes}"
        )
    bad = ~(np.isfinite(row_weights) & (row_weights >= 0))
    if bad.any():
        raise UsageError(
            f"weights holds {row_weights[bad][0]:g} at position {np.flatnonzero(bad)[0]}; use "
            "finite counts >= 0"
        )
    used = [array[row_weights > 0] for array in arrays]
    key = packed(used)
    if key is None:
        _, first, row_of = np.unique(
            np.column_stack(used), axis=0, return_index=True, return_inverse=True
        )
    else:
        _, first, row_of = np.unique(key, return_index=True, return_inverse=True)
    counts = np.bincount(
        row_of.ravel(), weights=row_weights[row_weights > 0], minlength=len(first)
    ).astype(np.float64)
    return [column[first] for column in used], counts


def _check_enough(name: str, customers: float, repeaters: float) -> None:
    if customers < MIN_CUSTOMERS or repeaters < MIN_REPEATERS:
        raise FitError(
            f"{name} cannot be fitted on {customers:.0f} customers, {repeaters:.0f} of "
            "them with a repeat purchase; "
            f"it needs {MIN_CUSTOMERS} and {MIN_REPEATERS}: use more customers or a longer history"
        )


@cache
def _fitters() -> dict[str, Any]:
    """Import lifetimes on first use: it sets warning filters and pandas options at import."""
    with _silenced(Warning):  # its import alone: pandas deprecations, invalid escapes
        import lifetimes
    return {
        "bg_nbd": lifetimes.BetaGeoFitter,
        "mbg_nbd": lifetimes.ModifiedBetaGeoFitter,
        "pareto_nbd": lifetimes.ParetoNBDFitter,
        "gamma_gamma": lifetimes.GammaGammaFitter,
    }


@contextlib.contextmanager
def _silenced(category: type[Warning]) -> Iterator[None]:
    """Suppress what lifetimes prints and warns of, and undo the warning filters that it sets."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", category)
        yield


# A rough start is enough: a step of our own optimisation costs a tenth of one of lifetimes, whose
# Nelder-Mead takes minutes on a young log, where leaving cannot be distinguished from waiting. The
# tolerance is that of its slopes, or of the parameters in the simplex of Nelder-Mead.
_OPTIONS: dict[str, dict[str, Any]] = {
    "bg_nbd": {"tol": 0.1},
    "mbg_nbd": {"tol": 0.1},
    "pareto_nbd": {"tol": 0.1, "maxiter": 20},
    "gamma_gamma": {"tol": 0.1},
}


def _lifetimes_optimum(
    name: str, theta: Array, x: Array, t_x: Array, T: Array, counts: Array
) -> Array | None:
    """Return the parameters by lifetimes, times in days; None where it fails or diverges."""
    fitter = _fitters()[name]()
    # lifetimes takes the parameters of Pareto/NBD as they are, those of the others in logs
    initial = np.exp(theta) if name == "pareto_nbd" else theta
    try:
        # It overflows on the way for heavy buyers (RuntimeWarning); our own optimisation decides
        # whether its result is an optimum.
        with _silenced(RuntimeWarning):
            fitter.fit(x, t_x, T, weights=counts, initial_params=initial, **_OPTIONS[name])
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None  # its ConvergenceError is a ValueError
    return _usable(fitter)


def _lifetimes_spend(theta: Array, x: Array, money: Array, counts: Array) -> Array | None:
    """Return the parameters by lifetimes; None where it fails or diverges."""
    fitter = _fitters()["gamma_gamma"]()
    try:
        with _silenced(RuntimeWarning):  # as above
            fitter.fit(x, money, weights=counts, initial_params=theta, **_OPTIONS["gamma_gamma"])
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return _usable(fitter)


def _usable(fitter: Any) -> Array | None:
    parameters = np.asarray(fitter.params_, dtype=np.float64)
    return parameters if np.all(np.isfinite(parameters) & (parameters > 0)) else None

"""The linear learner: how the effect on the linear predictor changes with the features.

For a 0/1 outcome, with ``m`` the expected outcome before it is known who is contacted, and ``e``
the propensity,

    logit P(y = 1 | x, w) = logit m(x) + a + (w - e) (b_0 + b . z(x)),      b ~ N(0, 1 / penalty)

and for money the same without the logit (the R-learner's residuals with a linear effect). If the
data hold no difference, ``b`` goes to 0, and what is left is one odds ratio for all: whoever is
more likely to buy gains more. The penalty is that of the greatest evidence, so that no hold-out is
spent on it.

Source: Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", equation
4; MacKay (1992), "Bayesian interpolation", for the evidence; Tian, Alizadeh, Gentles and Tibshirani
(2014), "A simple method for estimating interactions between a treatment and a large number of
covariates", for the logistic form.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, xlogy

from stagecast.features.arrays import Array
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.uplift.design import learn_design
from stagecast.training.uplift.model import Interaction
from stagecast.training.uplift.trial import Trial

PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-1.0, 5.5, 0.5))
STEPS = 30
FREE = 2
"""The first columns are level and mean effect, which are hardly penalised."""
FREE_RIDGE = 0.16
"""A standard deviation of 2.5 in log odds: Gelman, Jakulin, Pittau and Su (2008), "A weakly
informative default prior distribution for logistic and other regression models". Without it the
mean effect is infinite where nobody buys in one of the arms."""


def fit_interaction(trial: Trial, expected: Array) -> Interaction:
    """Fit the effect on the linear predictor.

    Parameters
    ----------
    trial
        The contacts.
    expected
        Expected outcome ``m`` of each row before it is known who is contacted, learned without the
        row, shape (n,).
    """
    design = learn_design(trial.X)
    residual = (trial.contacted - trial.propensity)[:, None]
    columns = np.hstack([np.ones_like(residual), residual, residual * design.matrix(trial.X)])
    with single_threaded_blas():
        if trial.binary:
            offset = logit(np.clip(expected, 1e-6, 1 - 1e-6))
            fits = [_logistic(columns, trial.y, offset, p) for p in PENALTIES]
        else:
            fits = [_gaussian(columns, trial.y - expected, p) for p in PENALTIES]
    _, weights = max(fits, key=lambda fitted: fitted[0])
    return Interaction(design, float(weights[1]), weights[FREE:], float(weights[0]))


def _ridge(columns: Array, penalty: float) -> Array:
    return np.where(np.arange(columns.shape[1]) < FREE, FREE_RIDGE, penalty)


def _log_evidence(loss: float, weights: Array, precision: Array, ridge: Array) -> float:
    """Return the log evidence up to a constant, by Laplace's approximation."""
    penalised = weights[FREE:]
    prior = 0.5 * float(np.log(ridge[FREE:]).sum() - ridge[FREE:] @ penalised**2)
    return float(-loss + prior - 0.5 * np.linalg.slogdet(precision)[1])


def _logistic(columns: Array, y: Array, offset: Array, penalty: float) -> tuple[float, Array]:
    ridge = _ridge(columns, penalty)
    weights: Array = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        p = expit(offset + columns @ weights)
        precision: Array = (columns.T * (p * (1 - p))) @ columns + np.diag(ridge)
        step = np.linalg.solve(precision, columns.T @ (y - p) - ridge * weights)
        # a step of Newton's method from far away can overshoot where nearly nobody buys
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-8:
            break
    p = np.clip(expit(offset + columns @ weights), 1e-12, 1 - 1e-12)
    loss = -float((xlogy(y, p) + xlogy(1 - y, 1 - p)).sum())
    precision = (columns.T * (p * (1 - p))) @ columns + np.diag(ridge)
    return _log_evidence(loss, weights, precision, ridge), weights


def _gaussian(columns: Array, residual: Array, penalty: float) -> tuple[float, Array]:
    # the outcome is scaled to a variance of 1, which makes one grid of penalties fit any currency
    scale = float(residual.std()) or 1.0
    ridge = _ridge(columns, penalty)
    precision = columns.T @ columns + np.diag(ridge)
    weights = np.asarray(np.linalg.solve(precision, columns.T @ (residual / scale)), np.float64)
    loss = 0.5 * float(((residual / scale - columns @ weights) ** 2).sum())
    return _log_evidence(loss, weights, precision, ridge), weights * scale

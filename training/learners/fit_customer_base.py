"""Fitting of :class:`stagecast.training.learners.customer_base.CustomerBase`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import PHASES, DueDate
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.repeated import fit, fit_gamma_gamma
from stagecast.training.learners.btyd.rhythm import LARGEST, choose_regularity
from stagecast.training.learners.customer_base import MODELS, CustomerBase

# Least weight of the model of random gaps beside one of regular gaps: some customers of any log buy
# at random. With a tenth, the log loss was lower than with none on yearly donors and on a grocer.
RANDOM_SHARE = 0.1
# From this regularity on, purchases are payments of a plan: the weight is the share of random
# customers by the likelihood, as if of so many more customers a tenth were.
OF_A_PLAN, RANDOM_CUSTOMERS = 48, 20.0
_SHARE_STEPS = 100
# Where amounts count as outliers, in robust standard deviations of their logs, and the least one.
OUTLIER, LEAST_LOG_SPREAD = 4.0, 0.25


def vuong_weights(
    models: Sequence[Model], x: Array, t_x: Array, T: Array, gaps: LogGaps | None = None
) -> tuple[float, ...]:
    """Return the weights of the models, from their log-likelihoods of these histories.

    For two models that are not nested, let ``d`` be the differences between the log-likelihoods of
    each customer. Vuong's statistic ``z = sum(d) / (sqrt(n) sd(d))`` shows which model is closer to
    the truth, and is about standard normal where both are equally close (Vuong 1989, eq. 5.6). The
    odds of the weights are ``exp(z)``: the weights are about equal where the log cannot
    discriminate between the models, and one of them is about 1 where it can.

    Parameters
    ----------
    models
        The fitted models; other than two get equal weights.
    x, t_x, T
        Repeat purchase days, days of the last purchase and of the as_of since the first, shape
        (n_customers,).
    gaps
        Sums over the gaps, without which a model of regular gaps has no density to compare.
    """
    if len(models) != 2:
        return (1.0 / len(models),) * len(models)
    log_gaps = None if gaps is None else gaps.digamma
    first_model = models[0]
    first, second = (model.log_likelihood_of(x, t_x, T, log_gaps) for model in models)
    differences = second - first
    spread = float(differences.std()) * np.sqrt(len(differences))
    share = float(expit(differences.sum() / spread)) if spread > 0 else 0.5
    if first_model.regularity > 1:
        is_plan = first_model.regularity >= OF_A_PLAN
        share = max(share, random_share(differences) if is_plan else RANDOM_SHARE)
    return (1.0 - share, share)


def random_share(differences: Array) -> float:
    """Return the share of customers who buy at random, beside those of regular gaps.

    Of a mixture of both it is the most likely one, by expectation and maximisation.

    Parameters
    ----------
    differences
        Log-likelihood of each customer by the model of random gaps, less that of regular ones,
        shape (n_customers,).

    >>> round(random_share(np.array([-30.0] * 980)), 6)
    0.002
    """
    share = RANDOM_SHARE
    for _ in range(_SHARE_STEPS):
        random = float(expit(differences + logit(share)).sum())
        share = (random + RANDOM_SHARE * RANDOM_CUSTOMERS) / (len(differences) + RANDOM_CUSTOMERS)
    return share


def usual_range(money: Array) -> tuple[float, float]:
    """Return the least and the largest of positive amounts that are no outliers.

    Outliers are further than ``OUTLIER`` robust standard deviations from the median, in logs: one
    wholesaler, or one mistyped order, must not set what is expected of everybody else. Where there
    are no amounts, nothing is an outlier.
    """
    if not len(money):
        return 0.0, np.inf
    logs = np.log(money)
    middle = float(np.median(logs))
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), LEAST_LOG_SPREAD)
    least, largest = np.exp([middle - OUTLIER * spread, middle + OUTLIER * spread])
    return float(least), float(largest)


def without_outliers(money: Array) -> Array:
    """Return positive amounts with the outliers at the border of :func:`usual_range`."""
    return np.clip(money, *usual_range(money))


def fit_customer_base(
    features: Mapping[str, Array],
    start: CustomerBase | None = None,
    max_customers: int | None = None,
    gaps: LogGaps | None = None,
    names: Sequence[str] = MODELS,
    due: DueDate | None = None,
) -> CustomerBase:
    """Fit the models on the buyers of one date.

    Parameters
    ----------
    features
        Features of buyers, shape (n_buyers,) each: ``frequency``, ``t_x_days``, ``T_days`` and
        ``monetary``.
    start
        The fit of another date, whose parameters the optimisation starts from.
    max_customers
        Fit on every k-th customer, so that about this many remain. The parameters of a past date
        are only inputs of other models, and a few thousand customers determine them well enough.
    gaps
        Sums over the gaps of each buyer, by which MBG/NBD may become MBG/CNBD-k; None keeps gaps
        random.
    names
        Those of :data:`MODELS` that are fitted, in order.
    due
        The date of the year on which everybody pays, with which the histories were made.

    Raises
    ------
    stagecast.training.learners.btyd.fit.FitError
        Too few customers or repeat buyers for any of the models.
    """
    sample = slice(
        None,
        None,
        1 if max_customers is None else max(1, -(-len(features["frequency"]) // max_customers)),
    )
    x, t_x, T = (
        features["frequency"][sample],
        features["t_x_days"][sample],
        features["T_days"][sample],
    )
    sampled_gaps = None if gaps is None else gaps.of_rows(sample)
    start_models = {m.name: m for m in start.models} if start is not None else {}
    fitted = []
    for name in names:
        try:
            model = fit(name, x, t_x, T, start=start_models.get(name))
            if name == "mbg_nbd" and sampled_gaps is not None:
                near = start_models.get(name)
                model = _with_regularity(model, x, t_x, T, sampled_gaps, near, due)
            fitted.append(model)
        except FitError:
            # one model without an optimum leaves the other; with neither, the caller uses a rule
            if name == names[-1] and not fitted:
                raise
    monetary = np.nan_to_num(features["monetary"][sample], nan=0.0)
    repeaters = (x > 0) & (monetary > 0)
    try:
        spend = fit_gamma_gamma(x[repeaters], without_outliers(monetary[repeaters]))
    except FitError:
        spend = None
    weights = vuong_weights(fitted, x, t_x, T, sampled_gaps)
    return CustomerBase(tuple(fitted), spend, weights, due)


def _with_regularity(
    random: Model,
    x: Array,
    t_x: Array,
    T: Array,
    gaps: LogGaps,
    start: Model | None,
    due: DueDate | None,
) -> Model:
    """Return the model with regular gaps where they are beyond chance, else the model itself.

    Where the fit on all customers has no optimum, that on the customers by which the regularity was
    chosen takes its place: a model of random gaps would expect other orders by factors.
    """
    # on one date gaps are as regular as it is, and distinct histories few
    largest = LARGEST if due is None else PHASES
    chosen = choose_regularity(random, x, t_x, T, gaps, start, largest=largest)
    if chosen.regularity == 1:
        return random
    try:
        return fit(random.name, x, t_x, T, start=chosen, regularity=chosen.regularity)
    except FitError:
        return chosen

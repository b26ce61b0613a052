"""Fitting of the multipliers of the hazard by category, shrunk towards the average."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.training.leads.effects import _PASSES, _TOLERANCE
from stagecast.training.leads.exposure import Exposure

MAX_VALUES = 1_000
"""Number of values of a column with a multiplier: those with the most expected conversions."""

# Bounds of the prior strength: from hardly any shrinkage to nearly complete.
_STRENGTH = (0.5, 1_000.0)
_SMALLEST = 1e-300


def prior_strength(observed: Array, expected: Array) -> float:
    """Return the k that maximises the likelihood of the observed conversions of each value.

    >>> round(prior_strength(np.full(50, 10.0), np.full(50, 10.0)))
    1000
    """

    def loss(log_k: float) -> float:
        k = float(np.exp(log_k))
        terms = gammaln(observed + k) - gammaln(k) + k * np.log(k / (k + expected))
        terms += observed * np.log(np.maximum(expected, _SMALLEST) / (k + expected))
        return -float(terms.sum())

    low, high = np.log(_STRENGTH)
    best = float(minimize_scalar(loss, bounds=(low, high), method="bounded").x)
    return float(np.exp(high if loss(high) <= loss(best) else best))


def fit_effects(
    exposure: Exposure, categories: Mapping[str, Texts]
) -> tuple[Array, dict[str, dict[str, float]]]:
    """Fit the hazard of each bin of age, and the multipliers of each category.

    Parameters
    ----------
    exposure
        Exposure and conversions of each lead by bin of age.
    categories
        Column -> one text per lead.

    Returns
    -------
    rates
        Conversions per lead-day in each bin, shape (bins,).
    effects
        Column -> value -> multiplier.
    """
    bins = exposure.days.shape[1]
    hits = _sums(exposure.bin[exposure.bin >= 0], exposure.hit[exposure.bin >= 0], bins)
    coded = {}
    for name, values in categories.items():
        texts, codes = np.unique(values.astype(str), return_inverse=True)
        coded[name] = (texts, codes.astype(np.int64))
    factor = {name: np.ones(len(texts)) for name, (texts, _) in coded.items()}
    expected = {name: np.zeros(len(texts)) for name, (texts, _) in coded.items()}
    multiplier = np.ones(len(exposure.days))
    rates = _rates(hits, exposure.days, multiplier)
    for _ in range(_PASSES):
        previous = multiplier
        cumulative = exposure.days @ rates
        for name, (texts, codes) in coded.items():
            others = multiplier / factor[name][codes]
            expected[name] = _sums(codes, cumulative * others, len(texts))
            observed = _sums(codes, exposure.hit, len(texts))
            k = prior_strength(observed, expected[name])
            shrunk = (observed + k) / (expected[name] + k)
            total = expected[name].sum()
            factor[name] = (
                shrunk * (total / (expected[name] @ shrunk)) if total > 0 else np.ones(len(texts))
            )
            multiplier = others * factor[name][codes]
        rates = _rates(hits, exposure.days, multiplier)
        if not len(multiplier) or float(np.abs(np.log(multiplier / previous)).max()) < _TOLERANCE:
            break
    return rates, {
        name: _largest(texts, factor[name], expected[name]) for name, (texts, _) in coded.items()
    }


def _sums(owner: NDArray[np.int64], values: Array, count: int) -> Array:
    return np.bincount(owner, weights=values, minlength=count).astype(np.float64)


def _rates(hits: Array, days: Array, multiplier: Array) -> Array:
    """Return conversions per lead-day in each bin of age, shrunk towards the bin before it.

    The shrinkage has the weight of one conversion.
    """
    # one more lead-day, so that immediate conversions have a finite rate
    exposure_days = multiplier @ days + 1.0
    rates = np.zeros(len(hits))
    rates[0] = max(float(hits[0]), 0.5) / exposure_days[0]
    for k in range(1, len(hits)):
        rates[k] = (hits[k] + 1.0) / (exposure_days[k] + 1.0 / rates[k - 1])
    return rates


def _largest(texts: NDArray[np.str_], factor: Array, expected: Array) -> dict[str, float]:
    largest = np.sort(np.argsort(-expected, kind="stable")[:MAX_VALUES])
    return {str(texts[k]): float(factor[k]) for k in largest}

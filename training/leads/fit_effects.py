"""Multipliers of the hazard by category, fitted and shrunk towards the average."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.training.leads.effects import _PASSES, _STANDS_STILL
from stagecast.training.leads.exposure import Exposure

MOST_VALUES = 1_000
"""Values of a column that get a multiplier of their own: those with the most conversions
expected.
"""


# Prior strength: between one that lets a value speak for itself and one that silences it.
_STRENGTH = (0.5, 1_000.0)


_SMALLEST = 1e-300


def prior_strength(seen: Array, expected: Array) -> float:
    """Return the k under which the conversions seen of each value are likeliest.

    >>> round(prior_strength(np.full(50, 10.0), np.full(50, 10.0)))
    1000
    """

    def loss(log_k: float) -> float:
        k = float(np.exp(log_k))
        terms = gammaln(seen + k) - gammaln(k) + k * np.log(k / (k + expected))
        terms += seen * np.log(np.maximum(expected, _SMALLEST) / (k + expected))
        return -float(terms.sum())

    low, high = np.log(_STRENGTH)
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded").x)
    return float(np.exp(high if loss(high) <= loss(found) else found))


def fit_effects(
    exposure: Exposure, categories: Mapping[str, Texts]
) -> tuple[Array, dict[str, dict[str, float]]]:
    """Fit the hazard of each bin of age, and the multipliers of each category.

    Parameters
    ----------
    categories
        Column -> one text per lead.

    Returns
    -------
    rates, effects
        Conversions per lead-day in each bin; column -> value -> multiplier.
    """
    bins = exposure.days.shape[1]
    hits = _sums(exposure.bin[exposure.bin >= 0], exposure.hit[exposure.bin >= 0], bins)
    coded = {}
    for name, values in categories.items():
        texts, codes = np.unique(values.astype(str), return_inverse=True)
        coded[name] = (texts, codes.astype(np.int64))
    factor = {name: np.ones(len(texts)) for name, (texts, _) in coded.items()}
    expected = {name: np.zeros(len(texts)) for name, (texts, _) in coded.items()}
    together = np.ones(len(exposure.days))
    rates = _rates(hits, exposure.days, together)
    for _ in range(_PASSES):
        before = together
        cumulative = exposure.days @ rates
        for name, (texts, codes) in coded.items():
            rest = together / factor[name][codes]
            expected[name] = _sums(codes, cumulative * rest, len(texts))
            seen = _sums(codes, exposure.hit, len(texts))
            k = prior_strength(seen, expected[name])
            found = (seen + k) / (expected[name] + k)
            total = expected[name].sum()
            factor[name] = (
                found * (total / (expected[name] @ found)) if total > 0 else np.ones(len(texts))
            )
            together = rest * factor[name][codes]
        rates = _rates(hits, exposure.days, together)
        if not len(together) or float(np.abs(np.log(together / before)).max()) < _STANDS_STILL:
            break
    return rates, {
        name: _largest(texts, factor[name], expected[name]) for name, (texts, _) in coded.items()
    }


def _sums(owner: NDArray[np.int64], values: Array, count: int) -> Array:
    return np.bincount(owner, weights=values, minlength=count).astype(np.float64)


def _rates(hits: Array, days: Array, together: Array) -> Array:
    """Return conversions per lead-day in each bin of age, each drawn to that of the bin before
    by one conversion.
    """
    # one more lead-day, so that conversions at once have a rate too
    exposed = together @ days + 1.0
    rates = np.zeros(len(hits))
    rates[0] = max(float(hits[0]), 0.5) / exposed[0]
    for k in range(1, len(hits)):
        rates[k] = (hits[k] + 1.0) / (exposed[k] + 1.0 / rates[k - 1])
    return rates


def _largest(texts: NDArray[np.str_], factor: Array, expected: Array) -> dict[str, float]:
    kept = np.sort(np.argsort(-expected, kind="stable")[:MOST_VALUES])
    return {str(texts[k]): float(factor[k]) for k in kept}

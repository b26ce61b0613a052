"""Multipliers of the hazard of leads by category, shrunk towards the average.

A value of a column with d conversions, where e were expected from everything else, has the
multiplier (d + k) / (e + k): the mean of a gamma posterior over a prior of mean 1 and variance
1 / k. The k of each column maximises the likelihood of its counts (negative binomial), so that a
column without information is shrunk to 1. Several columns are fitted in turn until they converge. A
value that is not in the training data has the multiplier 1, the average.

Source: gamma-Poisson shrinkage after Clayton and Kaldor (1987), "Empirical Bayes estimates of
age-standardized relative risks for use in disease mapping", Biometrics 43, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts

Effects = Mapping[str, Mapping[str, float]]

_PASSES, _TOLERANCE = 50, 1e-6


def multiplier(effects: Effects, categories: Mapping[str, Texts], rows: int) -> Array:
    """Return the product of the multipliers of each row; unknown columns and values count as 1.

    Parameters
    ----------
    effects
        Column -> value -> multiplier.
    categories
        Column -> one text per row.
    rows
        Number of rows.
    """
    result = np.ones(rows)
    for name, multipliers in effects.items():
        if name in categories:
            texts, codes = np.unique(categories[name].astype(str), return_inverse=True)
            result *= np.array(
                [multipliers.get(str(text), 1.0) for text in texts], dtype=np.float64
            )[codes]
    return result

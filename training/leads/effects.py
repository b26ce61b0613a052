"""How much faster or slower than the average leads of one category convert: multipliers of the
hazard, shrunk.

A value v of a column with d conversions, where e were expected from all else, has the multiplier (d
+ k) / (e + k): the mean of a gamma posterior over a prior of mean 1 and variance 1 / k. The k of
each column is the one that makes its counts likeliest (negative binomial), so a column that says
nothing is shrunk to 1 without being told. Several columns are fitted in turns until they stand
still. A value that training did not see has 1, the average.

Source: gamma-Poisson shrinkage after Clayton and Kaldor (1987), "Empirical Bayes estimates of
age-standardized relative risks for use in disease mapping", Biometrics 43, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts

Effects = Mapping[str, Mapping[str, float]]


_PASSES, _STANDS_STILL = 50, 1e-6


def multiplier(effects: Effects, categories: Mapping[str, Texts], rows: int) -> Array:
    """Return the product of the multipliers of each row; a column or a value that is not known
    counts as 1.
    """
    result = np.ones(rows)
    for name, known in effects.items():
        if name in categories:
            texts, codes = np.unique(categories[name].astype(str), return_inverse=True)
            result *= np.array([known.get(str(text), 1.0) for text in texts], dtype=np.float64)[
                codes
            ]
    return result

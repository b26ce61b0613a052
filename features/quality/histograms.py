"""Quantiles of what was counted inside DuckDB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quantile(counted: Sequence[tuple[float, int]], share: float) -> float:
    """Return the value of rank ``floor(share * (n - 1))``, counted from 0, of a histogram in ascending order.

    Parameters
    ----------
    counted
        Pairs of a value and how many have it; not empty.

    >>> quantile([(1.0, 3), (5.0, 1)], 0.5), quantile([(1.0, 3), (5.0, 1)], 1.0)
    (1.0, 5.0)
    """
    values, counts = zip(*counted, strict=True)
    upto = np.cumsum(counts)
    rank = int(np.floor(share * (upto[-1] - 1) + 1e-9))
    return float(values[int(np.searchsorted(upto, rank, side="right"))])

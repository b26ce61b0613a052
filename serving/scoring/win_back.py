"""What may return of a lapsed customer: the one definition that lists, pages and plans share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stagecast.features.arrays import Array

LAPSED = "lapsed"


def win_back(is_lapsed: ArrayLike, value_gone: ArrayLike, p_return: ArrayLike) -> Array:
    """Return the value gone of the lapsed times their chance to return, in money.

    Parameters
    ----------
    is_lapsed
        Who is lapsed, shape (n,).
    value_gone
        In money, shape (n,); NaN where it is not known.
    p_return
        P(a purchase in the horizon) of the lapsed, shape (n,); NaN where it is not known.

    Returns
    -------
    Shape (n,); NaN for the others, of whose value nothing is to be brought back, and where either
    number is not known.

    >>> win_back([True, False], [200.0, 50.0], [0.1, 0.5]).tolist()
    [20.0, nan]
    """
    product = np.asarray(value_gone, np.float64) * np.asarray(p_return, np.float64)
    return np.where(np.asarray(is_lapsed, np.bool_), product, np.nan)


def win_back_of(score: Mapping[str, Any]) -> float | None:
    """Return what may return of one customer by the score, in money; None: nothing is known to.

    >>> win_back_of({"state": "lapsed", "value_gone": 200.0, "p_return": 0.1})
    20.0
    """
    gone, p_return = score.get("value_gone"), score.get("p_return")
    if gone is None or p_return is None or score["state"] != LAPSED:
        return None
    return float(win_back(True, gone, p_return))

"""Checks of what the customer-base models are asked: histories (x, t_x, T), windows and rates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stagecast.features.arrays import Array
from stagecast.features.intake.counted import counted


def check_rate(annual_rate: float) -> None:
    """Check a yearly discount rate.

    Raises
    ------
    ValueError
        It is negative or not finite.
    """
    if not (np.isfinite(annual_rate) and annual_rate >= 0):
        raise ValueError(
            f"annual_rate {annual_rate} is not a rate; write ten per cent as 0.10, at least 0"
        )


def as_floats(values: Any) -> Array:
    """Return the values as an array of floats."""
    return np.asarray(values, dtype=np.float64)


def checked_days(days: ArrayLike) -> Array:
    """Return lengths of time as a float array.

    Raises
    ------
    ValueError
        One is negative or not finite.
    """
    values = as_floats(days)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise ValueError(
            f"days {values[bad].flat[0]} is not a length of time; use a finite number of at least 0"
        )
    return values


def _is_possible(x: float, t_x: float, T: float) -> bool:
    """Return whether one history is possible: for a single customer, a tenth of the time."""
    return 0.0 <= x < math.inf and 0.0 <= t_x <= T < math.inf and (x > 0.0 or t_x == 0.0)


def checked_history(x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the history as float arrays.

    Parameters
    ----------
    x, t_x, T : array_like, shapes that broadcast
        Repeat purchase days; days from first to last purchase; days from first purchase to now.

    Raises
    ------
    ValueError
        A value is not finite, or not ``x >= 0`` and ``0 <= t_x <= T``, or t_x is not 0 where x is;
        the message counts the customers and shows the first.
    """
    arrays = as_floats(x), as_floats(t_x), as_floats(T)
    if all(array.shape == (1,) for array in arrays) and _is_possible(
        *(array.item() for array in arrays)
    ):
        return arrays
    alike = arrays[0].shape == arrays[1].shape == arrays[2].shape
    broadcast = arrays if alike else np.broadcast_arrays(*arrays)
    valid = (
        (broadcast[0] >= 0)
        & (broadcast[1] >= 0)
        & (broadcast[1] <= broadcast[2])
        & ((broadcast[0] > 0) | (broadcast[1] == 0))
    )
    bad = ~(valid & np.isfinite(broadcast[0]) & np.isfinite(broadcast[2]))
    if bad.any():
        position = int(np.flatnonzero(bad)[0])
        values = ", ".join(
            f"{name}={array.flat[position]:g}"
            for name, array in zip(("x", "t_x", "T"), broadcast, strict=True)
        )
        raise ValueError(
            f"{counted(int(bad.sum()), 'customer')} without a possible history, first at position "
            f"{position}: {values}; "
            "0 <= x, 0 <= t_x <= T must hold, and t_x = 0 where x = 0"
        )
    return arrays

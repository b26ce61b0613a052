"""Strict reading of stored model parameters: exactly the expected keys, and valid numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import did_you_mean

Covariances = Mapping[str, Array | None]
"""Name of a model -> covariance of the logs of its parameters, shape (n, n); None: not known."""


def read_keys(label: str, stored: object, keys: tuple[str, ...]) -> list[Any]:
    """Return the values of ``keys``, in their order.

    Raises
    ------
    ValueError
        ``stored`` is not a mapping, or a key is missing or unknown; the message names ``label``.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(
            f"{label} is a {type(stored).__name__}; expected an object with the keys "
            f"{', '.join(keys)}"
        )
    for key in stored:
        if key not in keys:
            raise ValueError(f"{label} has the unknown key {key!r}.{did_you_mean(str(key), keys)}")
    for key in keys:
        if key not in stored:
            raise ValueError(f"{label} lacks the key {key!r}")
    return [stored[key] for key in keys]


def finite(key: str, value: object) -> float:
    """Return the number as a float.

    Raises
    ------
    ValueError
        It is not a number, or not finite; the message names ``key``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} is {value!r}; expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{key} is {value!r}; expected a finite number")
    return number


def count(key: str, value: object) -> int:
    """Return the number of customers.

    Raises
    ------
    ValueError
        It is not a whole number above 0; the message names ``key``.
    """
    number = positive(key, value)
    if number != math.floor(number):
        raise ValueError(f"{key} is {value!r}; expected a whole number")
    return int(number)


def positive(key: str, value: object) -> float:
    """Return the number as a float.

    Raises
    ------
    ValueError
        It is not a number, not finite, or not above 0; the message names ``key``.
    """
    number = finite(key, value)
    if number <= 0:
        raise ValueError(f"{key} is {value!r}; expected a number above 0")
    return number


def covariances_of(label: str, stored: object) -> Covariances:
    """Return the covariances of models by their names, which JSON has as lists of rows.

    Raises
    ------
    ValueError
        They are not square matrices of finite numbers; the message names ``label``.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f"{label} is a {type(stored).__name__}; expected an object")
    return {str(name): _matrix(f"{label}.{name}", rows) for name, rows in stored.items()}


def _matrix(label: str, rows: object) -> Array | None:
    if rows is None:
        return None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(rows) for row in rows
    ):
        raise ValueError(f"{label} is no square matrix")
    return np.array([[finite(label, cell) for cell in row] for row in rows], dtype=np.float64)

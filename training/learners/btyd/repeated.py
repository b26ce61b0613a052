"""Fits of customer-base models that are asked for again: a grid search over the other members, or
a second look at the same dates, fits the same customers anew.

Fits are deterministic, so that the first result is the result. What is compared is the content of
the arguments, to the last bit; arrays are not held, only their digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

import numpy as np

from stagecast.training.learners.btyd import fit as fits

MOST_RESULTS = 512
"""Results that are held: a few numbers each. The oldest goes first."""

P = ParamSpec("P")
R = TypeVar("R")


def once(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, which is not called again with arguments of the same content.

    Parameters
    ----------
    function
        Deterministic; its arguments are arrays, or values whose ``repr`` says all. An error is not
        held: it is raised by a call of its own each time.

    >>> double = once(lambda values: print("called") or 2 * values.sum())
    >>> double(np.array([1.0, 2.0])), double(np.array([1.0, 2.0]))
    called
    (np.float64(6.0), np.float64(6.0))
    """
    results: dict[bytes, R] = {}
    lock = Lock()

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        key = _digest([*args, *sorted(kwargs.items())])
        with lock:
            if key in results:
                return results[key]
        result = function(*args, **kwargs)
        with lock:
            results[key] = result
            while len(results) > MOST_RESULTS:
                del results[next(iter(results))]
        return result

    return remembered


def _digest(values: list[object]) -> bytes:
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str} {value.shape} ".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, tuple):
            digest.update(b"(" + _digest(list(value)) + b")")
        else:
            digest.update(f"{value!r} ".encode())
    return digest.digest()


fit = once(fits.fit)
fit_gamma_gamma = once(fits.fit_gamma_gamma)

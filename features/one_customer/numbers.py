"""NumPy's functions for plain numbers, which formulas written for arrays can be evaluated with.

    twin = on_numbers(parts_of_buyers)      the same formula, of floats instead of arrays

A formula of element-wise operations has one definition, for arrays. :func:`on_numbers` returns the
same code with ``numpy`` replaced by :data:`NUMBERS`. Comparison, choice and arithmetic are
Python's; exp, log and all other functions that a library may round in another way are NumPy's and
SciPy's own, called with one number. So both give the same bits, at a tenth of the time.

Where Python raises an error and NumPy returns infinity or null (a division by zero, an overflow of
a power), the twin raises ArithmeticError. Callers then ask the formula of arrays.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
from scipy import special

_PACKAGE = "stagecast."


def _plain(function: Callable[..., Any]) -> Callable[..., float]:
    """Return a function of NumPy or SciPy that returns a Python float."""

    def plain(*values: float) -> float:
        return float(function(*values))

    return plain


exp, log, log1p, expm1 = map(_plain, (np.exp, np.log, np.log1p, np.expm1))
power = _plain(np.power)
expit, logit, exprel, gammaincinv = map(
    _plain, (special.expit, special.logit, special.exprel, special.gammaincinv)
)


COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
"""Comparisons of rules and plays; none holds where a number is null."""


def maximum(a: float, b: float) -> float:
    """Return the larger number; null if one is null.

    >>> maximum(1.0, 2.0), maximum(math.nan, 2.0), maximum(2.0, math.nan)
    (2.0, nan, nan)
    """
    return a if a > b or a != a else b


def minimum(a: float, b: float) -> float:
    """Return the smaller number; null if one is null."""
    return a if a < b or a != a else b


def fmax(a: float, b: float) -> float:
    """Return the larger number that is not null."""
    return a if a >= b or b != b else b


def fmin(a: float, b: float) -> float:
    """Return the smaller number that is not null."""
    return a if a <= b or b != b else b


def clip(value: float, low: float, high: float) -> float:
    """Return the number, or the end of the range that it is beyond."""
    # maximum and minimum, written out: this is called dozens of times for one customer
    above = value if value > low or value != value else low
    return above if above < high or above != above else high


def where(condition: bool, if_true: Any, if_false: Any) -> Any:
    """Return one of two values."""
    return if_true if condition else if_false


def _nan_to_num(value: float, nan: float = 0.0) -> float:
    return nan if value != value else value


def _searchsorted(edges: Sequence[float], value: float, side: str = "left") -> int:
    # NumPy sorts null behind everything
    if value != value:
        return len(edges)
    return (bisect_left if side == "left" else bisect_right)(edges, value)


def _same(value: Any, dtype: object = None) -> Any:
    return value


NUMBERS = SimpleNamespace(
    exp=exp,
    log=log,
    log1p=log1p,
    expm1=expm1,
    power=power,
    maximum=maximum,
    minimum=minimum,
    fmax=fmax,
    fmin=fmin,
    clip=clip,
    where=where,
    nan_to_num=_nan_to_num,
    isnan=math.isnan,
    searchsorted=_searchsorted,
    zeros_like=lambda _: 0.0,
    array_equal=operator.eq,
    array=_same,
    asarray=_same,
    float64=float,
    nan=math.nan,
    inf=math.inf,
)
"""What stands for ``numpy`` in a twin: the functions that formulas use, for one number."""

_TWINS: dict[object, Any] = {
    np: NUMBERS,
    special.expit: expit,
    special.logit: logit,
    special.exprel: exprel,
    special.gammaincinv: gammaincinv,
}


def on_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a formula of arrays as one of plain numbers, see the module.

    Parameters
    ----------
    function
        A function of the packages that computes element by element, with the operations of
        :data:`NUMBERS`. Functions that it calls are taken along, methods are not.

    >>> def odds(p):
    ...     return np.minimum(p, 0.9) / (1.0 - np.minimum(p, 0.9))
    >>> on_numbers(odds)(0.5)
    1.0
    """
    return _twin(cast(FunctionType, function))


@cache
def _twin(function: FunctionType) -> FunctionType:
    names = {name: _of(value) for name, value in function.__globals__.items()}
    twin = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _of(value: Any) -> Any:
    """Return what stands for a global of a function in its twin."""
    if isinstance(value, FunctionType) and value.__module__.startswith(_PACKAGE):
        return _Later(value)
    if isinstance(value, ModuleType | np.ufunc):
        return _TWINS.get(value, value)
    return value


class _Later:
    """The twin of a function, made when it is called first: functions may call each other."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function

    def __call__(self, *values: Any, **named: Any) -> Any:
        return _twin(self._function)(*values, **named)

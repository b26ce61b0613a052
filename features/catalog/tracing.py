"""A Python function of features, traced to a formula of the catalogue.

The function is called with expression objects instead of numbers. What it does with them is written
down as the text of a formula (:mod:`stagecast.features.catalog.formula`), which every engine
evaluates; the function itself is never called again, nor stored.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from stagecast.features.errors import UsageError

_SUM, _PRODUCT, _ATOM = 1, 2, 3
FUNCTIONS = ("nullif", "coalesce", "greatest", "least", "sqrt", "ln")
"""Functions of formulas, which the argument of a traced function has as methods."""

_INSTEAD = (
    "use + - * / and f.nullif(a, b), f.coalesce(a, b), f.greatest(a, b), f.least(a, b), f.sqrt(a), "
    "f.ln(a)"
)


class Expression:
    """A number per customer that is not known yet: the text of a formula.

    Parameters
    ----------
    text
        The formula.
    rank
        How tightly its last operation binds: a sum, a product, or neither.
    """

    __slots__ = ("_rank", "text")

    def __init__(self, text: str, rank: int = _ATOM) -> None:
        self.text = text
        self._rank = rank

    def __repr__(self) -> str:
        return f"Expression({self.text})"

    def _within(self, rank: int) -> str:
        return self.text if self._rank >= rank else f"({self.text})"

    def _with(self, sign: str, other: object, rank: int, *, reflected: bool = False) -> Expression:
        left, right = (other, self) if reflected else (self, other)
        # a - (b - c) keeps its brackets, and so does a + (b + c): floating point is not associative
        first, second = operand(left)._within(rank), operand(right)._within(rank + 1)
        return Expression(f"{first} {sign} {second}", rank)

    def __add__(self, other: object) -> Expression:
        return self._with("+", other, _SUM)

    def __radd__(self, other: object) -> Expression:
        return self._with("+", other, _SUM, reflected=True)

    def __sub__(self, other: object) -> Expression:
        return self._with("-", other, _SUM)

    def __rsub__(self, other: object) -> Expression:
        return self._with("-", other, _SUM, reflected=True)

    def __mul__(self, other: object) -> Expression:
        return self._with("*", other, _PRODUCT)

    def __rmul__(self, other: object) -> Expression:
        return self._with("*", other, _PRODUCT, reflected=True)

    def __truediv__(self, other: object) -> Expression:
        return self._with("/", other, _PRODUCT)

    def __rtruediv__(self, other: object) -> Expression:
        return self._with("/", other, _PRODUCT, reflected=True)

    def __neg__(self) -> Expression:
        # in brackets, since "--" begins a comment in SQL
        return Expression(f"(-{self._within(_ATOM)})")

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return call("greatest", self, -self)

    def fillna(self, value: object) -> Expression:
        """Return the expression with a value in place of null, as ``coalesce`` does."""
        return call("coalesce", self, value)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: object, **options: object
    ) -> Expression:
        """Trace functions of NumPy that have a counterpart in formulas."""
        traced = _UFUNCS.get(ufunc.__name__)
        if traced is None or method != "__call__" or options:
            refuse(f"np.{ufunc.__name__} has no counterpart in formulas; {_INSTEAD}")
        return traced(*inputs)

    # --- what has no formula ----------------------------------------------------------------------

    def _compared(self, other: object) -> NoReturn:
        refuse(
            f"'{self.text}' is compared, and formulas know no comparison; write it with "
            "f.greatest, f.least or a difference"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _compared
    __eq__ = __ne__ = _compared
    __hash__ = None  # type: ignore[assignment]  # as Python writes it itself

    def __bool__(self) -> bool:
        refuse(
            f"'{self.text}' is asked whether it is true (if, and, or, min, max); the value is not "
            f"known while the formula is written; {_INSTEAD}"
        )

    def _number(self) -> NoReturn:
        refuse(
            f"'{self.text}' is turned into a number, which it has for each customer only; "
            f"{_INSTEAD}"
        )

    __float__ = __int__ = __index__ = __round__ = __len__ = _number

    def _no_power(self, other: object) -> NoReturn:
        refuse(f"'{self.text}' is raised to a power; write x * x, or f.sqrt(x)")

    __pow__ = __rpow__ = _no_power

    def _no_operation(self, other: object) -> NoReturn:
        refuse(f"//, % and & | of '{self.text}' have no counterpart in formulas; {_INSTEAD}")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _no_operation
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _no_operation

    def __iter__(self) -> Iterator[Any]:
        refuse(f"'{self.text}' is one number per customer, and cannot be iterated over")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # protocols that Python or NumPy look for
            raise AttributeError(name)
        refuse(f"'{self.text}' has no .{name}; {_INSTEAD}")


class Features:
    """Argument of a traced function: its attributes are the features of the catalogue."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in FUNCTIONS:
            return lambda *arguments: call(name, *arguments)
        return Expression(name)

    def __getitem__(self, name: object) -> Expression:
        if not isinstance(name, str):
            refuse(f"f[{name!r}]: a feature is named by a text, like f['spend_90d']")
        return Expression(name)

    def __setattr__(self, name: str, value: object) -> None:
        refuse(f"f.{name} is set; return the expression instead")


def call(name: str, *arguments: object) -> Expression:
    """Return a function of formulas, of expressions or numbers."""
    is_unary, is_binary = name in ("sqrt", "ln"), name == "nullif"
    if (is_unary and len(arguments) != 1) or (is_binary and len(arguments) != 2) or not arguments:
        wanted = "one argument" if is_unary else "two arguments" if is_binary else "arguments"
        refuse(f"{name} takes {wanted}, not {len(arguments)}")
    return Expression(f"{name}({', '.join(operand(a).text for a in arguments)})")


def operand(value: object) -> Expression:
    """Return an expression, or a number as one."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_):
        number = float(value)
        if not math.isfinite(number):
            refuse(f"{number} is no finite number; null is f.nullif(1, 1)")
        text = repr(abs(number)).removesuffix(".0")
        return Expression(text if number >= 0 else f"(-{text})")
    return refuse(f"{value!r} ({type(value).__name__}) is neither a feature nor a number")


_UFUNCS: dict[str, Callable[..., Expression]] = {
    "add": lambda a, b: operand(a) + b,
    "subtract": lambda a, b: operand(a) - b,
    "multiply": lambda a, b: operand(a) * b,
    "divide": lambda a, b: operand(a) / b,
    "true_divide": lambda a, b: operand(a) / b,
    "negative": lambda a: -operand(a),
    "absolute": lambda a: abs(operand(a)),
    "sqrt": lambda a: call("sqrt", a),
    "log": lambda a: call("ln", a),
    "fmax": lambda a, b: call("greatest", a, b),
    "fmin": lambda a, b: call("least", a, b),
}


def refuse(reason: str) -> NoReturn:
    """Raise the error of a function that cannot be traced."""
    raise UsageError(reason)


def trace(function: Callable[[Any], object], name: str) -> str:
    """Return the formula of a function of features.

    Parameters
    ----------
    function
        Takes one argument, whose attributes are features, and returns an expression of them.
    name
        Of the feature, for messages.

    Raises
    ------
    UsageError
        The function does something that formulas cannot express; the message says what.

    Examples
    --------
    >>> trace(lambda f: (f.spend_90d + 1) / f.nullif(f.orders, 0), "mean")
    '(spend_90d + 1) / nullif(orders, 0)'
    """
    label = f"feature '{name}' cannot be traced to a formula"
    try:
        traced, again = function(Features()), function(Features())
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from None
    except Exception as error:
        raise UsageError(
            f"{label}: it raised {type(error).__name__}: {error}. It is called with names instead "
            f"of numbers; {_INSTEAD}"
        ) from error
    if not isinstance(traced, Expression) or not isinstance(again, Expression):
        raise UsageError(
            f"{label}: it returned {traced!r} ({type(traced).__name__}), not an expression of "
            "features like f.spend_90d / f.orders_90d"
        )
    if traced.text != again.text:
        raise UsageError(
            f"{label}: two calls gave '{traced.text}' and '{again.text}'; it must not depend on "
            "the time or on chance"
        )
    return traced.text

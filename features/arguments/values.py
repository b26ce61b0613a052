"""Numbers, shares, texts and paths as callers give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf, isfinite
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from stagecast.features.errors import UsageError

LONGEST = 80
"""Most characters of a value in an error."""

_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*")


def shown(value: object) -> str:
    """Return a value for an error: one line of limited length; a table by its type alone.

    >>> shown("10 %"), shown([1, 2])
    ("'10 %'", '[1, 2]')
    """
    if hasattr(type(value), "columns"):
        return f"{type(value).__name__}(…)"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def refuse(value: object, name: str, give: str) -> NoReturn:
    """Raise the error of a value that an argument does not take.

    >>> refuse("3", "dates", "a whole number, like 4")
    Traceback (most recent call last):
    ...
    stagecast.features.errors.UsageError: dates = '3' cannot be used; give a whole number, like 4
    """
    raise UsageError(f"{name} = {shown(value)} cannot be used; give {give}")


def number(
    value: Any, name: str, give: str, *, least: float = -inf, most: float = inf, above: float = -inf
) -> float:
    """Return a finite number; one of NumPy becomes one of Python.

    Parameters
    ----------
    give
        What is right, with an example, for the error.
    least, most, above
        Bounds; ``above`` is not allowed itself.

    Raises
    ------
    UsageError
        It is a text, True or False, no number, or outside the bounds.

    >>> number(5, "budget", "money, like 100", least=0)
    5
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        refuse(value, name, give)
    plain = value if isinstance(value, int) else float(value)
    if not (isfinite(plain) and least <= plain <= most and plain > above):
        refuse(value, name, give)
    return int(plain) if isinstance(value, Integral) else plain


def whole_number(value: Any, name: str, give: str, *, least: int = 0, most: float = inf) -> int:
    """Return a whole number, also of a float such as 4.0; see :func:`number`."""
    plain = number(value, name, give, least=least, most=most)
    if plain != int(plain):
        refuse(value, name, give)
    return int(plain)


def share(
    value: Any,
    name: str,
    *,
    least: float = 0.0,
    most: float = 1.0,
    above: float = -inf,
    below: float = inf,
) -> float:
    """Return a share: a number, or a text such as ``10%``.

    Raises
    ------
    UsageError
        It is neither, or outside the bounds; ``above`` and ``below`` are not allowed themselves.

    >>> share("10%", "holdout"), share(0.1, "holdout")
    (0.1, 0.1)
    """
    from_, to = max(least, above), min(most, below)
    low = "" if from_ == -inf else f" {'above' if above >= least else 'from'} {from_:g}"
    high = "" if to == inf else f" {'and below' if below <= most else 'to'} {to:g}"
    give = f"a share{low}{high}, like 0.1 or '10%'"
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    fraction = value if percent is None else float(percent[1]) / 100
    try:
        plain = number(fraction, name, give, least=least, most=most, above=above)
    except UsageError:
        refuse(value, name, give)
    if plain >= below:
        refuse(value, name, give)
    return plain


def flag(value: Any, name: str) -> bool:
    """Return True or False, also of NumPy; raise UsageError for other values."""
    if type(value).__name__ not in ("bool", "bool_"):
        refuse(value, name, "True or False")
    return bool(value)


def text(value: Any, name: str, give: str) -> str:
    """Return a text; raise UsageError for other values."""
    if not isinstance(value, str):
        refuse(value, name, give)
    return str(value)


def texts(value: Any, name: str, give: str) -> tuple[str, ...]:
    """Return texts; one text is one of them, and None is none.

    Raises
    ------
    UsageError
        It is no collection of texts.

    >>> texts("channel", "known_at_start", "names of columns, like ['channel']")
    ('channel',)
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        refuse(value, name, give)
    items = tuple(value)
    if not all(isinstance(item, str) for item in items):
        refuse(value, name, give)
    return tuple(str(item) for item in items)


def mapping(value: Any, name: str, give: str) -> dict[Any, Any]:
    """Return a dict of a mapping, of pairs or of a Series; None is empty.

    Raises
    ------
    UsageError
        It is none of these.
    """
    if value is None:
        return {}
    if isinstance(value, str | bytes):
        refuse(value, name, give)
    try:
        return dict(value)
    except (TypeError, ValueError):
        refuse(value, name, give)


def path(value: Any, name: str, give: str) -> Path:
    """Return a path of a text or a path; raise UsageError for other values.

    >>> path("model", "folder", "the path of a folder, like 'shop-model'")
    PosixPath('model')
    """
    if not isinstance(value, str | PathLike) or not str(value):
        refuse(value, name, give)
    return Path(value)

"""Errors in Python's words: an argument ``customer="COL"`` instead of an option ``--customer COL``.

Errors are raised by code that the command line and Python share, and name options. At the border
to Python the names become those of the arguments.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, ParamSpec, TypeVar

from stagecast.features.errors import StagecastError

P = ParamSpec("P")
R = TypeVar("R")

ARGUMENTS = {
    "stages": "scheme",
    "pin": "pins",
    "out": "folder",
    "model": "folder",
}
"""Option -> argument, where they are not called alike."""
_SIGNS = ("decimal", "thousands")
"""Options whose value may be a comma or a full stop."""

_PHRASES = (
    ("; `stagecast check FILE` proposes a mapping", ""),
    ("give the folder that `stagecast train` wrote", "give the folder that Lifecycle.save wrote"),
    (
        "`stagecast check EVENTS --out DIR` without it writes them all to DIR/rejected.parquet",
        "without it, log.rejected() has them all",
    ),
    (", or under [customers] in stagecast.toml", ""),
    ("to `run` and `train` --margin", "to Lifecycle margin"),
    (
        "train one: stagecast train EVENTS --register ",
        "make one: Lifecycle.register with the name ",
    ),
    (
        "see `stagecast models list`, and check --tracking-uri",
        "check the name and tracking_uri",
    ),
    ("name a version: stagecast models list ", "name one of Registry.versions() of "),
    ("read the log with day_zone=", "read the log with zone="),
    (" in its ReadOptions", ""),
    ("train with this --as-of", "fit with this as_of"),
    ("train with a longer --horizon", "fit with a longer horizon"),
    ("train with a longer horizon", "fit with a longer horizon"),
    ("replace it with --force", "replace it with force=True"),
    ("which this command did not write", "which this function did not write"),
    ("`stagecast check` names them", "log.check() names them"),
    ("the same --customer column", "the same column of customers"),
)
_WORDS = "drop|keep|refuse|refund|inactivity|cancellation|learned|assumed|excel|unix"
"""Values that are words; other words after an option belong to the sentence."""
_OPTION = re.compile(
    r"--(?P<name>[a-z][a-z0-9-]*[a-z0-9])"
    rf"(?:[= ](?P<value>'[^']*'|\"[^\"]*\"|(?:{_WORDS})\b"
    r"|[A-Z][A-Z_]*(?:=[A-Z]+)?\b(?![a-z])|[\w.+-]*[\d/][\w./:+%-]*|[,.](?=$|[\s)])))?"
)


def in_python_words(text: str, arguments: Mapping[str, str] = ARGUMENTS) -> str:
    """Return a message with the arguments of Python in place of the command line's options.

    Parameters
    ----------
    arguments
        Option -> argument, where they are not called alike.

    >>> in_python_words("Name the right one with --customer COL")
    'Name the right one with customer="COL"'
    >>> in_python_words("--as-of 2011-13-01 is no date; leave --as-of out")
    "as_of='2011-13-01' is no date; leave as_of out"
    >>> in_python_words("give --report-currency EUR --rates USD=RATE")
    'give report_currency="EUR" rates={"USD": RATE}'
    >>> in_python_words("is read by --decimal , --thousands .")
    "is read by decimal=',' thousands='.'"
    """
    for phrase, python in _PHRASES:
        text = text.replace(phrase, python)
    return _OPTION.sub(lambda match: _argument(match, arguments), text)


def translated(value: Any) -> Any:
    """Return a result whose texts name arguments; dataclasses, tuples and lists are gone through.

    >>> translated(("leave --as-of out", 3))
    ('leave as_of out', 3)
    """
    if isinstance(value, str):
        return in_python_words(value)
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(translated(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        new = {name: translated(part) for name, part in parts.items()}
        changed = {name: part for name, part in new.items() if part != parts[name]}
        return replace(value, **changed) if changed else value
    return value


def _argument(match: re.Match[str], arguments: Mapping[str, str]) -> str:
    option, value = match["name"], match["value"]
    name = arguments.get(option, option.replace("-", "_"))
    if value is None:
        return name
    if value in (",", "."):
        # one or the other is the value of these options, and ends the sentence after others
        return f"{name}={value!r}" if option in _SIGNS else f"{name}{value}"
    stop = "." if value.endswith(".") else ""
    value = value.removesuffix(".")
    if option == "rates" and "=" in value:
        code, _, rate = value.strip("'\"").partition("=")
        return f'{name}={{"{code}": {rate}}}{stop}'
    if value[0] in "'\"" or value.replace(".", "", 1).isdigit():
        return f"{name}={value}{stop}"
    return f'{name}="{value}"{stop}' if value.isupper() else f"{name}='{value}'{stop}"


@contextmanager
def python_words(**arguments: str) -> Iterator[None]:
    """Turn errors that name options into errors of the same type that name arguments.

    Parameters
    ----------
    arguments
        Option -> argument, beside those of :data:`ARGUMENTS`.
    """
    try:
        yield
    except StagecastError as error:
        message = in_python_words(str(error), ARGUMENTS | arguments)
        if message == str(error):
            raise
        raise type(error)(message) from error


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of the Python API, so that its errors name its arguments."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with python_words():
            return function(*args, **kwargs)

    return wrapper

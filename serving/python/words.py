"""Errors in Python's words: an argument ``customer="COL"`` instead of an option ``--customer COL``.

Errors are raised by code that the command line and Python share, and name options. At the border
to Python the names become those of the arguments.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

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
)
_WORDS = "drop|keep|refuse|refund|inactivity|cancellation|learned|assumed|excel|unix"
"""Values that are words; other words after an option belong to the sentence."""
_OPTION = re.compile(
    r"--(?P<name>[a-z][a-z0-9-]*[a-z0-9])"
    rf"(?:[= ](?P<value>'[^']*'|\"[^\"]*\"|(?:{_WORDS})\b"
    r"|[A-Z][A-Z_]*(?:=[A-Z]+)?\b(?![a-z])|[\w.+-]*[\d/][\w./:+%-]*))?"
)


def in_python_words(text: str) -> str:
    """Return a message with the arguments of Python in place of the command line's options.

    >>> in_python_words("Name the right one with --customer COL")
    'Name the right one with customer="COL"'
    >>> in_python_words("--as-of 2011-13-01 is no date; leave --as-of out")
    "as_of='2011-13-01' is no date; leave as_of out"
    >>> in_python_words("give --report-currency EUR --rates USD=RATE")
    'give report_currency="EUR" rates={"USD": RATE}'
    """
    for phrase, python in _PHRASES:
        text = text.replace(phrase, python)
    return _OPTION.sub(_argument, text)


def _argument(match: re.Match[str]) -> str:
    option, value = match["name"], match["value"]
    name = ARGUMENTS.get(option, option.replace("-", "_"))
    if value is None:
        return name
    stop = "." if value.endswith(".") else ""
    value = value.removesuffix(".")
    if option == "rates" and "=" in value:
        code, _, rate = value.strip("'\"").partition("=")
        return f'{name}={{"{code}": {rate}}}{stop}'
    if value[0] in "'\"" or value.replace(".", "", 1).isdigit():
        return f"{name}={value}{stop}"
    return f'{name}="{value}"{stop}' if value.isupper() else f"{name}='{value}'{stop}"


@contextmanager
def python_words() -> Iterator[None]:
    """Turn errors that name options into errors of the same type that name arguments."""
    try:
        yield
    except StagecastError as error:
        translated = in_python_words(str(error))
        if translated == str(error):
            raise
        raise type(error)(translated) from error


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of the Python API, so that its errors name its arguments."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with python_words():
            return function(*args, **kwargs)

    return wrapper

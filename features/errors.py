"""Errors that a user can cause, each with its exit code on the command line.

A message names the value, its place, and what to try next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StagecastError(Exception):
    """Base class of the errors that the user's input causes; carries the exit code."""

    exit_code = 1


class UsageError(StagecastError):
    """An option, an argument or a setting cannot be used."""

    exit_code = 2


class DataRefusedError(StagecastError):
    """The events cannot be read as an event log."""

    exit_code = 3


class NotMappedError(DataRefusedError):
    """A source has no column of a required name, and nothing was mapped in its place."""


class NotEnoughDataError(StagecastError):
    """The events are valid, but too few for even the simplest method."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the most similar known name, or an empty string.

    Parameters
    ----------
    name
        The name that the user wrote.
    known
        The names that exist.

    >>> did_you_mean("costumer_id", ["customer_id", "amount"])
    " Did you mean 'customer_id'?"
    >>> did_you_mean("zzz", ["customer_id"])
    ''
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""

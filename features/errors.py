"""The errors a user can cause, each with the exit code of the command line.

A message names the value, where it stands, and what to try next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StagecastError(Exception):
    """Base of every error that is the input's fault rather than ours; carries the exit code."""

    exit_code = 1


class UsageError(StagecastError):
    """An option, argument or setting that cannot be used as given."""

    exit_code = 2


class DataRefusedError(StagecastError):
    """The events cannot be read as an event log."""

    exit_code = 3


class NotEnoughDataError(StagecastError):
    """The events are sound, but too few for even the simplest method."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string.

    >>> did_you_mean("costumer_id", ["customer_id", "amount"])
    " Did you mean 'customer_id'?"
    >>> did_you_mean("zzz", ["customer_id"])
    ''
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""

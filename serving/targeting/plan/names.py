"""Names of plans, which stand in file names and addresses."""

from __future__ import annotations

import re

from stagecast.features.errors import UsageError

LENGTH_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def check_name(name: str) -> None:
    """Check the name of a plan.

    Raises
    ------
    UsageError
        It is empty, too long, or has other characters than letters, digits, ``-``, ``_``, ``.``.

    >>> check_name("autumn-2026.2")
    """
    if len(name) > LENGTH_MAX or not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name[:100]}' is no name of a plan: write at most {LENGTH_MAX} letters, digits, "
            "'-', '_' and '.', like autumn-2026"
        )

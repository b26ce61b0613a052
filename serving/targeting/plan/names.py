"""Names of plans, which stand in file names and addresses."""

from __future__ import annotations

import re

from stagecast.serving.quoting import quote
from stagecast.serving.targeting.plan.errors import NameRefusedError

LENGTH_MAX = 64
RESERVED = frozenset({"new", "log", "upload"})
"""An address of a page, and where contacts are from besides plans."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def is_name(name: str) -> bool:
    """Return whether a plan can have this name.

    >>> is_name("autumn"), is_name("au tumn")
    (True, False)
    """
    is_short = len(name) <= LENGTH_MAX and name not in RESERVED
    return is_short and _NAME.fullmatch(name) is not None


def check_owner(owner: str) -> None:
    """Check the text that says whose a plan is.

    Raises
    ------
    NameRefusedError
        It has characters that are not printed, such as the end of a line.
    """
    if not owner.isprintable():
        problem = "has characters that are not printed; write a name"
        raise NameRefusedError(f"the owner '{quote(owner)!a}' {problem}", f"the owner {problem}")


def check_name(name: str) -> None:
    """Check the name of a plan.

    Raises
    ------
    NameRefusedError
        It is empty, too long, or has other characters than letters, digits, ``-``, ``_``, ``.``.

    >>> check_name("autumn-2026.2")
    """
    if not is_name(name):
        problem = (
            f"is no name of a plan: write at most {LENGTH_MAX} letters, digits, '-', '_' and '.', "
            "like autumn-2026"
        )
        raise NameRefusedError(f"'{quote(name)}' {problem}", f"the name {problem}")

"""The rule of customers' ids, the same for logs, bodies, addresses, publications and erasure.

An id is any text without blanks around it, of 1 to 16,384 characters, also with slashes, dots and
line ends inside. Words that stand for a missing id name nobody, and no id has a NUL, which
databases do not store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Integral, Real

from stagecast.features.arguments.values import shown
from stagecast.features.errors import UsageError, did_you_mean

BLANKS = " \t\r\n\u00a0"
"""Characters that are removed from both ends of an id; an id of these alone is missing."""
LONGEST_ID = 16_384
"""Most characters of an id."""
NO_CUSTOMER = ("nan", "null", "none", "<na>")
"""Words, in lower case, that other programs write for a missing id; read as a missing customer."""


def clean_id(text: str) -> str:
    """Return the id that a text names: the text without blanks around it.

    >>> clean_id(" 17 850\\n")
    '17 850'
    """
    return text.strip(BLANKS)


def id_problem(customer_id: str) -> str | None:
    """Return why a cleaned text is no id of a customer; None: it is one.

    >>> id_problem("a/../b"), id_problem("NaN")
    (None, 'names no customer')
    """
    if not customer_id or customer_id.lower() in NO_CUSTOMER:
        return "names no customer"
    if len(customer_id) > LONGEST_ID:
        return f"is longer than {LONGEST_ID:,} characters, the longest that an id can be"
    if "\0" in customer_id:
        return "has a NUL, which no id can have"
    try:
        customer_id.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode text"
    return None


def bare_id(text: str) -> str:
    """Return an id without what is lost or added where it is taken for a number.

    >>> bare_id("00004"), bare_id("1003.0")
    ('4', '1003')
    """
    return text.removesuffix(".0").lstrip("0")


def hint_of_id(wanted: str, known: Sequence[str]) -> str:
    """Return which id of the known ones may be meant, or how they look, for an error.

    >>> hint_of_id("1003.0", ["1030", "1003"])
    " Did you mean '1003'?"
    """
    for id_ in known:
        if bare_id(id_) == bare_id(wanted):
            return f" Did you mean '{id_}'?"
    example = f" Ids look like {known[0]!r}." if known else ""
    return did_you_mean(wanted, known) or example


def customer_id_text(value: object, argument: str) -> str:
    """Return an id that Python hands over as a log has it: a whole number has no ``.0``.

    Numbers become floats where pandas keeps a column with a gap, so 17.0 is the customer ``17``.

    Raises
    ------
    UsageError
        It is null, a number with a fraction, True or False, or a collection.

    >>> customer_id_text(1310.0, "ids"), customer_id_text("1310.0", "ids")
    ('1310', '1310.0')
    """
    if hasattr(value, "as_py"):  # a scalar of Arrow
        value = value.as_py()
    if isinstance(value, str):
        return str(value)
    is_nan = isinstance(value, Real | Decimal) and value != value
    if value is None or is_nan or type(value).__name__ in ("NAType", "NaTType"):
        raise UsageError(
            f"{argument} has a null ({shown(value)}), which is no id of a customer; leave it out"
        )
    if type(value).__name__ in ("bool", "bool_") or isinstance(value, Iterable):
        raise UsageError(
            f"{argument} = {shown(value)} is of type {type(value).__name__} and no id of a "
            "customer; give a text or a whole number, like 'c17' or 17"
        )
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real | Decimal):
        if float(value) != float(value) // 1:
            raise UsageError(
                f"{argument} has the number {value}, which is no id of a customer; give texts or "
                "whole numbers"
            )
        return str(int(float(value)) if isinstance(value, Real) else int(value))
    return str(value)

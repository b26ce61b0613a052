"""The rule of customers' ids, the same for logs, bodies, addresses, publications and erasure.

An id is any text without blanks around it, of 1 to 16,384 characters, also with slashes, dots and
line ends inside. Words that stand for a missing id name nobody, and no id has a NUL, which
databases do not store.
"""

from __future__ import annotations

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

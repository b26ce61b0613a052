"""Numbers of things in words."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """Return a whole number of things, in the singular where it is one.

    Parameters
    ----------
    number
        How many.
    noun
        What is counted, in the singular; its plural ends in ``s``.

    >>> counted(1, "customer"), counted(0, "row"), counted(1234, "day")
    ('1 customer', '0 rows', '1,234 days')
    """
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"

"""Names of the columns of a source: a column without a name is called by its position."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.errors import DataRefusedError


def nameless_columns(names: Sequence[str]) -> frozenset[int]:
    """Return the positions, counted from 0, of the columns without a name."""
    return frozenset(i for i, name in enumerate(names) if not name)


def name_columns(names: Sequence[str], label: str) -> list[str]:
    """Return the names of all columns; the n-th one, if it has no name, is called ``column n``.

    Parameters
    ----------
    names
        As in the source; empty where a column has none, such as the index that pandas writes.
    label
        Name of the source in error messages.

    Raises
    ------
    DataRefusedError
        Two columns have the same name; the message holds it and both positions, counted from 1.

    >>> name_columns(["", "customer_id"], "log.csv")
    ['column 1', 'customer_id']
    """
    named = [name or f"column {i}" for i, name in enumerate(names, 1)]
    for i, name in enumerate(named):
        if name in named[:i]:
            raise DataRefusedError(
                f"{label}: columns {named.index(name) + 1} and {i + 1} are both named "
                f"{name!r}; rename one of them"
            )
    return named

"""What was known of a customer from the start: the channel and the declared attributes, as
texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.errors import UsageError, did_you_mean

Texts = NDArray[np.object_]


CHANNEL = "channel"
"""The name under which the channel of the first event stands beside the attributes."""


MISSING = ""
"""The category of those of whom nothing is told: a blank is a category, since it too was known
at the start.
"""


def check_known_at_start(kinds: Mapping[str, str], names: Sequence[str]) -> None:
    """Refuse columns under ``known_at_start`` that the table of customers has not, or that cannot
    be called so.

    Parameters
    ----------
    kinds
        Column -> ``category``, ``number`` or ``flag``, as in :attr:`AttributesReport.columns`.

    Raises
    ------
    UsageError
        The message names the column and what to try.
    """
    for name in names:
        if name not in kinds:
            raise UsageError(
                f"customers: known_at_start names '{name}', which is no column of the "
                "table; it has "
                f"{', '.join(kinds) or 'none'}.{did_you_mean(name, kinds)}"
            )
        if name == CHANNEL:
            raise UsageError(
                f"customers: known_at_start names '{CHANNEL}', which is what the channel "
                "of the first event is called; "
                "give the column another name"
            )


def attribute_kinds(con: duckdb.DuckDBPyConnection) -> dict[str, str] | None:
    """Return column -> ``category``, ``number`` or ``flag`` of the table ``attributes``; None:
    there is none.
    """
    if not con.execute("select 1 from duckdb_tables() where table_name = 'attributes'").fetchall():
        return None
    of_type = {"BOOLEAN": "flag", "DOUBLE": "number"}
    described = con.execute("describe attributes").fetchall()
    return {
        str(row[0]): of_type.get(str(row[1]), "category")
        for row in described
        if row[0] != "customer_id"
    }


def known_at_start(
    con: duckdb.DuckDBPyConnection,
    customers: Texts,
    names: Sequence[str],
) -> dict[str, Texts]:
    """Return columns of the table ``attributes`` that the user promises were known from the first
    contact on.

    Parameters
    ----------
    customers
        Ids, the rows wanted.
    names
        The columns (``known_at_start`` of the configuration).

    Returns
    -------
    dict
        Column -> one text per customer; blank for a customer who is not in the table. Numbers are
        no categories: they are left out, and reach models as features of the catalogue alone
        (:mod:`stagecast.features.catalog.of_customer`).

    Raises
    ------
    UsageError
        The log came without a table of customers, or a column is not in the table.
    """
    if not names:
        return {}
    kinds = attribute_kinds(con)
    if kinds is None:
        raise UsageError(
            f"leads are told apart by {', '.join(names)} of the table of customers: name "
            "that table with --customers, "
            "or under [customers] in stagecast.toml"
        )
    check_known_at_start(kinds, names)
    names = [name for name in names if kinds[name] != "number"]
    if not names:
        return {}
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    texts = ", ".join(
        f"coalesce(cast({column} as varchar), '{MISSING}') as a{k}"
        for k, column in enumerate(quoted)
    )
    cursor = con.cursor()
    cursor.register(
        "wanted",
        pa.table({"id": pa.array(customers, pa.string()), "row": np.arange(len(customers))}),
    )
    missing = ", ".join(f"coalesce(a{k}, '{MISSING}') as a{k}" for k in range(len(names)))
    found = cursor.sql(
        f"""select {missing} from wanted left join (select customer_id, {texts} from attributes)
            as told
        on told.customer_id = wanted.id order by row"""
    ).to_arrow_table()
    cursor.close()
    return {
        name: np.array(found[f"a{k}"].to_pylist(), dtype=object) for k, name in enumerate(names)
    }


def given_at_start(
    attributes: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Texts]:
    """Return the same of the attributes of a request: numbers and flags as the table has them, null
    as blank.

    Raises
    ------
    UsageError
        A value is a list or an object.

    >>> given_at_start([{"origin": "email", "consent": True}, {}], ["origin"])["origin"].tolist()
    ['email', '']
    """
    return {
        name: np.array([_text(name, one.get(name)) for one in attributes], dtype=object)
        for name in names
    }


def _text(name: str, value: object) -> str:
    match value:
        case None:
            return MISSING
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value).strip()
        case _:
            raise no_attribute(name, value)


def no_attribute(name: str, value: object) -> UsageError:
    """Return the error of an attribute that is a list or an object."""
    return UsageError(
        f"attributes: '{name}' is {value!r}; give a text, a number, true, false or null"
    )

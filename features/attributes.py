"""Customer attributes that were known from the first contact on, as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import duckdb

Texts = NDArray[np.object_]


CHANNEL = "channel"
"""Name of the category that holds the channel of a customer's first event."""


NAME = "name"
"""Column of the table of customers with their names, which are personal: no model learns from it.
"""


MISSING = ""
"""Category of customers without a value.

A blank is a category of its own, since it was also known at the start that there is no value.
"""


def check_known_at_start(kinds: Mapping[str, str], names: Sequence[str]) -> None:
    """Check that the columns named under ``known_at_start`` exist and have allowed names.

    Parameters
    ----------
    kinds
        Column -> ``category``, ``number`` or ``flag``, as in :attr:`AttributesReport.columns`.
    names
        Columns named under ``known_at_start``.

    Raises
    ------
    UsageError
        A column is not in the table, or has a reserved name, ``channel`` or ``name``. The message
        names the column and what to try.
    """
    for name in names:
        if name not in kinds:
            raise UsageError(
                f"customers: known_at_start names '{name}', which is no column of the table; "
                f"it has {', '.join(kinds) or 'none'}.{did_you_mean(name, kinds)}"
            )
        if name.casefold() == NAME:
            raise UsageError(
                f"customers: known_at_start names '{name}', which is the name of a customer: no "
                "model learns from it; leave it out, or give another column another name"
            )
        if name == CHANNEL:
            raise UsageError(
                f"customers: known_at_start names '{CHANNEL}', which is what the channel of the "
                "first event is called; give the column another name"
            )


def attribute_kinds(con: duckdb.DuckDBPyConnection) -> dict[str, str] | None:
    """Return the kind of each column of the table ``attributes``, or None without that table.

    Parameters
    ----------
    con
        Database of the log.

    Returns
    -------
    dict or None
        Column -> ``category``, ``number`` or ``flag``, without ``customer_id``.
    """
    if not con.execute("select 1 from duckdb_tables() where table_name = 'attributes'").fetchall():
        return None
    kind_of_type = {"BOOLEAN": "flag", "DOUBLE": "number"}
    columns = con.execute("describe attributes").fetchall()
    return {
        str(row[0]): kind_of_type.get(str(row[1]), "category")
        for row in columns
        if row[0] != "customer_id"
    }


def table_attribute_texts(
    con: duckdb.DuckDBPyConnection,
    customers: Texts,
    names: Sequence[str],
) -> dict[str, Texts]:
    """Return columns of the table ``attributes`` as one text per customer.

    Parameters
    ----------
    con
        Database of the log.
    customers
        Ids of the customers, shape (n_customers,).
    names
        Columns that the user declared as known at the start (``known_at_start`` of the
        configuration).

    Returns
    -------
    dict
        Column -> texts, shape (n_customers,); blank for a customer who is not in the table. Numbers
        are not categories and are left out: models use them only as features of the catalogue
        (:mod:`stagecast.features.catalog.of_customer`).

    Raises
    ------
    UsageError
        The log has no table of customers, or the table has no such column.
    """
    if not names:
        return {}
    kinds = attribute_kinds(con)
    if kinds is None:
        raise UsageError(
            f"known_at_start names {', '.join(names)}, but the log has no table of customers: "
            "name that table with --customers, or under [customers] in stagecast.toml"
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
    # a customer who is not in the table has nulls after the join
    columns = ", ".join(f"coalesce(a{k}, '{MISSING}') as a{k}" for k in range(len(names)))
    rows = cursor.sql(
        f"""select {columns}
        from wanted
        left join (select customer_id, {texts} from attributes) as attribute_texts
            on attribute_texts.customer_id = wanted.id
        order by row"""
    ).to_arrow_table()
    cursor.close()
    return {name: np.array(rows[f"a{k}"].to_pylist(), dtype=object) for k, name in enumerate(names)}


def request_attribute_texts(
    attributes: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Texts]:
    """Return attributes of a request as texts, written as :func:`table_attribute_texts` does.

    Parameters
    ----------
    attributes
        Attributes of each customer, name -> value.
    names
        The attributes to return.

    Returns
    -------
    dict
        Name -> texts, shape (n_customers,); blank for null or a missing attribute.

    Raises
    ------
    UsageError
        A value is a list or an object.

    >>> customers = [{"origin": "email", "consent": True}, {}]
    >>> request_attribute_texts(customers, ["origin"])["origin"].tolist()
    ['email', '']
    """
    return {
        name: np.array([_text(name, values.get(name)) for values in attributes], dtype=object)
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
            raise attribute_value_error(name, value)


def attribute_value_error(name: str, value: object) -> UsageError:
    """Return the error for an attribute whose value is a list or an object."""
    return UsageError(
        f"attributes: '{name}' is {value!r}; give a text, a number, true, false or null"
    )

"""Features of the relation ``customer``: attributes known from the first contact on.

    table attributes        -> :func:`stagecast.features.engines.sql.tables.attributes_step`
    attributes of a request -> :func:`attribute_column`

A table of customers shows today's state. A column filled in after a customer left would reveal the
outcome at every past date that models learn from. Therefore only columns declared under
``known_at_start`` can be used, as in :mod:`stagecast.features.leads`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import MISSING, attribute_value_error, request_attribute_texts
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.errors import UsageError, did_you_mean

Kinds = Mapping[str, str]
"""Column -> ``category``, ``number`` or ``flag``, as returned by
:func:`stagecast.features.attributes.attribute_kinds`.
"""


def attribute_features(catalog: Catalog) -> list[Feature]:
    """Return the features of a catalogue that use attributes of the customer."""
    return [feature for feature in catalog.features if feature.relation == "customer"]


def check_declared(catalog: Catalog, kinds: Kinds | None, known_at_start: Sequence[str]) -> None:
    """Check that every attribute feature uses a declared column of the table of customers.

    Parameters
    ----------
    catalog
        Catalogue to check.
    kinds
        Kinds of the table of customers; None: there is no such table.
    known_at_start
        Columns that the user declared as known at the first contact.

    Raises
    ------
    UsageError
        As :func:`check_table` and :func:`check_numbers`, or a column is not declared. The message
        names the feature, the column and what to try.
    """
    check_table(catalog, kinds)
    for feature in attribute_features(catalog):
        if feature.column not in known_at_start:
            raise UsageError(
                f"feature '{feature.name}' asks for '{feature.column}' of the customer, which is "
                f"not declared as known from the start ({', '.join(known_at_start) or 'nothing'} "
                "is): as it stands today it may tell the outcome. If it really was known at the "
                f"first contact, declare it with --known-at-start {feature.column}, or as "
                "known_at_start under [customers] in stagecast.toml"
            )
    check_numbers(catalog, kinds, known_at_start)


def check_numbers(catalog: Catalog, kinds: Kinds | None, known_at_start: Sequence[str]) -> None:
    """Check that every declared number is used by a feature.

    Models of leads use categories only, so a number without a feature would have no effect.

    Parameters
    ----------
    catalog
        Catalogue to check.
    kinds
        Kinds of the table of customers; None: there is no such table.
    known_at_start
        Columns that the user declared as known at the first contact.

    Raises
    ------
    UsageError
        The message names the column and what to try.
    """
    used_columns = [feature.column for feature in attribute_features(catalog)]
    for name in known_at_start:
        if (kinds or {}).get(name) == "number" and name not in used_columns:
            raise UsageError(
                f"customers: known_at_start names '{name}', which is a number, and no feature of "
                'the catalogue asks for it: add one (from = "customer", function = "value", '
                f'column = "{name}") under [catalog] in stagecast.toml, or make bands of it, such '
                "as 'below 100', in a column of its own"
            )


def check_table(catalog: Catalog, kinds: Kinds | None) -> None:
    """Check that the table of customers has the columns of all attribute features.

    Parameters
    ----------
    catalog
        Catalogue to check.
    kinds
        Kinds of the table of customers; None: there is no such table.

    Raises
    ------
    UsageError
        There is no table, no such column, or the column is of another kind.
    """
    for feature in attribute_features(catalog):
        column, label = str(feature.column), f"feature '{feature.name}'"
        if kinds is None:
            raise UsageError(
                f"{label} asks for '{column}' of the customer: name the table of customers that "
                "has it with --customers, or under [customers] in stagecast.toml"
            )
        if column not in kinds:
            raise UsageError(
                f"{label} asks for '{column}', which is no column of the table of customers; it "
                f"has {', '.join(kinds) or 'none'}.{did_you_mean(column, kinds)}"
            )
        if feature.function == "value" and kinds[column] == "category":
            raise UsageError(
                f"{label} asks for the value of '{column}', which is a category: ask whether it is "
                'one of some texts with function = "is" and values = [...], or name it under '
                "numbers of [customers] if it is a number"
            )
        if feature.function == "is" and kinds[column] == "number":
            raise UsageError(
                f"{label} asks whether '{column}' is a text, and it is a number: ask for it with "
                'function = "value"'
            )


def attribute_column(feature: Feature, attributes: Sequence[Mapping[str, Any]]) -> Array:
    """Return a feature of the attributes of a request, shape (n_customers,); null is NaN.

    Parameters
    ----------
    feature
        Feature of the relation ``customer``.
    attributes
        Attributes of each customer, name -> value.

    Raises
    ------
    UsageError
        An attribute is a list or an object.

    >>> meaning = "cost of the first contact"
    >>> cost = Feature("cost", "money", meaning, "customer", "value", "acquisition_cost")
    >>> customers = [{"acquisition_cost": 12}, {"acquisition_cost": True}, {}]
    >>> attribute_column(cost, customers).tolist()
    [12.0, 1.0, nan]
    """
    column = str(feature.column)
    if feature.function == "value":
        numbers = [_number(column, values.get(column)) for values in attributes]
        return np.array(numbers, dtype=np.float64)
    texts = request_attribute_texts(attributes, [column])[column]
    flags = [math.nan if text == MISSING else float(text in feature.values) for text in texts]
    return np.array(flags, dtype=np.float64)


def _number(name: str, value: object) -> float:
    match value:
        case bool() | int() | float() if abs(value) <= sys.float_info.max:
            return float(value)
        case None | str() | int() | float():
            return math.nan
        case _:
            raise attribute_value_error(name, value)

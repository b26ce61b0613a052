"""The relation ``customer``: what was known of a customer from the first contact on, as features of
the catalogue.

    table attributes -> :func:`stagecast.features.engines.sql.tables.told`
    the attributes of a request -> :func:`given`

A table of customers shows today's state. A column that was filled in after somebody left would tell
the outcome, at every past date that models learn from; so only columns under ``known_at_start`` can
be asked for, as in :mod:`stagecast.features.leads`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import MISSING, given_at_start, no_attribute
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.errors import UsageError, did_you_mean

Kinds = Mapping[str, str]
"""Column -> ``category``, ``number`` or ``flag``, as
:func:`stagecast.features.attributes.attribute_kinds` says.
"""


def of_customer(catalog: Catalog) -> list[Feature]:
    """Return the features of a catalogue that ask for attributes."""
    return [feature for feature in catalog.features if feature.relation == "customer"]


def check_declared(catalog: Catalog, kinds: Kinds | None, known_at_start: Sequence[str]) -> None:
    """Refuse features of attributes that were not declared as known from the start, or that the
    table cannot answer.

    Parameters
    ----------
    kinds
        Of the table of customers; None: there is none.
    known_at_start
        Columns that the user promises were known at the first contact.

    Raises
    ------
    UsageError
        The message names the feature, the column and what to try.
    """
    check_table(catalog, kinds)
    for feature in of_customer(catalog):
        if feature.column not in known_at_start:
            raise UsageError(
                f"feature '{feature.name}' asks for '{feature.column}' of the customer, "
                "which is not declared as known "
                f"from the start ({', '.join(known_at_start) or 'nothing'} is): as it "
                "stands today it may tell the "
                "outcome. If it really was known at the first contact, declare it with "
                "--known-at-start "
                f"{feature.column}, or as known_at_start under [customers] in stagecast.toml"
            )
    check_numbers(catalog, kinds, known_at_start)


def check_numbers(catalog: Catalog, kinds: Kinds | None, known_at_start: Sequence[str]) -> None:
    """Refuse declared numbers that no feature asks for: models of leads learn from categories
    alone.

    Raises
    ------
    UsageError
        The message names the column and what to try.
    """
    asked = [feature.column for feature in of_customer(catalog)]
    for name in known_at_start:
        if (kinds or {}).get(name) == "number" and name not in asked:
            raise UsageError(
                f"customers: known_at_start names '{name}', which is a number, and no "
                "feature of the catalogue asks "
                'for it: add one (from = "customer", function = "value", column = '
                f'"{name}") under [catalog] in '
                "stagecast.toml, or make bands of it, such as 'below 100', in a column of its own"
            )


def check_table(catalog: Catalog, kinds: Kinds | None) -> None:
    """Refuse features of attributes that the table of customers cannot answer.

    Raises
    ------
    UsageError
        There is no table, no such column, or one of another kind.
    """
    for feature in of_customer(catalog):
        column, here = str(feature.column), f"feature '{feature.name}'"
        if kinds is None:
            raise UsageError(
                f"{here} asks for '{column}' of the customer: name the table of customers "
                "that has it with "
                "--customers, or under [customers] in stagecast.toml"
            )
        if column not in kinds:
            raise UsageError(
                f"{here} asks for '{column}', which is no column of the table of customers; it has "
                f"{', '.join(kinds) or 'none'}.{did_you_mean(column, kinds)}"
            )
        if feature.function == "value" and kinds[column] == "category":
            raise UsageError(
                f"{here} asks for the value of '{column}', which is a category: ask "
                "whether it is one of some texts "
                'with function = "is" and values = [...], or name it under numbers of '
                "[customers] if it is a number"
            )
        if feature.function == "is" and kinds[column] == "number":
            raise UsageError(
                f"{here} asks whether '{column}' is a text, and it is a number: ask for "
                'it with function = "value"'
            )


def given(feature: Feature, attributes: Sequence[Mapping[str, Any]]) -> Array:
    """Return a feature of the attributes of a request, one per customer; null is NaN.

    Raises
    ------
    UsageError
        An attribute is a list or an object.

    >>> meaning = "cost of the first contact"
    >>> cost = Feature("cost", "money", meaning, "customer", "value", "acquisition_cost")
    >>> given(cost, [{"acquisition_cost": 12}, {"acquisition_cost": True}, {}]).tolist()
    [12.0, 1.0, nan]
    """
    column = str(feature.column)
    if feature.function == "value":
        return np.array([_number(column, one.get(column)) for one in attributes], dtype=np.float64)
    texts = given_at_start(attributes, [column])[column]
    told = [math.nan if text == MISSING else float(text in feature.values) for text in texts]
    return np.array(told, dtype=np.float64)


def _number(name: str, value: object) -> float:
    match value:
        case bool() | int() | float() if abs(value) <= sys.float_info.max:
            return float(value)
        case None | str() | int() | float():
            return math.nan
        case _:
            raise no_attribute(name, value)

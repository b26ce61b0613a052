"""Catalogue of features in the order of evaluation, with the parameters of their formulas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stagecast.features.catalog import formula
from stagecast.features.catalog.feature import CALENDAR, Feature
from stagecast.features.errors import UsageError, did_you_mean

# Columns of feature tables beside the features.
_RESERVED = ("customer", "back", "customer_id", "as_of")


@dataclass(frozen=True)
class Catalog:
    """Features in the order of evaluation, with the parameters of their formulas.

    Parameters
    ----------
    features
        A formula may use the features before it.
    parameters
        Name -> value, used by formulas.

    Raises
    ------
    UsageError
        A name is used twice or is reserved, or a parameter is not a finite number.
    """

    features: tuple[Feature, ...]
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check names and parameters."""
        names = [name.lower() for name in (*self.names, *self.parameters, *CALENDAR, *_RESERVED)]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(
                f"catalogue: {repeated} stands twice among features, parameters and our own columns"
            )
        if not_finite := {
            name: value for name, value in self.parameters.items() if not math.isfinite(value)
        }:
            raise UsageError(f"catalogue: parameters {not_finite} are no finite numbers")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def predictors(self) -> tuple[str, ...]:
        """Names of the features that models may use, in order."""
        return tuple(feature.name for feature in self.features if feature.predictor)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise UsageError(f"no feature '{name}' in the catalogue.{did_you_mean(name, self.names)}")

    def with_parameters(self, **parameters: float) -> Catalog:
        """Return the catalogue with parameters set.

        A formula cannot be evaluated before all its parameters are set.
        """
        return Catalog(self.features, {**self.parameters, **parameters})

    def extended(self, features: Sequence[Feature]) -> Catalog:
        """Return the catalogue with more features at its end.

        Parameters
        ----------
        features
            Features to add, in the order of evaluation.

        Raises
        ------
        UsageError
            A name is already used, or a formula uses a name that is not defined before it.
        """
        if not features:
            return self
        extended = Catalog((*self.features, *features), self.parameters)
        extended.check_order()
        return extended

    def check_order(self) -> None:
        """Check that formulas use only names defined before them.

        Raises
        ------
        UsageError
            The message gives the feature and the undefined name.
        """
        # shop_gap_days is set later, from a log
        for feature, missing, known in self._unknown(
            {*self.parameters, *CALENDAR, "shop_gap_days"}
        ):
            raise UsageError(
                f"feature '{feature.name}': its formula names '{missing[0]}', which is no feature "
                f"before it.{did_you_mean(missing[0], known)}"
            )

    def check_filled(self) -> None:
        """Check that every formula can be evaluated, with the parameters that are set.

        Raises
        ------
        UsageError
            A formula uses a name that is neither an earlier feature nor a parameter.
        """
        aggregates = {f.name for f in self.features if f.formula is None}
        for feature, missing, known in self._unknown({*aggregates, *self.parameters, *CALENDAR}):
            raise UsageError(
                f"feature '{feature.name}' needs {missing}: no feature before it, no parameter of "
                f"the catalogue.{did_you_mean(missing[0], known)}"
            )

    def _unknown(self, known: set[str]) -> Iterator[tuple[Feature, list[str], set[str]]]:
        """Yield each feature whose formula uses undefined names, these names, and the known names.

        Names are defined if they are in ``known`` or belong to an earlier feature.
        """
        for feature in self.features:
            if feature.formula is not None and (
                missing := sorted(formula.names(feature.formula) - known)
            ):
                yield feature, missing, known
            known.add(feature.name)

    def check_columns(self, columns: Mapping[str, Any]) -> None:
        """Check that columns are the features of this catalogue, in order, as arrays of float64.

        Parameters
        ----------
        columns
            Name -> values, shape (n_rows,).

        Raises
        ------
        UsageError
            The message names the columns that are missing, unknown, out of order, or of another
            type.
        """
        names = tuple(columns)
        if names == self.names:
            _check_types(columns)
            return
        if missing := [name for name in self.names if name not in columns]:
            raise UsageError(
                f"the model was trained on features that are missing: {', '.join(missing)}"
            )
        if unknown := [name for name in names if name not in self.names]:
            raise UsageError(
                f"the model was not trained on: {', '.join(unknown)}; leave these columns out"
            )
        moved = [
            f"{name} (where {expected} stood)"
            for name, expected in zip(names, self.names, strict=True)
            if name != expected
        ]
        raise UsageError(
            f"the features stand in another order than in training: {', '.join(moved[:5])}"
        )

    def needed_for(self, names: Sequence[str]) -> Catalog:
        """Return the part of the catalogue needed to compute the named features, in its order.

        Parameters
        ----------
        names
            Names of features.

        >>> from stagecast.features.catalog.standard import standard
        >>> standard(90).needed_for(["recency_days"]).names
        ('last_day', 'recency_days')
        """
        needed = {self[name].name for name in names}
        for feature in reversed(self.features):
            if feature.name in needed and feature.formula is not None:
                needed |= formula.names(feature.formula)
        return Catalog(tuple(f for f in self.features if f.name in needed), self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Return the features and parameters as JSON data."""
        return {
            "parameters": dict(self.parameters),
            "features": [feature.to_json() for feature in self.features],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Catalog:
        """Return the catalogue that :meth:`to_json` wrote.

        Raises
        ------
        UsageError
            A feature is invalid, or a formula uses a name that is not defined before it.
        """
        catalog = cls(
            tuple(Feature.from_json(feature) for feature in data["features"]),
            dict(data["parameters"]),
        )
        catalog.check_order()
        return catalog


def _check_types(columns: Mapping[str, Any]) -> None:
    other_types = [
        name for name, values in columns.items() if getattr(values, "dtype", None) != np.float64
    ]
    if other_types:
        raise UsageError(
            f"the features must be arrays of float64, null as NaN: {', '.join(other_types)}"
        )

"""The catalogue: features in the order of evaluation, with the parameters that their formulas
use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.catalog import formula
from stagecast.features.catalog.feature import CALENDAR, Feature
from stagecast.features.errors import UsageError, did_you_mean

# Columns that stand beside the features.
_OURS = ("customer", "back", "customer_id", "as_of")


@dataclass(frozen=True)
class Catalog:
    """Features in the order of evaluation, with the parameters their formulas use.

    Raises
    ------
    UsageError
        Two features of one name, or a parameter that is no finite number.
    """

    features: tuple[Feature, ...]
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check names and parameters."""
        names = [name.lower() for name in (*self.names, *self.parameters, *CALENDAR, *_OURS)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(
                f"catalogue: {twice} stands twice among features, parameters and our own columns"
            )
        if odd := {
            name: value for name, value in self.parameters.items() if not math.isfinite(value)
        }:
            raise UsageError(f"catalogue: parameters {odd} are no finite numbers")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def predictors(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if feature.predictor)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise UsageError(f"no feature '{name}' in the catalogue.{did_you_mean(name, self.names)}")

    def with_parameters(self, **parameters: float) -> Catalog:
        """Return the catalogue with parameters set; a formula that needs one that is missing
        cannot be evaluated.
        """
        return Catalog(self.features, {**self.parameters, **parameters})

    def extended(self, own: Sequence[Feature]) -> Catalog:
        """Return the catalogue with more features behind its own.

        Raises
        ------
        UsageError
            A name that stands there already, or a formula that names what does not stand before it.
        """
        if not own:
            return self
        extended = Catalog((*self.features, *own), self.parameters)
        extended.check_order()
        return extended

    def check_order(self) -> None:
        """Refuse a formula that names what does not stand before it.

        Raises
        ------
        UsageError
            The message names the feature and the name.
        """
        # shop_gap_days is set when there is a log
        for feature, missing, known in self._unknown(
            {*self.parameters, *CALENDAR, "shop_gap_days"}
        ):
            raise UsageError(
                f"feature '{feature.name}': its formula names '{missing[0]}', which is no "
                "feature before it."
                f"{did_you_mean(missing[0], known)}"
            )

    def check_filled(self) -> None:
        """Refuse a formula that cannot be evaluated yet.

        Raises
        ------
        UsageError
            It names neither a feature before it nor a parameter of the catalogue.
        """
        aggregates = {f.name for f in self.features if f.formula is None}
        for feature, missing, known in self._unknown({*aggregates, *self.parameters, *CALENDAR}):
            raise UsageError(
                f"feature '{feature.name}' needs {missing}: no feature before it, no "
                "parameter of the catalogue."
                f"{did_you_mean(missing[0], known)}"
            )

    def _unknown(self, known: set[str]) -> Iterator[tuple[Feature, list[str], set[str]]]:
        """Yield each formula that names what is neither known nor a feature before it, what, and
        what is known.
        """
        for feature in self.features:
            if feature.formula is not None and (
                missing := sorted(formula.names(feature.formula) - known)
            ):
                yield feature, missing, known
            known.add(feature.name)

    def check_columns(self, columns: Mapping[str, Any]) -> None:
        """Refuse columns that are not the features of this catalogue, in its order, as numbers.

        Raises
        ------
        UsageError
            The message names those that are missing, strange, in another place, or of another type.
        """
        names = tuple(columns)
        if missing := [name for name in self.names if name not in columns]:
            raise UsageError(
                f"the model was trained on features that are missing: {', '.join(missing)}"
            )
        if strange := [name for name in names if name not in self.names]:
            raise UsageError(
                f"the model was not trained on: {', '.join(strange)}; leave these columns out"
            )
        if names != self.names:
            moved = [
                f"{got} (where {own} stood)"
                for got, own in zip(names, self.names, strict=True)
                if got != own
            ]
            raise UsageError(
                f"the features stand in another order than in training: {', '.join(moved[:5])}"
            )
        odd = [
            name for name, values in columns.items() if getattr(values, "dtype", None) != np.float64
        ]
        if odd:
            raise UsageError(
                f"the features must be arrays of float64, null as NaN: {', '.join(odd)}"
            )

    def needed_for(self, names: Sequence[str]) -> Catalog:
        """Return the part of the catalogue that some features need, in its order.

        >>> from stagecast.features.catalog.standard import standard
        >>> standard(90).needed_for(["recency_days"]).names
        ('last_day', 'recency_days')
        """
        wanted = {self[name].name for name in names}
        for feature in reversed(self.features):
            if feature.name in wanted and feature.formula is not None:
                wanted |= formula.names(feature.formula)
        return Catalog(tuple(f for f in self.features if f.name in wanted), self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: definitions, and parameters."""
        return {
            "parameters": dict(self.parameters),
            "features": [feature.to_json() for feature in self.features],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Catalog:
        """Read what :meth:`to_json` gives."""
        catalog = cls(
            tuple(Feature.from_json(one) for one in data["features"]), dict(data["parameters"])
        )
        catalog.check_order()
        return catalog

"""A user's own features in Python: :class:`OwnFeature` and the decorator :func:`feature`.

They are checked as those of ``stagecast.toml`` (:mod:`stagecast.features.catalog.own`), and are the
same data afterwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.own import OwnFeatures, feature_of_entry
from stagecast.features.catalog.tracing import trace
from stagecast.features.errors import UsageError


@dataclass(frozen=True, kw_only=True, repr=False)
class OwnFeature:
    """A feature of your own: a formula over features, or an aggregate of events.

    Parameters
    ----------
    name
        Letters, digits and ``_``.
    unit
        Such as ``days``, ``money``, ``events`` or ``ratio``.
    meaning
        What it is, for reasons and reports; by default its formula or aggregate.
    formula
        Arithmetic over features of the catalogue, which ``stagecast features --list`` prints.
    relation, function, column, window, events, values
        An aggregate instead of a formula, as ``from``, ``function``, ... in ``[catalog.NAME]`` of
        ``stagecast.toml``; ``window`` is ``"90d"`` or ``["90d", "180d"]``.
    predictor
        Whether models may learn from it.

    Raises
    ------
    UsageError
        It cannot be evaluated; the message says why.

    Examples
    --------
    >>> OwnFeature(name="basket_trend", formula="spend_90d / spend_prev_90d", unit="ratio")
    Feature(basket_trend = spend_90d / spend_prev_90d, ratio)
    """

    name: str
    unit: str
    meaning: str = ""
    formula: str | None = None
    relation: str | None = None
    function: str | None = None
    column: str | None = None
    window: str | Sequence[str] | None = None
    events: Sequence[str] | str = ()
    values: Sequence[str] | str = ()
    predictor: bool = True

    def __post_init__(self) -> None:
        """Check that every engine can evaluate the feature."""
        if not isinstance(self.name, str) or not isinstance(self.unit, str) or not self.unit:
            raise UsageError(
                f"feature {self.name!r}: name and unit are texts, like name='basket_trend', "
                f"unit='ratio'; unit is {self.unit!r}"
            )
        self.in_catalog()

    def in_catalog(self) -> Feature:
        """Return the feature as the catalogue holds it."""
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        entry: dict[str, Any] = {
            "from" if name == "relation" else name: list(value)
            if isinstance(value, tuple)
            else value
            for name, value in settings.items()
            if value is not None and not (isinstance(value, tuple) and not value)
        }
        aggregate = f"{self.function} of {self.relation}.{self.column}"
        entry["meaning"] = self.meaning or self.formula or aggregate
        return feature_of_entry(self.name, entry, f"feature '{self.name}'")

    @classmethod
    def of_catalog(cls, feature: Feature) -> OwnFeature:
        """Return a feature of a catalogue, as those of a loaded model are."""
        window: list[str] | None = None
        if feature.window_days is not None:
            window = [f"{days}d" for days in feature.window_days]
        return cls(
            name=feature.name,
            unit=feature.unit,
            meaning=feature.meaning,
            formula=feature.formula,
            relation=feature.relation,
            function=feature.function,
            column=feature.column,
            window=window,
            events=feature.events,
            values=feature.values,
            predictor=feature.predictor,
        )

    def __repr__(self) -> str:
        return f"Feature({self.name} = {self.in_catalog().definition}, {self.unit})"


def feature(
    *bare: object,
    unit: str = "",
    name: str | None = None,
    meaning: str | None = None,
    predictor: bool = True,
) -> Callable[[Callable[[Any], object]], OwnFeature]:
    """Turn a function of features into a feature of the catalogue.

    The function is called once with names instead of numbers, and what it returns becomes a
    formula: the bundle holds this formula, and no code.

    Parameters
    ----------
    bare
        Nothing; the decorator needs the unit.
    unit
        Such as ``days``, ``money``, ``events`` or ``ratio``.
    name
        By default that of the function.
    meaning
        By default the first line of the docstring, or the formula.
    predictor
        Whether models may learn from it.

    Raises
    ------
    UsageError
        There is no unit, or the function does something that formulas cannot express; the message
        says what.

    Examples
    --------
    >>> @feature(unit="ratio")
    ... def basket_trend(f):
    ...     return f.spend_90d / f.spend_prev_90d
    >>> basket_trend
    Feature(basket_trend = spend_90d / spend_prev_90d, ratio)
    """

    if bare or not unit:
        raise UsageError(
            "a feature needs its unit, such as days, money, events or ratio: put "
            "@sc.feature(unit='ratio') above the function"
        )

    def of_function(function: Callable[[Any], object]) -> OwnFeature:
        own_name = str(name or getattr(function, "__name__", ""))
        first_line = (inspect.getdoc(function) or "").split("\n")[0].rstrip(".")
        return OwnFeature(
            name=own_name,
            unit=unit,
            meaning=first_line if meaning is None else meaning,
            formula=trace(function, own_name),
            predictor=predictor,
        )

    return of_function


def own_features(features: Sequence[OwnFeature], of_log: OwnFeatures) -> OwnFeatures:
    """Return the features of a model beside those that its log was read with.

    Parameters
    ----------
    features
        Those of the model, in the order of evaluation; one that the log has, too, counts once.
    of_log
        Those of the log's configuration.

    Raises
    ------
    UsageError
        One of them is none.
    """
    if isinstance(features, OwnFeature | str) or not isinstance(features, Sequence):
        raise UsageError(f"features must be a list like [basket_trend], not {features!r}")
    for number, own in enumerate(features):
        if not isinstance(own, OwnFeature):
            hint = "put @sc.feature(unit=...) above it" if callable(own) else "see sc.Feature"
            raise UsageError(f"features[{number}] is {own!r}, no feature; {hint}")
    new = [own.in_catalog() for own in features]
    added = [own for own in new if own not in of_log.features]
    return OwnFeatures((*of_log.features, *added), of_log.predictors)

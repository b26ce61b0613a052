"""A user's own features: from ``[catalog]`` in ``stagecast.toml``, or :class:`OwnFeatures`.

.. code-block:: toml

    [catalog]
    per_type = ["call"]       # counts, sums, means and distinct values of a type, in each window

    [catalog.big_days_180d]
    meaning = "most spent on one day in the last 180 days"
    unit = "money"
    from = "days"
    function = "max"
    column = "spend"
    window = "180d"

    [catalog.calls_per_order]
    meaning = "support calls of the last 90 days for each purchase day"
    unit = "ratio"
    formula = "call_count_90d / nullif(orders_90d, 0)"

    [catalog.on_paid_plan]    # an attribute that was known at the first contact
    meaning = "on a paid plan"
    unit = "flag"
    from = "customer"
    function = "is"
    column = "plan"
    values = ["pro", "team"]

    [catalog.contacts_30d]    # a standard feature: whether models may use it
    predictor = true
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import MARKETER_EVENTS, Feature, Function, Relation
from stagecast.features.catalog.standard import WINDOWS_DAYS, standard
from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError, did_you_mean

_KEYS = (
    *("meaning", "unit", "from", "function", "column", "events", "values"),
    *("window", "formula", "predictor", "source"),
)


@dataclass(frozen=True)
class OwnFeatures:
    """A user's changes to the standard catalogue.

    Parameters
    ----------
    features
        Features to add after the standard ones, in this order.
    predictors
        Name of a standard feature -> whether the models may use it.

    >>> formula = "365 * orders / T_days"
    >>> yearly = Feature("orders_per_year", "1/years", "orders per year", formula=formula)
    >>> OwnFeatures((yearly,)).catalog(90).names[-1]
    'orders_per_year'
    """

    features: tuple[Feature, ...] = ()
    predictors: Mapping[str, bool] = field(default_factory=dict)

    def catalog(self, horizon_days: int) -> Catalog:
        """Return the standard catalogue with these changes.

        Parameters
        ----------
        horizon_days
            Horizon of the standard catalogue.

        Raises
        ------
        UsageError
            A new feature has a name that is already used, ``predictors`` names an unknown feature,
            or a formula uses a name that is not defined before it.
        """
        base = standard(horizon_days)
        if not self.features and not self.predictors:
            return base
        for name in self.predictors:
            base[name]  # raises if the feature is unknown
        features = (
            replace(f, predictor=self.predictors.get(f.name, f.predictor)) for f in base.features
        )
        return Catalog(tuple(features), base.parameters).extended(self.features)

    def to_json(self) -> dict[str, Any]:
        """Return the changes as JSON data."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "predictors": dict(self.predictors),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OwnFeatures:
        """Return the changes that :meth:`to_json` wrote."""
        return cls(
            tuple(Feature.from_json(feature) for feature in data["features"]),
            dict(data["predictors"]),
        )


def features_per_type(
    types: Sequence[str], windows_days: Sequence[int] = WINDOWS_DAYS
) -> list[Feature]:
    """Return counts, amounts, and distinct channels and categories of event types, by window.

    Parameters
    ----------
    types
        Names of event types.
    windows_days
        Lengths of windows that end at the as_of, in days.

    >>> [feature.name for feature in features_per_type(["call"], [30])][:3]
    ['call_count_30d', 'call_amount_30d', 'call_amount_mean_30d']
    """
    features = []
    for event_type in types:
        phrase = event_type.replace("_", " ")
        predictor = event_type not in MARKETER_EVENTS
        for days in windows_days:
            ago = f"'{phrase}' in the last {days} days"
            aggregates: tuple[tuple[str, str, str, Relation, Function, str], ...] = (
                ("count", "events", f"events of {ago}", "types", "sum", "events"),
                ("amount", "money", f"sum of the amounts of {ago}", "types", "sum", "amount"),
                ("amount_mean", "money", f"mean amount of {ago}", "types", "mean", "amount"),
                (
                    "channels",
                    "values",
                    f"different channels of {ago}",
                    "values",
                    "distinct",
                    "channel",
                ),
                (
                    "categories",
                    "values",
                    f"different categories of {ago}",
                    "values",
                    "distinct",
                    "category",
                ),
            )
            for suffix, unit, meaning, relation, function, column in aggregates:
                features.append(
                    Feature(
                        f"{_name_prefix(event_type)}_{suffix}_{days}d",
                        unit,
                        meaning,
                        relation,
                        function,
                        column,
                        window_days=(0, days),
                        predictor=predictor,
                        events=(event_type,),
                    )
                )
    return features


def _name_prefix(event_type: str) -> str:
    """Return an event type as the first part of a feature's name."""
    name = "".join(
        letter if letter.isascii() and letter.isalnum() else "_" for letter in event_type
    )
    return name if name[:1].isalpha() else f"of_{name}"


def own_from_toml(entries: object, where: str) -> OwnFeatures:
    """Return the features under ``[catalog]`` of a configuration.

    Parameters
    ----------
    entries
        Value of ``catalog`` in the parsed TOML file.
    where
        Name of the file, for error messages.

    Raises
    ------
    UsageError
        ``entries`` has a wrong shape, an unknown key, or a feature that cannot be evaluated; the
        message names the entry.
    """
    if not isinstance(entries, Mapping):
        raise UsageError(
            f"{where}: [catalog] must be tables, one per feature, like [catalog.calls_90d]"
        )
    features: list[Feature] = []
    predictors: dict[str, bool] = {}
    for name, entry in entries.items():
        label = f"{where}: [catalog.{name}]"
        if name == "per_type":
            if not isinstance(entry, list) or not all(
                isinstance(event_type, str) and event_type.strip() for event_type in entry
            ):
                raise UsageError(f"{where}: per_type must be a list of event types, not {entry!r}")
            features += features_per_type([event_type.strip().lower() for event_type in entry])
        elif not isinstance(entry, Mapping):
            raise UsageError(f"{label} must be a table of {', '.join(_KEYS)}, not {entry!r}")
        elif set(entry) == {"predictor"}:
            predictors[name] = _flag(entry["predictor"], label)
        else:
            features.append(feature_of_entry(name, entry, label))
    own = OwnFeatures(tuple(features), predictors)
    try:
        own.catalog(90)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return own


def feature_of_entry(name: str, entry: Mapping[str, Any], label: str) -> Feature:
    """Return the feature of a table of ``[catalog]``.

    Parameters
    ----------
    name
        Of the feature.
    entry
        What stands in its table.
    label
        Where it stands, for messages.

    Raises
    ------
    UsageError
        An unknown key, a wrong type, or a feature that cannot be evaluated.
    """
    if unknown := [key for key in entry if key not in _KEYS]:
        raise UsageError(
            f"{label} has an unknown key '{unknown[0]}'.{did_you_mean(unknown[0], _KEYS)}"
        )
    for key in ("meaning", "unit", "from", "function", "column", "formula", "source"):
        if key in entry and not isinstance(entry[key], str):
            raise UsageError(f"{label}: {key} must be a text, not {entry[key]!r}")
    if not entry.get("meaning") or not entry.get("unit"):
        raise UsageError(
            f'{label}: say what it is: meaning = "...", unit = "days", "money", "events", "ratio"'
        )
    types = tuple(name.lower() for name in _texts(entry, "events", "event types", label))
    predictor = (
        _flag(entry["predictor"], label)
        if "predictor" in entry
        else not types or bool(set(types) - set(MARKETER_EVENTS))
    )
    try:
        return Feature(
            name=name,
            unit=entry["unit"],
            meaning=entry["meaning"],
            relation=entry.get("from"),
            function=entry.get("function"),
            column=entry.get("column"),
            window_days=_window(entry["window"], label) if "window" in entry else None,
            formula=entry.get("formula"),
            predictor=predictor,
            events=types,
            source=entry.get("source", ""),
            values=_texts(entry, "values", "texts", label),
        )
    except UsageError as error:
        # the feature names itself, and so may its place
        raise UsageError(f"{label}: {str(error).removeprefix(f'{label}: ')}") from None


def _texts(entry: Mapping[str, Any], key: str, items: str, label: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{label}: {key} must be a list of {items}, not {texts!r}")
    return tuple(text.strip() for text in texts)


def _flag(value: object, label: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{label}: predictor must be true or false, not {value!r}")
    return value


def _window(value: object, label: str) -> tuple[int, int]:
    """Return ``"90d"`` as (0, 90), and ``["90d", "180d"]`` as (90, 180)."""
    match value:
        case str() | int():
            return 0, parse_span_days(str(value), f"{label}: window")
        case [newer, older]:
            first = 0 if newer in (0, "0d") else parse_span_days(str(newer), f"{label}: window")
            return first, parse_span_days(str(older), f"{label}: window")
    raise UsageError(f'{label}: window {value!r} is neither like "90d" nor like ["90d", "180d"]')

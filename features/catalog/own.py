"""Features of one's own: read from ``[catalog]`` in ``stagecast.toml``, or handed over as
:class:`Own` from Python.

[catalog] per_type = ["call"]                          # counts, sums, means and different values of
a type, in each window

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

[catalog.on_paid_plan]                       # an attribute that was known at the first contact
meaning = "on a paid plan"
unit = "flag"
from = "customer"
function = "is"
column = "plan"
values = ["pro", "team"]

[catalog.contacts_30d]                       # one of the standard catalogue: whether models learn
from it predictor = true
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
class Own:
    """What a user's catalogue has beside the standard one.

    Parameters
    ----------
    features
        Further features, behind the standard ones and in this order.
    predictors
        Name of a standard feature -> whether the models may learn from it.

    >>> formula = "365 * orders / T_days"
    >>> loyal = Feature("orders_per_year", "1/years", "orders per year", formula=formula)
    >>> Own((loyal,)).catalog(90).names[-1]
    'orders_per_year'
    """

    features: tuple[Feature, ...] = ()
    predictors: Mapping[str, bool] = field(default_factory=dict)

    def catalog(self, horizon_days: int) -> Catalog:
        """Return the standard catalogue with these changes.

        Raises
        ------
        UsageError
            A name that stands there already, one that does not, or a formula that names what is not
            before it.
        """
        base = standard(horizon_days)
        if not self.features and not self.predictors:
            return base
        for name in self.predictors:
            base[name]  # an unknown one is named
        changed = (
            replace(f, predictor=self.predictors.get(f.name, f.predictor)) for f in base.features
        )
        return Catalog(tuple(changed), base.parameters).extended(self.features)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "features": [one.to_json() for one in self.features],
            "predictors": dict(self.predictors),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Own:
        """Read what :meth:`to_json` gives."""
        return cls(
            tuple(Feature.from_json(one) for one in data["features"]), dict(data["predictors"])
        )


def per_type(types: Sequence[str], windows_days: Sequence[int] = WINDOWS_DAYS) -> list[Feature]:
    """Return counts, sums and means of amounts, and different channels and categories of event
    types, by window.

    >>> [feature.name for feature in per_type(["call"], [30])][:3]
    ['call_count_30d', 'call_amount_30d', 'call_amount_mean_30d']
    """
    found = []
    for one in types:
        said = one.replace("_", " ")
        predictor = one not in MARKETER_EVENTS
        for days in windows_days:
            ago = f"'{said}' in the last {days} days"
            asked: tuple[tuple[str, str, str, Relation, Function, str], ...] = (
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
            for what, unit, meaning, relation, function, column in asked:
                name, window = f"{_named(one)}_{what}_{days}d", (0, days)
                found.append(
                    Feature(
                        name,
                        unit,
                        meaning,
                        relation,
                        function,
                        column,
                        window,
                        None,
                        predictor,
                        (one,),
                    )
                )
    return found


def _named(event: str) -> str:
    """Return an event type as the beginning of a column's name."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in event)
    return name if name[:1].isalpha() else f"of_{name}"


def own_from_toml(entries: object, where: str) -> Own:
    """Return what stands under ``[catalog]``.

    Parameters
    ----------
    where
        The file, for errors.

    Raises
    ------
    UsageError
        No tables, an unknown key, or a feature that cannot be evaluated; the message names it.
    """
    if not isinstance(entries, Mapping):
        raise UsageError(
            f"{where}: [catalog] must be tables, one per feature, like [catalog.calls_90d]"
        )
    features: list[Feature] = []
    predictors: dict[str, bool] = {}
    for name, entry in entries.items():
        here = f"{where}: [catalog.{name}]"
        if name == "per_type":
            if not isinstance(entry, list) or not all(
                isinstance(one, str) and one.strip() for one in entry
            ):
                raise UsageError(f"{where}: per_type must be a list of event types, not {entry!r}")
            features += per_type([one.strip().lower() for one in entry])
        elif not isinstance(entry, Mapping):
            raise UsageError(f"{here} must be a table of {', '.join(_KEYS)}, not {entry!r}")
        elif set(entry) == {"predictor"}:
            predictors[name] = _flag(entry["predictor"], here)
        else:
            features.append(_feature(name, entry, here))
    own = Own(tuple(features), predictors)
    try:
        own.catalog(90)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return own


def _feature(name: str, entry: Mapping[str, Any], here: str) -> Feature:
    if strange := [key for key in entry if key not in _KEYS]:
        raise UsageError(
            f"{here} has an unknown key '{strange[0]}'.{did_you_mean(strange[0], _KEYS)}"
        )
    for key in ("meaning", "unit", "from", "function", "column", "formula", "source"):
        if key in entry and not isinstance(entry[key], str):
            raise UsageError(f"{here}: {key} must be a text, not {entry[key]!r}")
    if not entry.get("meaning") or not entry.get("unit"):
        raise UsageError(
            f'{here}: say what it is: meaning = "...", unit = "days", "money", "events", "ratio"'
        )
    types = tuple(one.lower() for one in _texts(entry, "events", "event types", here))
    told = (
        _flag(entry["predictor"], here)
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
            window_days=_window(entry["window"], here) if "window" in entry else None,
            formula=entry.get("formula"),
            predictor=told,
            events=types,
            source=entry.get("source", ""),
            values=_texts(entry, "values", "texts", here),
        )
    except UsageError as error:
        raise UsageError(f"{here}: {error}") from None


def _texts(entry: Mapping[str, Any], key: str, what: str, here: str) -> tuple[str, ...]:
    some = entry.get(key, [])
    some = [some] if isinstance(some, str) else some
    if not isinstance(some, list) or not all(isinstance(one, str) for one in some):
        raise UsageError(f"{here}: {key} must be a list of {what}, not {some!r}")
    return tuple(one.strip() for one in some)


def _flag(value: object, here: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{here}: predictor must be true or false, not {value!r}")
    return value


def _window(value: object, here: str) -> tuple[int, int]:
    """Return ``"90d"`` as (0, 90), and ``["90d", "180d"]`` as (90, 180)."""
    match value:
        case str() | int():
            return 0, parse_span_days(str(value), f"{here}: window")
        case [newer, older]:
            first = 0 if newer in (0, "0d") else parse_span_days(str(newer), f"{here}: window")
            return first, parse_span_days(str(older), f"{here}: window")
    raise UsageError(f'{here}: window {value!r} is neither like "90d" nor like ["90d", "180d"]')

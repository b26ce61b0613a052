"""Reading and writing of schemes: TOML by name or from a user's file, JSON in a bundle.

Every error names its place in the file.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from stagecast.features.arguments.values import refuse
from stagecast.features.catalog.standard import standard
from stagecast.features.contracts import KINDS
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.entries import Entry
from stagecast.features.stages.play_checks import check_plays
from stagecast.features.stages.plays import STATES, play_from_toml
from stagecast.features.stages.price_gaps import PriceGap
from stagecast.features.stages.scheme import LANGUAGES, Group, Scheme, Stage
from stagecast.features.stages.scheme_check import check_rules
from stagecast.features.stages.thresholds import THRESHOLD_NAMES

_KEYS = {
    "id",
    "title",
    "language",
    "source",
    "stage",
    "order",
    "thresholds",
    "signals",
    "group",
    "play",
    "lead_grades",
}
_LARGEST = 1e15
_SCHEME_HORIZON_DAYS = 90  # no rule reads a feature that depends on the horizon


def known_schemes() -> Sequence[str]:
    """Return the names of the schemes in the package, ``retail`` first."""
    folder = resources.files("stagecast.features").joinpath("schemes")
    names = [
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return sorted(names, key=lambda name: (name != "retail", name))


def load_scheme(name: str | Path) -> Scheme:
    """Return a scheme of the package by its name, or one from a TOML file.

    Parameters
    ----------
    name
        Name of a scheme of the package, or path of a TOML file.

    Raises
    ------
    UsageError
        Neither a known name nor a readable file, or the file has an error, which the message names.

    >>> load_scheme("retail").ids[0]
    'prospect'
    """
    if isinstance(name, Path):
        name = str(name)
    elif not isinstance(name, str):
        refuse(name, "scheme", "the name of a scheme, like 'retail', or the path of a TOML file")
    if name in known_schemes():
        return _scheme_of_package(name)
    if Path(name).suffix == ".toml" and Path(name).is_file():
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read: {error}") from None
        return _scheme_from_text(text, name)
    return _refuse_name(name, "--stages ")


def check_scheme_name(name: str) -> None:
    """Check what settings name; a file is looked for only where its scheme is read, since a bundle
    holds its scheme and the file may be elsewhere since.

    Raises
    ------
    UsageError
        It is no name of a scheme of the package, and no path of a TOML file.

    >>> check_scheme_name("retail"), check_scheme_name("shop.toml")
    (None, None)
    """
    if Path(name).suffix != ".toml" and name not in known_schemes():
        _refuse_name(name, "scheme = ")


def _refuse_name(name: str, place: str) -> NoReturn:
    known = known_schemes()
    raise UsageError(
        f"{place}'{name}' is no scheme ({', '.join(known)}) and no TOML "
        f"file.{did_you_mean(name, known)}"
    )


@cache
def _scheme_of_package(name: str) -> Scheme:
    file = resources.files("stagecast.features").joinpath("schemes", f"{name}.toml")
    return _scheme_from_text(file.read_text("utf-8"), f"scheme '{name}'")


def _scheme_from_text(text: str, where: str) -> Scheme:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}") from None
    return scheme_from_toml(data, where)


def scheme_from_toml(data: Mapping[str, Any], where: str) -> Scheme:
    """Return the scheme of a TOML file; values under ``[thresholds]`` are pinned.

    Parameters
    ----------
    data
        Content of the file.
    where
        Name of the file, for error messages.

    Raises
    ------
    UsageError
        A key is missing or unknown; a stage, a fact or a threshold does not exist; no customer can
        be on a stage; or no rule holds for some customer.
    """
    pins = Entry(data, where, _KEYS).table("thresholds")
    scheme = _scheme(data, where, pins=pins, thresholds={})
    scheme.vocabulary(standard(_SCHEME_HORIZON_DAYS), where)
    check_rules(scheme, where)
    return scheme


_OF_THE_LOG = ("pins", "assumed", "price_gaps")


def scheme_from_json(data: Mapping[str, Any]) -> Scheme:
    """Return the scheme of a bundle, with its thresholds.

    Parameters
    ----------
    data
        As returned by :func:`scheme_to_json`.

    Raises
    ------
    UsageError
        A key is missing or unknown, or a value is of the wrong kind.
    """
    as_in_a_file = {key: value for key, value in data.items() if key not in _OF_THE_LOG}
    thresholds = {
        name: (math.inf if value is None else float(value))
        for name, value in data["thresholds"].items()
    }
    scheme = _scheme(as_in_a_file, "scheme", pins=data.get("pins", {}), thresholds=thresholds)
    return replace(
        scheme,
        assumed=frozenset(data.get("assumed", ())),
        price_gaps=tuple(PriceGap(*map(float, known)) for known in data.get("price_gaps", ())),
    )


def scheme_to_json(scheme: Scheme) -> dict[str, Any]:
    """Return the scheme as JSON-ready values; an infinite threshold (never) is null."""
    return {
        "id": scheme.id,
        "title": dict(scheme.title),
        "language": scheme.language,
        "source": scheme.source,
        "order": list(scheme.order),
        "lead_grades": scheme.lead_grades,
        "signals": {name: list(types) for name, types in scheme.signals.items()},
        "thresholds": thresholds_to_json(scheme.thresholds),
        "pins": dict(scheme.pins),
        "assumed": sorted(scheme.assumed),
        **(
            {"price_gaps": [[of.price, of.width, of.days] for of in scheme.price_gaps]}
            if scheme.price_gaps
            else {}
        ),
        "stage": [
            {
                "id": s.id,
                "state": s.state,
                "title": dict(s.title),
                "meaning": dict(s.meaning),
                "action": dict(s.action),
                "rule": [str(clause) for clause in s.rule],
                "next": list(s.next),
            }
            for s in scheme.stages
        ],
        "group": [
            {"id": g.id, "title": dict(g.title), "rule": [str(clause) for clause in g.rule]}
            for g in scheme.groups
        ],
        "play": [play.to_json() for play in scheme.plays],
    }


def thresholds_to_json(thresholds: Mapping[str, float]) -> dict[str, float | None]:
    """Return thresholds as JSON-ready values; an infinite one (never) is null."""
    return {name: (None if math.isinf(value) else value) for name, value in thresholds.items()}


def _scheme(
    data: Mapping[str, Any], where: str, pins: Mapping[str, Any], thresholds: Mapping[str, float]
) -> Scheme:
    """Return the scheme of a table; see :func:`scheme_from_toml` for errors."""
    entry = Entry(data, where, _KEYS)
    stages = [
        _stage(stage, f"{where}, stage {number}")
        for number, stage in enumerate(entry.tables("stage"), 1)
    ]
    groups = [
        _group(group, f"{where}, group {number}")
        for number, group in enumerate(entry.tables("group", optional=True), 1)
    ]
    plays = [
        play_from_toml(play, f"{where}, play {number}")
        for number, play in enumerate(entry.tables("play", optional=True), 1)
    ]
    language = entry.text("language", "en")
    if language not in LANGUAGES:
        raise UsageError(f"{where}: language '{language}' is none of {', '.join(LANGUAGES)}")
    scheme = Scheme(
        id=entry.text("id"),
        title=entry.texts_by_language("title"),
        stages=tuple(stages),
        order=entry.texts("order"),
        thresholds=dict(thresholds),
        language=language,
        source=entry.text("source", ""),
        signals=_signals(entry.table("signals"), where),
        groups=tuple(groups),
        plays=tuple(plays),
        lead_grades=entry.flag("lead_grades"),
        pins=check_pins(pins, f"{where}, [thresholds]"),
    )
    _check_stage_names(scheme, where)
    check_plays(scheme.plays, scheme.ids, where)
    rules = [*(stage.rule for stage in scheme.stages), *(group.rule for group in scheme.groups)]
    rule_features = {name for rule in rules for clause in rule for name in clause.features}
    unnamed = set(KINDS) if scheme.reads_contracts else set()
    if unused := sorted(set(scheme.signals) - rule_features - unnamed):
        raise UsageError(
            f"{where}, [signals]: no rule looks at '{unused[0]}'; use it in a rule, or take it away"
        )
    return scheme


def check_pins(pins: Mapping[str, Any], where: str) -> dict[str, float]:
    """Return pinned thresholds as floats.

    Parameters
    ----------
    pins
        Name of a threshold -> its value.
    where
        Place of the pins, for the error message.

    Raises
    ------
    UsageError
        A name is not a threshold, or a value is not a number above 0.
    """
    if not isinstance(pins, Mapping):
        refuse(pins, where, "thresholds with their values, like {'loyal_orders': 5}")
    checked = {}
    for name, value in pins.items():
        if name not in THRESHOLD_NAMES:
            raise UsageError(
                f"{where}: '{name}' is no threshold "
                f"({', '.join(THRESHOLD_NAMES)}).{did_you_mean(name, THRESHOLD_NAMES)}"
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value < _LARGEST
        ):
            raise UsageError(
                f"{where}: '{name}' is {value!r}; it must be a number above 0, a large "
                "one for never"
            )
        checked[name] = float(value)
    return checked


def _signals(signals: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """Return the signals of a scheme with their event types in lower case."""
    feature_names = set(standard(_SCHEME_HORIZON_DAYS).names)
    for name, types in signals.items():
        if name in feature_names:
            raise UsageError(
                f"{where}, [signals]: '{name}' is a feature of the catalogue; choose another name"
            )
        if not name.isidentifier() or not name.isascii():
            raise UsageError(
                f"{where}, [signals]: '{name}' is no name for a rule; write it like 'reactions'"
            )
        if (
            not isinstance(types, list)
            or not types
            or not all(isinstance(event_type, str) and event_type for event_type in types)
        ):
            raise UsageError(
                f"{where}, [signals]: '{name}' is {types!r}; it must be a list of event "
                "types, like ['enquiry', 'call']"
            )
    return {
        name: tuple(event_type.lower() for event_type in types) for name, types in signals.items()
    }


def _stage(values: Mapping[str, Any], where: str) -> Stage:
    place = f"{where} ('{values['id']}')" if "id" in values else where
    entry = Entry(values, place, {"id", "state", "title", "meaning", "action", "rule", "next"})
    state = entry.text("state")
    if state not in STATES:
        raise UsageError(
            f"{place}: state '{state}' is none of {', '.join(STATES)}.{did_you_mean(state, STATES)}"
        )
    return Stage(
        id=entry.text("id"),
        state=state,
        title=entry.texts_by_language("title"),
        meaning=entry.texts_by_language("meaning"),
        action=entry.texts_by_language("action"),
        rule=_rule(entry, place),
        next=entry.texts("next"),
    )


def _group(values: Mapping[str, Any], where: str) -> Group:
    place = f"{where} ('{values['id']}')" if "id" in values else where
    entry = Entry(values, place, {"id", "title", "rule"})
    return Group(entry.text("id"), entry.texts_by_language("title"), _rule(entry, place))


def _rule(entry: Entry, where: str) -> tuple[Clause, ...]:
    clauses = tuple(Clause.parse(text, where) for text in entry.texts("rule"))
    if not clauses:
        raise UsageError(
            f"{where}: 'rule' is empty; for everybody who is left write ['orders >= 0']"
        )
    return clauses


def _check_stage_names(scheme: Scheme, where: str) -> None:
    """Raise an error if ``order`` or ``next`` do not fit the ids of the stages."""
    ids = scheme.ids
    if not ids:
        raise UsageError(f"{where}: a scheme needs at least one [[stage]]")
    if len(set(ids)) != len(ids):
        raise UsageError(f"{where}: a stage id stands twice in {list(ids)}")
    for name in ids:
        if not name.isidentifier() or not name.isascii():
            raise UsageError(f"{where}: stage id '{name}' names columns; write it like 'at_risk'")
    for name in scheme.order:
        if name not in ids:
            raise UsageError(
                f"{where}: 'order' names '{name}', which is no stage.{did_you_mean(name, ids)}"
            )
    if sorted(scheme.order) != sorted(ids):
        raise UsageError(
            f"{where}: 'order' must name each stage once; it has {list(scheme.order)}, "
            f"stages are {list(ids)}"
        )
    for stage in scheme.stages:
        for following in stage.next:
            if following not in ids:
                raise UsageError(
                    f"{where}, stage '{stage.id}': next '{following}' is no "
                    f"stage.{did_you_mean(following, ids)}"
                )

"""Table of points for the actions and attributes of leads, read from TOML and written to it."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.training.lead_points.grades import GradeTarget, parse_grade_target

DEFAULT = Path(__file__).with_name("points.toml")

_SECTIONS = ("events", "attributes", "grades", "scale")
_RULE = ("points", "half_life", "most", "within")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Rule:
    """Points for one type of event.

    Parameters
    ----------
    event
        The type.
    points
        Points for each event; negative points count against the lead.
    half_life_days
        Days after which the points have halved; None for points that do not decay.
    most
        Number of newest events that count; None counts all.
    within_days
        Count only events less than this many days after the lead's first event of any type; None
        counts all.
    """

    event: str
    points: float
    half_life_days: int | None = None
    most: int | None = None
    within_days: int | None = None

    @property
    def label(self) -> str:
        """The rule in words, for reasons."""
        return (
            self.event
            if self.within_days is None
            else f"{self.event} within {self.within_days} days"
        )


@dataclass(frozen=True)
class Scale:
    """Relation of learned points to the probability of a first purchase.

    Parameters
    ----------
    doubling
        Number of points that doubles the odds.
    at_zero
        Probability of a lead with 0 points.
    horizon_days
        Horizon of the first purchase, in days.
    """

    doubling: float
    at_zero: float
    horizon_days: int

    def probability(self, points: float) -> float:
        """Return the probability of a first purchase within the horizon.

        >>> round(Scale(10, 0.2, 90).probability(10), 3)
        0.333
        """
        log_odds = math.log(self.at_zero / (1 - self.at_zero)) + points / self.doubling * math.log(
            2
        )
        return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))


@dataclass(frozen=True)
class PointsTable:
    """Table of points.

    Parameters
    ----------
    rules
        Points for events.
    attributes
        Attribute -> value -> points.
    mql, sql
        Targets of the grades; None without a grade.
    scale
        Relation of the points to probabilities; None where they were not learned.
    """

    rules: tuple[Rule, ...]
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mql: GradeTarget | None = None
    sql: GradeTarget | None = None
    scale: Scale | None = None


def load_points(path: Path = DEFAULT) -> PointsTable:
    """Read a table of points from a file.

    Raises
    ------
    UsageError
        The file cannot be read, or :func:`parse_points` refuses its content.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a table of points: {error}") from None
    return parse_points(text, str(path))


def parse_points(text: str, location: str = "points") -> PointsTable:
    """Return the table of points of a TOML text.

    Raises
    ------
    UsageError
        Not TOML, an unknown key, or an invalid value; the message names ``location`` and the key.

    >>> parse_points('[events]\\nvisit = { points = 2, half_life = "2w" }').rules
    (Rule(event='visit', points=2.0, half_life_days=14, most=None, within_days=None),)
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{location} is not TOML: {error}") from None
    _check_keys(data, _SECTIONS, location)
    events, attributes, grades = (
        _table(data.get(name, {}), f"{location}: [{name}]") for name in _SECTIONS[:3]
    )
    _check_keys(grades, ("mql", "sql"), f"{location}: [grades]")
    rules = tuple(
        _rule(event, entry, f"{location}: [events] {event}")
        for event, entries in events.items()
        for entry in (entries if isinstance(entries, list) else [entries])
    )
    values = {
        name: {
            value: _number(points, f"{location}: [attributes.{name}] {value}")
            for value, points in number_by_value.items()
        }
        for name, entry in attributes.items()
        for number_by_value in [_table(entry, f"{location}: [attributes.{name}]")]
    }
    if not rules and not any(values.values()):
        raise UsageError(
            f"{location} gives no points: write a line such as 'visit = 1' under [events]"
        )
    targets = {
        name: parse_grade_target(entry, f"{location}: [grades] {name}")
        for name, entry in grades.items()
    }
    scale = _scale(data["scale"], f"{location}: [scale]") if "scale" in data else None
    return PointsTable(rules, values, targets.get("mql"), targets.get("sql"), scale)


def _check_keys(data: Mapping[str, Any], known: tuple[str, ...], location: str) -> None:
    if unknown := sorted(set(data) - set(known)):
        raise UsageError(
            f"{location}: unknown '{unknown[0]}'; known are "
            f"{', '.join(known)}.{did_you_mean(unknown[0], known)}"
        )


def _table(entry: object, location: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise UsageError(f"{location} is {entry!r}, and must be a table of names and points")
    return entry


def _number(value: object, location: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{location} is {value!r}, and must be a number such as 5 or -5")
    return float(value)


def _rule(event: str, entry: object, location: str) -> Rule:
    if not isinstance(entry, dict):
        return Rule(event.lower(), _number(entry, location))
    _check_keys(entry, _RULE, location)
    if "points" not in entry:
        raise UsageError(f"{location} has no points; write {event} = {{ points = 5 }}")
    most = entry.get("most")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise UsageError(f"{location}: most is {most!r}, and must be a whole number of at least 1")
    spans = {
        name: parse_span_days(entry[name], f"{location}: {name}")
        for name in ("half_life", "within")
        if name in entry
    }
    return Rule(
        event.lower(),
        _number(entry["points"], location),
        spans.get("half_life"),
        most,
        spans.get("within"),
    )


def _scale(entry: object, location: str) -> Scale:
    data = _table(entry, location)
    known = ("doubling", "at_zero", "horizon")
    _check_keys(data, known, location)
    if missing := [name for name in known if name not in data]:
        raise UsageError(
            f"{location} has no {missing[0]}; it needs all of {', '.join(known)}, or leave "
            "[scale] out"
        )
    doubling, at_zero = (_number(data[name], f"{location} {name}") for name in known[:2])
    if doubling <= 0 or not 0 < at_zero < 1:
        raise UsageError(
            f"{location}: doubling must be above 0 and at_zero between 0 and 1, not "
            f"{doubling} and {at_zero}"
        )
    return Scale(doubling, at_zero, parse_span_days(data["horizon"], f"{location} horizon"))


def points_toml(table: PointsTable, comment: str = "") -> str:
    """Return a table as TOML that :func:`parse_points` reads back to the same table.

    ``comment`` is written at the top, with ``#`` before each line.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    if table.rules:
        lines += ["", "[events]"]
        for event in dict.fromkeys(rule.event for rule in table.rules):
            entries = [_rule_toml(rule) for rule in table.rules if rule.event == event]
            lines.append(
                f"{_key(event)} = "
                f"{entries[0] if len(entries) == 1 else '[' + ', '.join(entries) + ']'}"
            )
    for name, values in table.attributes.items():
        lines += [
            "",
            f"[attributes.{_key(name)}]",
            *(f"{_key(value)} = {_plain(number)}" for value, number in values.items()),
        ]
    targets = {
        name: target
        for name, target in (("mql", table.mql), ("sql", table.sql))
        if target is not None
    }
    if targets:
        lines += [
            "",
            "[grades]",
            *(f"{name} = {target.toml()}" for name, target in targets.items()),
        ]
    if table.scale is not None:
        at_zero, horizon = repr(table.scale.at_zero), f'"{table.scale.horizon_days}d"'
        lines += [
            "",
            "[scale]",
            f"doubling = {_plain(table.scale.doubling)}",
            f"at_zero = {at_zero}",
        ]
        lines.append(f"horizon = {horizon}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _rule_toml(rule: Rule) -> str:
    parts = [f"points = {_plain(rule.points)}"]
    parts += [] if rule.half_life_days is None else [f'half_life = "{rule.half_life_days}d"']
    parts += [] if rule.most is None else [f"most = {rule.most}"]
    parts += [] if rule.within_days is None else [f'within = "{rule.within_days}d"']
    return "{ " + ", ".join(parts) + " }"


def _key(name: str) -> str:
    # a JSON string is a TOML string, except that TOML requires an escape of the delete character
    return (
        name
        if _BARE.fullmatch(name)
        else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007F")
    )


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

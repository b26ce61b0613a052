"""The table of points: what each action and each attribute of a lead is worth, read from TOML
and written as such.
"""

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
from stagecast.training.lead_points.grades import Wanted, parse_wanted

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
        the type.
    points
        for each event; below 0 it speaks against the lead.
    half_life_days
        days after which the points have halved; None: they stay.
    most
        how many of the newest count; None: all.
    within_days
        only those less than so many days after the lead's first event of any type count; None: all.
    """

    event: str
    points: float
    half_life_days: int | None = None
    most: int | None = None
    within_days: int | None = None

    @property
    def label(self) -> str:
        return (
            self.event
            if self.within_days is None
            else f"{self.event} within {self.within_days} days"
        )


@dataclass(frozen=True)
class Scale:
    """What points mean where they were learned.

    ``doubling`` points double the odds of a first purchase within ``horizon_days``; ``at_zero`` is
    its probability for a lead of 0 points.
    """

    doubling: float
    at_zero: float
    horizon_days: int

    def probability(self, points: float) -> float:
        """Return the probability of a first purchase at so many points.

        >>> round(Scale(10, 0.2, 90).probability(10), 3)
        0.333
        """
        log_odds = math.log(self.at_zero / (1 - self.at_zero)) + points / self.doubling * math.log(
            2
        )
        return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))


@dataclass(frozen=True)
class PointsTable:
    """Rules for events, points for values of attributes (name -> value -> points), and the
    wanted grades, if any.
    """

    rules: tuple[Rule, ...]
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mql: Wanted | None = None
    sql: Wanted | None = None
    scale: Scale | None = None


def load_points(path: Path = DEFAULT) -> PointsTable:
    """Read a table of points from a file.

    Raises
    ------
    UsageError
        The file cannot be read, or :func:`parse_points` refuses what it holds.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a table of points: {error}") from None
    return parse_points(text, str(path))


def parse_points(text: str, where: str = "points") -> PointsTable:
    """Return the table of points of a TOML text.

    Raises
    ------
    UsageError
        Not TOML, an unknown key, or a value that is not of its kind; the message names ``where``
        and the key.

    >>> parse_points('[events]\\nvisit = { points = 2, half_life = "2w" }').rules
    (Rule(event='visit', points=2.0, half_life_days=14, most=None, within_days=None),)
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not TOML: {error}") from None
    _check_keys(data, _SECTIONS, where)
    events, attributes, grades = (
        _table(data.get(name, {}), f"{where}: [{name}]") for name in _SECTIONS[:3]
    )
    _check_keys(grades, ("mql", "sql"), f"{where}: [grades]")
    rules = tuple(
        _rule(event, entry, f"{where}: [events] {event}")
        for event, entries in events.items()
        for entry in (entries if isinstance(entries, list) else [entries])
    )
    values = {
        name: {
            value: _number(points, f"{where}: [attributes.{name}] {value}")
            for value, points in told.items()
        }
        for name, entry in attributes.items()
        for told in [_table(entry, f"{where}: [attributes.{name}]")]
    }
    if not rules and not any(values.values()):
        raise UsageError(
            f"{where} gives no points: write a line such as 'visit = 1' under [events]"
        )
    wanted = {
        name: parse_wanted(entry, f"{where}: [grades] {name}") for name, entry in grades.items()
    }
    scale = _scale(data["scale"], f"{where}: [scale]") if "scale" in data else None
    return PointsTable(rules, values, wanted.get("mql"), wanted.get("sql"), scale)


def _check_keys(data: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(data) - set(known)):
        raise UsageError(
            f"{where}: unknown '{unknown[0]}'; known are "
            f"{', '.join(known)}.{did_you_mean(unknown[0], known)}"
        )


def _table(entry: object, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is {entry!r}, and must be a table of names and points")
    return entry


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where} is {value!r}, and must be a number such as 5 or -5")
    return float(value)


def _rule(event: str, entry: object, where: str) -> Rule:
    if not isinstance(entry, dict):
        return Rule(event.lower(), _number(entry, where))
    _check_keys(entry, _RULE, where)
    if "points" not in entry:
        raise UsageError(f"{where} has no points; write {event} = {{ points = 5 }}")
    most = entry.get("most")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise UsageError(f"{where}: most is {most!r}, and must be a whole number of at least 1")
    spans = {
        name: parse_span_days(entry[name], f"{where}: {name}")
        for name in ("half_life", "within")
        if name in entry
    }
    return Rule(
        event.lower(),
        _number(entry["points"], where),
        spans.get("half_life"),
        most,
        spans.get("within"),
    )


def _scale(entry: object, where: str) -> Scale:
    data = _table(entry, where)
    known = ("doubling", "at_zero", "horizon")
    _check_keys(data, known, where)
    if missing := [name for name in known if name not in data]:
        raise UsageError(
            f"{where} has no {missing[0]}; it needs all of {', '.join(known)}, or leave [scale] out"
        )
    doubling, at_zero = (_number(data[name], f"{where} {name}") for name in known[:2])
    if doubling <= 0 or not 0 < at_zero < 1:
        raise UsageError(
            f"{where}: doubling must be above 0 and at_zero between 0 and 1, not "
            f"{doubling} and {at_zero}"
        )
    return Scale(doubling, at_zero, parse_span_days(data["horizon"], f"{where} horizon"))


def points_toml(table: PointsTable, comment: str = "") -> str:
    """Return a table as TOML that :func:`parse_points` reads back to the same table.

    ``comment`` is put on top, each of its lines behind a ``#``.
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
            *(f"{_key(v)} = {_plain(p)}" for v, p in values.items()),
        ]
    wanted = {
        name: one for name, one in (("mql", table.mql), ("sql", table.sql)) if one is not None
    }
    if wanted:
        lines += ["", "[grades]", *(f"{name} = {one.toml()}" for name, one in wanted.items())]
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
    # a JSON string is a TOML string, but for the delete character, which TOML wants written out
    return (
        name
        if _BARE.fullmatch(name)
        else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007F")
    )


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

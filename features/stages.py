"""Lifecycle stages: a scheme read from TOML, its rules, and the stage of each customer in a snapshot.

A rule is a list of conditions ``feature operator number-or-threshold`` that must all hold; the scheme's ``order`` says
which stage is tried first. The first rule that holds names the stage, so a customer is on exactly one.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.conditions import Condition
from features.errors import UsageError, did_you_mean

__all__ = ["STATES", "Condition", "Scheme", "Stage", "known_schemes", "load_scheme"]

Array = NDArray[np.float64]
STATES = ("prospect", "active", "lapsed")


@dataclass(frozen=True)
class Stage:
    """One stage: what it is called, what it means, when it holds, what to do, and what can follow it at once."""

    id: str
    state: str
    title: Mapping[str, str]
    meaning: Mapping[str, str]
    action: Mapping[str, str]
    rule: tuple[Condition, ...]
    next: tuple[str, ...]


@dataclass(frozen=True)
class Scheme:
    """Ordered stages and the thresholds of their rules.

    ``thresholds`` is empty in a scheme as read from its file, and filled by :func:`features.thresholds.derive` (or
    from a bundle).
    """

    id: str
    title: Mapping[str, str]
    stages: tuple[Stage, ...]
    order: tuple[str, ...]
    thresholds: Mapping[str, float]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(stage.id for stage in self.stages)

    def __getitem__(self, stage: str) -> Stage:
        if stage not in self.ids:
            raise UsageError(f"scheme '{self.id}' has no stage '{stage}'.{did_you_mean(stage, self.ids)}")
        return self.stages[self.ids.index(stage)]

    @property
    def features(self) -> frozenset[str]:
        """The features that the rules look at."""
        return frozenset(c.feature for stage in self.stages for c in stage.rule)

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Scheme:
        """Return the scheme with its thresholds set."""
        return replace(self, thresholds=dict(thresholds))

    def assign(self, features: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return the stage of each row as its position in :attr:`stages`.

        Raises
        ------
        UsageError
            A row on which no rule holds: the scheme is not exhaustive. A rule names a feature that is not given, or a
            threshold that is not set.
        """
        if missing := sorted(self.features - set(features)):
            raise UsageError(
                f"scheme '{self.id}': a rule looks at '{missing[0]}', which is no feature here."
                f"{did_you_mean(missing[0], features)}"
            )
        rows = len(next(iter(features.values())))
        stage = np.full(rows, -1, dtype=np.int64)
        for stage_id in self.order:
            position = self.ids.index(stage_id)
            holds = stage < 0
            for condition in self.stages[position].rule:
                holds &= condition.holds(features, self.thresholds)
            stage[holds] = position
        if (stage < 0).any():
            row = int(np.flatnonzero(stage < 0)[0])
            facts = {name: float(features[name][row]) for name in sorted(self.features)}
            raise UsageError(f"scheme '{self.id}': no rule holds for a customer with {facts}; add a stage that does")
        return stage

    def explain(self, stage: int, features: Mapping[str, Array], row: int) -> str:
        """Return the rule that held for one row, with its numbers."""
        conditions = self.stages[stage].rule
        return " and ".join(c.sentence(float(features[c.feature][row]), self.thresholds) for c in conditions)

    def reachable(self) -> dict[str, frozenset[str]]:
        """Return which stages can follow each stage, at once or by way of others, itself included."""
        closed = {stage.id: {stage.id, *stage.next} for stage in self.stages}
        for _ in self.stages:
            closed = {a: set().union(*(closed[b] for b in following)) for a, following in closed.items()}
        return {a: frozenset(following) for a, following in closed.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the scheme as JSON-ready values; an infinite threshold (never) is null."""
        return {
            "id": self.id,
            "title": dict(self.title),
            "order": list(self.order),
            "thresholds": {k: (None if math.isinf(v) else v) for k, v in self.thresholds.items()},
            "stage": [
                {
                    "id": s.id,
                    "state": s.state,
                    "title": dict(s.title),
                    "meaning": dict(s.meaning),
                    "action": dict(s.action),
                    "rule": [f"{c.feature} {c.operator} {c.bound}" for c in s.rule],
                    "next": list(s.next),
                }
                for s in self.stages
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "scheme") -> Scheme:
        """Return the scheme of a TOML file or of a bundle.

        Raises
        ------
        UsageError
            A key is missing or unknown, or a stage is named that does not exist; the message names it.
        """
        entry = _Entry(data, where, {"id", "title", "stage", "order", "thresholds"})
        stages = [
            _stage(stage, f"{where}, stage {position}") for position, stage in enumerate(entry.tables("stage"), 1)
        ]
        given = entry.table("thresholds") if "thresholds" in data else {}
        scheme = cls(
            id=entry.text("id"),
            title=entry.table("title"),
            stages=tuple(stages),
            order=entry.texts("order"),
            thresholds={name: (math.inf if value is None else float(value)) for name, value in given.items()},
        )
        _check(scheme, where)
        return scheme


@dataclass(frozen=True)
class _Entry:
    """One table of a scheme; a value of another kind than wanted is an error that names its key."""

    values: Mapping[str, Any]
    where: str
    keys: Set[str]

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.values) - self.keys):
            raise UsageError(f"{self.where}: unknown key '{unknown[0]}'.{did_you_mean(unknown[0], self.keys)}")

    def _get(self, key: str, kind: type, called: str) -> Any:
        if key not in self.values:
            raise UsageError(f"{self.where}: key '{key}' is missing")
        value = self.values[key]
        if not isinstance(value, kind):
            raise UsageError(f"{self.where}: '{key}' is {value!r}; it must be {called}")
        return value

    def text(self, key: str) -> str:
        return str(self._get(key, str, "a text"))

    def table(self, key: str) -> dict[str, Any]:
        return dict(self._get(key, dict, "a table, like { en = 'New' }"))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._all(key, str, "a list of texts, like ['new', 'repeat']"))

    def tables(self, key: str) -> list[dict[str, Any]]:
        return self._all(key, dict, "tables, each under [[stage]]")

    def _all(self, key: str, kind: type, called: str) -> list[Any]:
        found = list(self._get(key, list, called))
        if not all(isinstance(one, kind) for one in found):
            raise UsageError(f"{self.where}: '{key}' is {found!r}; it must be {called}")
        return found


def _stage(values: Mapping[str, Any], where: str) -> Stage:
    here = f"{where} ('{values['id']}')" if "id" in values else where
    entry = _Entry(values, here, {"id", "state", "title", "meaning", "action", "rule", "next"})
    state = entry.text("state")
    if state not in STATES:
        raise UsageError(f"{here}: state '{state}' is none of {', '.join(STATES)}.{did_you_mean(state, STATES)}")
    return Stage(
        id=entry.text("id"),
        state=state,
        title=entry.table("title"),
        meaning=entry.table("meaning"),
        action=entry.table("action"),
        rule=tuple(Condition.parse(text, here) for text in entry.texts("rule")),
        next=entry.texts("next"),
    )


def _check(scheme: Scheme, where: str) -> None:
    ids = scheme.ids
    if len(set(ids)) != len(ids):
        raise UsageError(f"{where}: a stage id stands twice in {list(ids)}")
    for name in scheme.order:
        if name not in ids:
            raise UsageError(f"{where}: 'order' names '{name}', which is no stage.{did_you_mean(name, ids)}")
    if sorted(scheme.order) != sorted(ids):
        raise UsageError(
            f"{where}: 'order' must name each stage once; it has {list(scheme.order)}, stages are {list(ids)}"
        )
    for stage in scheme.stages:
        for following in stage.next:
            if following not in ids:
                raise UsageError(
                    f"{where}, stage '{stage.id}': next '{following}' is no stage.{did_you_mean(following, ids)}"
                )


def known_schemes() -> Sequence[str]:
    """Return the names of the schemes that come with the package."""
    folder = resources.files("features").joinpath("schemes")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_scheme(name: str) -> Scheme:
    """Return a scheme by its name, or from a TOML file of the user's own.

    Raises
    ------
    UsageError
        Neither a known name nor a readable file; or a file with a fault, which the message names.

    >>> load_scheme("retail").ids[0]
    'prospect'
    """
    if name in known_schemes():
        text = resources.files("features").joinpath("schemes", f"{name}.toml").read_text("utf-8")
        where = f"scheme '{name}'"
    elif Path(name).suffix == ".toml" and Path(name).is_file():
        where = name
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read: {error}") from None
    else:
        known = known_schemes()
        raise UsageError(
            f"--stages '{name}' is no scheme ({', '.join(known)}) and no TOML file.{did_you_mean(name, known)}"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}") from None
    if "thresholds" in data:
        raise UsageError(f"{where}: thresholds come from the log; write a number of your own into the rule")
    return Scheme.from_json(data, where)

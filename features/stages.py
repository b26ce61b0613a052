"""Lifecycle stages: a scheme read from TOML, its rules, and the stage of each customer in a snapshot.

A rule is a list of conditions ``feature operator number-or-threshold`` that must all hold; the scheme's ``order`` says
which stage is tried first. The first rule that holds names the stage, so a customer is on exactly one.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import UsageError, did_you_mean

Array = NDArray[np.float64]
STATES = ("prospect", "active", "lapsed")
_CONDITION = re.compile(r"^\s*([a-z_0-9]+)\s*(==|>=|<=|>|<)\s*([a-z_0-9.]+)\s*$", re.IGNORECASE)
_COMPARE = {"==": np.equal, ">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
_WORDS = {"==": "is", ">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}


@dataclass(frozen=True)
class Condition:
    """One comparison of a feature with a number, or with a threshold that is derived from the log."""

    feature: str
    operator: str
    bound: str

    @classmethod
    def parse(cls, text: str, where: str) -> Condition:
        match = _CONDITION.match(text)
        if match is None:
            raise UsageError(f"{where}: condition '{text}' cannot be read; write it like 'overdue_ratio > 2'")
        return cls(*match.groups())

    def limit(self, thresholds: Mapping[str, float]) -> float:
        """Return the number that the feature is compared with."""
        try:
            return float(self.bound)
        except ValueError:
            return thresholds[self.bound]

    def holds(self, features: Mapping[str, Array], thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
        """Return where the condition holds; it never does where the feature is null."""
        values = features[self.feature]
        return np.asarray(_COMPARE[self.operator](values, self.limit(thresholds)) & ~np.isnan(values))

    def sentence(self, value: float, thresholds: Mapping[str, float]) -> str:
        """Return the condition in words with one customer's number, such as ``overdue_ratio 2.7 is above 1.9``."""
        limit = self.limit(thresholds)
        bound = _number(limit) if self.bound not in thresholds else f"{_number(limit)} ({self.bound})"
        return f"{self.feature} {_number(value)} {_WORDS[self.operator]} {bound}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.2f}"


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
            A row on which no rule holds: the scheme is not exhaustive.
        """
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
        try:
            stages = tuple(_stage(entry, where) for entry in data["stage"])
            scheme = cls(
                id=str(data["id"]),
                title=dict(data["title"]),
                stages=stages,
                order=tuple(data["order"]),
                thresholds={k: (math.inf if v is None else float(v)) for k, v in data.get("thresholds", {}).items()},
            )
        except KeyError as error:
            raise UsageError(f"{where}: key {error} is missing") from None
        unknown = set(data) - {"id", "title", "stage", "order", "thresholds"}
        if unknown:
            raise UsageError(f"{where}: unknown key '{min(unknown)}'")
        _check(scheme, where)
        return scheme


def _stage(entry: Mapping[str, Any], where: str) -> Stage:
    here = f"{where}, stage '{entry.get('id', '?')}'"
    known = {"id", "state", "title", "meaning", "action", "rule", "next"}
    if unknown := set(entry) - known:
        name = min(unknown)
        raise UsageError(f"{here}: unknown key '{name}'.{did_you_mean(name, known)}")
    if entry["state"] not in STATES:
        raise UsageError(f"{here}: state '{entry['state']}' is none of {', '.join(STATES)}")
    return Stage(
        id=entry["id"],
        state=entry["state"],
        title=dict(entry["title"]),
        meaning=dict(entry["meaning"]),
        action=dict(entry["action"]),
        rule=tuple(Condition.parse(text, here) for text in entry["rule"]),
        next=tuple(entry["next"]),
    )


def _check(scheme: Scheme, where: str) -> None:
    ids = scheme.ids
    if len(set(ids)) != len(ids):
        raise UsageError(f"{where}: a stage id stands twice in {list(ids)}")
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
        text, where = Path(name).read_text("utf-8"), name
    else:
        known = known_schemes()
        raise UsageError(
            f"--stages '{name}' is no scheme ({', '.join(known)}) and no TOML file.{did_you_mean(name, known)}"
        )
    try:
        return Scheme.from_json(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}") from None

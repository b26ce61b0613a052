"""One clause of a stage's rule: a fact compared with a number or a derived threshold, or several
such joined by ``or``.

"orders >= 2"      "overdue_ratio > at_risk_ratio"      "visits >= 2 or reactions >= 1"
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.facts import CLOCKS
from stagecast.features.stages.thresholds import NAMES

_COMPARE = {
    "==": np.equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
}
_WORDS = {"==": "is", ">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}
_NAME, _NUMBER = r"[A-Za-z_]\w*", r"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?"
_CONDITION = re.compile(rf"^\s*({_NAME})\s*(==|>=|<=|>|<)\s*({_NUMBER}|{_NAME})\s*$", re.ASCII)


@dataclass(frozen=True)
class Condition:
    """One comparison of a fact with a number, or with a threshold that is derived from the log."""

    feature: str
    operator: str
    bound: str

    @classmethod
    def parse(cls, text: str, where: str) -> Condition:
        match = _CONDITION.match(text)
        if match is None:
            raise UsageError(
                f"{where}: condition '{text}' cannot be read; write it like 'overdue_ratio > 2'"
            )
        condition = cls(*match.groups())
        # a stage begins after a silence, not at it, so only these comparisons are exact
        if condition.feature in CLOCKS and condition.operator not in (">", "<="):
            raise UsageError(
                f"{where}: condition '{text}': a stage begins after a silence, not at it; compare"
                f" {condition.feature} with > or <="
            )
        if not condition.is_number and condition.bound not in NAMES:
            raise UsageError(
                f"{where}: condition '{text}': '{condition.bound}' is neither a number "
                "nor a threshold"
                f" ({', '.join(NAMES)}).{did_you_mean(condition.bound, NAMES)}"
            )
        return condition

    def __str__(self) -> str:
        return f"{self.feature} {self.operator} {self.bound}"

    @property
    def is_number(self) -> bool:
        """Whether the bound is a number of the scheme's own, not a threshold of the log."""
        try:
            return math.isfinite(float(self.bound))
        except ValueError:
            return False

    def limit(self, thresholds: Mapping[str, float]) -> float:
        """Return the number that the fact is compared with."""
        if self.is_number:
            return float(self.bound)
        if self.bound not in thresholds:
            raise UsageError(
                f"threshold '{self.bound}' is not set; derive the scheme's thresholds "
                "from the log first"
            )
        return thresholds[self.bound]

    def holds(
        self, facts: Mapping[str, Array], thresholds: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        """Return where the condition holds; it never does where the fact is null."""
        return np.asarray(_COMPARE[self.operator](facts[self.feature], self.limit(thresholds)))

    def sentences(self, values: Array, thresholds: Mapping[str, float]) -> pa.StringArray:
        """Return the condition in words with each customer's number, such as ``overdue_ratio 2.7
        is above 1.9``.
        """
        limit = self.limit(thresholds)
        bound = _one(limit) if self.is_number else f"{_one(limit)} ({self.bound})"
        ending = f" {_WORDS[self.operator]} {bound}"
        return pc.binary_join_element_wise(f"{self.feature} ", _numbers(values), ending, "")


@dataclass(frozen=True)
class Clause:
    """Conditions of which at least one must hold; nearly always there is just one."""

    alternatives: tuple[Condition, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Clause:
        return cls(tuple(Condition.parse(part, where) for part in re.split(r"\s+or\s+", text)))

    def __str__(self) -> str:
        return " or ".join(str(condition) for condition in self.alternatives)

    @property
    def features(self) -> frozenset[str]:
        return frozenset(condition.feature for condition in self.alternatives)

    def holds(
        self, facts: Mapping[str, Array], thresholds: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        """Return where one of the alternatives holds."""
        found = self.alternatives[0].holds(facts, thresholds)
        for condition in self.alternatives[1:]:
            found = found | condition.holds(facts, thresholds)
        return found

    def sentences(
        self, facts: Mapping[str, Array], thresholds: Mapping[str, float]
    ) -> pa.StringArray:
        """Return, for each row, the first alternative that holds in words; the first of all
        where none does.
        """
        told = self.alternatives[0].sentences(facts[self.alternatives[0].feature], thresholds)
        if len(self.alternatives) == 1:
            return told
        holds = self.alternatives[0].holds(facts, thresholds)
        for condition in self.alternatives[1:]:
            also = condition.holds(facts, thresholds)
            words = condition.sentences(facts[condition.feature], thresholds)
            told = pc.if_else(pa.array(also & ~holds), words, told)
            holds = holds | also
        return told


def _numbers(values: Array) -> pa.StringArray:
    """Return numbers as people read them: whole ones and those from 100 without decimals, others
    with two.
    """
    finite = np.isfinite(values)
    shown = np.where(finite, values, 0.0)
    whole = (shown == np.rint(shown)) | (np.abs(shown) >= 100)
    hundredths = np.floor(np.abs(np.where(whole, 0.0, shown)) * 100 + 0.5).astype(np.int64)
    sign = pc.if_else(pa.array((shown < 0) & (hundredths > 0)), "-", "")
    with_decimals = pc.binary_join_element_wise(
        sign,
        pc.binary_join_element_wise(
            pa.array(hundredths // 100).cast(pa.string()),
            pc.utf8_lpad(pa.array(hundredths % 100).cast(pa.string()), 2, "0"),
            ".",
        ),
        "",
    )
    rounded = pa.array(
        np.rint(np.clip(np.where(whole, shown, 0.0), -9e18, 9e18)).astype(np.int64)
    ).cast(pa.string())
    told = pc.if_else(pa.array(whole), rounded, with_decimals)
    if finite.all():
        return told
    without = pc.if_else(
        pa.array(values > 0), "never", pc.if_else(pa.array(values < 0), "-inf", "unknown")
    )
    return pc.if_else(pa.array(finite), told, without)


def _one(value: float) -> str:
    return str(_numbers(np.array([value]))[0])

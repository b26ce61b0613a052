"""One condition of a stage's rule: a feature compared with a number, or with a threshold derived from the log."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import UsageError, did_you_mean
from features.thresholds import NAMES

Array = NDArray[np.float64]

# What silence alone changes; every other fact a rule may name changes at purchases only.
SILENCE = ("recency_days", "overdue_ratio")

_COMPARE = {"==": np.equal, ">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
_WORDS = {"==": "is", ">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}
_NAME, _NUMBER = r"[A-Za-z_]\w*", r"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?"
_CONDITION = re.compile(rf"^\s*({_NAME})\s*(==|>=|<=|>|<)\s*({_NUMBER}|{_NAME})\s*$", re.ASCII)


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
        condition = cls(*match.groups())
        if condition.feature in SILENCE and condition.operator not in (">", "<="):
            raise UsageError(
                f"{where}: condition '{text}': a stage begins after a silence, not at it; compare"
                f" {condition.feature} with > or <="
            )
        if not condition._is_number() and condition.bound not in NAMES:
            raise UsageError(
                f"{where}: condition '{text}': '{condition.bound}' is neither a number nor a threshold"
                f" ({', '.join(NAMES)}).{did_you_mean(condition.bound, NAMES)}"
            )
        return condition

    def _is_number(self) -> bool:
        try:
            return math.isfinite(float(self.bound))
        except ValueError:
            return False

    def limit(self, thresholds: Mapping[str, float]) -> float:
        """Return the number that the feature is compared with."""
        if self._is_number():
            return float(self.bound)
        if self.bound not in thresholds:
            raise UsageError(f"threshold '{self.bound}' is not set; derive the scheme's thresholds from the log first")
        return thresholds[self.bound]

    def holds(self, features: Mapping[str, Array], thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
        """Return where the condition holds; it never does where the feature is null."""
        return np.asarray(_COMPARE[self.operator](features[self.feature], self.limit(thresholds)))

    def sentence(self, value: float, thresholds: Mapping[str, float]) -> str:
        """Return the condition in words with one customer's number, such as ``overdue_ratio 2.7 is above 1.9``."""
        limit = self.limit(thresholds)
        bound = _number(limit) if self.bound not in thresholds else f"{_number(limit)} ({self.bound})"
        return f"{self.feature} {_number(value)} {_WORDS[self.operator]} {bound}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "never" if value > 0 else str(value)
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.2f}"

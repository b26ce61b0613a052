"""Clauses of a stage's rule: a fact compared with a number or a threshold, or several with ``or``.

"orders >= 2"      "overdue_ratio > at_risk_ratio"      "visits >= 2 or reactions >= 1"
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.facts import CLOCKS
from stagecast.features.stages.thresholds import THRESHOLD_NAMES

_COMPARE = {
    "==": np.equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
}
_WORDS = {"==": "is", ">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}
FEW_ROWS = 16
"""Up to this many rows, plain Python writes sentences in less time than Arrow does."""
_NAME, _NUMBER = r"[A-Za-z_]\w*", r"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?"
_CONDITION = re.compile(rf"^\s*({_NAME})\s*(==|>=|<=|>|<)\s*({_NUMBER}|{_NAME})\s*$", re.ASCII)


@dataclass(frozen=True)
class Condition:
    """One comparison of a fact with a number, or with a threshold that is derived from the log.

    Parameters
    ----------
    feature
        Name of the fact.
    operator
        One of ``==``, ``>=``, ``<=``, ``>`` and ``<``.
    bound
        The number as text, or the name of the threshold.
    """

    feature: str
    operator: str
    bound: str

    @classmethod
    def parse(cls, text: str, where: str) -> Condition:
        """Return the condition that a text describes.

        Parameters
        ----------
        text
            Such as ``overdue_ratio > 2``.
        where
            Place of the text, for the error message.

        Raises
        ------
        UsageError
            The text is not a condition, names an unknown threshold, or compares a clock with an
            operator other than ``>`` and ``<=``.
        """
        match = _CONDITION.match(text)
        if match is None:
            raise UsageError(
                f"{where}: condition '{text}' cannot be read; write it like 'overdue_ratio > 2'"
            )
        condition = cls(*match.groups())
        # a stage begins just after a clock reaches its limit, so only these comparisons are exact
        if condition.feature in CLOCKS and condition.operator not in (">", "<="):
            raise UsageError(
                f"{where}: condition '{text}': a stage begins after a silence, not at it; compare"
                f" {condition.feature} with > or <="
            )
        if not condition.is_number and condition.bound not in THRESHOLD_NAMES:
            raise UsageError(
                f"{where}: condition '{text}': '{condition.bound}' is neither a number "
                "nor a threshold"
                f" ({', '.join(THRESHOLD_NAMES)}).{did_you_mean(condition.bound, THRESHOLD_NAMES)}"
            )
        return condition

    def __str__(self) -> str:
        return f"{self.feature} {self.operator} {self.bound}"

    @cached_property
    def is_number(self) -> bool:
        """Whether the bound is a number, not the name of a threshold."""
        try:
            return math.isfinite(float(self.bound))
        except ValueError:
            return False

    def limit(self, thresholds: Mapping[str, float]) -> float:
        """Return the number that the fact is compared with.

        Raises
        ------
        UsageError
            The bound is a threshold that is not among ``thresholds``.
        """
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
        """Return for which customers the condition holds; it never does where the fact is null.

        Parameters
        ----------
        facts
            Name of a fact -> values, shape (n_customers,).
        thresholds
            Name of a threshold -> its value.

        Raises
        ------
        UsageError
            The bound is a threshold that is not among ``thresholds``.
        """
        return np.asarray(_COMPARE[self.operator](facts[self.feature], self.limit(thresholds)))

    def predicate(self, thresholds: Mapping[str, float], assumed: Collection[str] = ()) -> str:
        """Return what follows the fact and its value in a sentence, such as `` is above 1.9``."""
        bound_text = number_text(self.limit(thresholds))
        if not self.is_number:
            bound_text += f" ({self.bound}{', assumed' if self.bound in assumed else ''})"
        return f" {_WORDS[self.operator]} {bound_text}"

    def sentences(
        self, values: Array, thresholds: Mapping[str, float], assumed: Collection[str] = ()
    ) -> pa.StringArray:
        """Return the condition with each value, such as ``overdue_ratio 2.7 is above 1.9``.

        Parameters
        ----------
        values
            The fact's value for each customer, shape (n_customers,).
        thresholds
            Name of a threshold -> its value.
        assumed
            Thresholds that are no fact of the log, which the sentence then says.
        """
        predicate = self.predicate(thresholds, assumed)
        if len(values) <= FEW_ROWS:
            texts = [f"{self.feature} {number_text(v)}{predicate}" for v in values.tolist()]
            return pa.array(texts, pa.string())
        import pyarrow.compute as pc

        return pc.binary_join_element_wise(f"{self.feature} ", _number_texts(values), predicate, "")


@dataclass(frozen=True)
class Clause:
    """Conditions of which at least one must hold; most clauses have only one."""

    alternatives: tuple[Condition, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Clause:
        """Return the clause that a text describes: conditions joined by ``or``.

        Raises
        ------
        UsageError
            See :meth:`Condition.parse`.
        """
        return cls(tuple(Condition.parse(part, where) for part in re.split(r"\s+or\s+", text)))

    def __str__(self) -> str:
        return " or ".join(str(condition) for condition in self.alternatives)

    @cached_property
    def features(self) -> frozenset[str]:
        """Names of the facts that the conditions compare."""
        return frozenset(condition.feature for condition in self.alternatives)

    def holds(
        self, facts: Mapping[str, Array], thresholds: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        """Return for which customers at least one condition holds; see :meth:`Condition.holds`."""
        holds = self.alternatives[0].holds(facts, thresholds)
        for condition in self.alternatives[1:]:
            holds = holds | condition.holds(facts, thresholds)
        return holds

    def sentences(
        self,
        facts: Mapping[str, Array],
        thresholds: Mapping[str, float],
        assumed: Collection[str] = (),
    ) -> pa.StringArray:
        """Return each customer's first condition that holds, in words; if none does, the first.

        See :meth:`Condition.sentences`.
        """
        first = self.alternatives[0]
        sentences = first.sentences(facts[first.feature], thresholds, assumed)
        if len(self.alternatives) == 1:
            return sentences
        import pyarrow.compute as pc

        holds = self.alternatives[0].holds(facts, thresholds)
        for condition in self.alternatives[1:]:
            condition_holds = condition.holds(facts, thresholds)
            condition_sentences = condition.sentences(facts[condition.feature], thresholds, assumed)
            sentences = pc.if_else(
                pa.array(condition_holds & ~holds), condition_sentences, sentences
            )
            holds = holds | condition_holds
        return sentences


def _number_texts(values: Array) -> pa.StringArray:
    """Return numbers as text: whole ones and those from 100 without decimals, others with two."""
    import pyarrow.compute as pc

    finite = np.isfinite(values)
    numbers = np.where(finite, values, 0.0)
    whole = (numbers == np.rint(numbers)) | (np.abs(numbers) >= 100)
    hundredths = np.floor(np.abs(np.where(whole, 0.0, numbers)) * 100 + 0.5).astype(np.int64)
    sign = pc.if_else(pa.array((numbers < 0) & (hundredths > 0)), "-", "")
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
        np.rint(np.clip(np.where(whole, numbers, 0.0), -9e18, 9e18)).astype(np.int64)
    ).cast(pa.string())
    texts = pc.if_else(pa.array(whole), rounded, with_decimals)
    if finite.all():
        return texts
    not_finite = pc.if_else(
        pa.array(values > 0), "never", pc.if_else(pa.array(values < 0), "-inf", "unknown")
    )
    return pc.if_else(pa.array(finite), texts, not_finite)


def number_text(value: float) -> str:
    """Return one number as the sentences write it, see :func:`_number_texts`.

    >>> number_text(2.0), number_text(1.906), number_text(314.16), number_text(float("inf"))
    ('2', '1.91', '314', 'never')
    """
    if not math.isfinite(value):
        return "never" if value > 0 else "-inf" if value < 0 else "unknown"
    whole = round(value)
    if value == whole or abs(value) >= 100:
        return str(round(min(max(value, -9e18), 9e18)))
    hundredths = math.floor(abs(value) * 100 + 0.5)
    sign = "-" if value < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"

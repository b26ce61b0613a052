"""Rules of stages in words, one customer after the other.

:meth:`stagecast.features.stages.scheme.Scheme.explain` writes the same sentences for columns of
Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import COMPARE
from stagecast.features.stages.conditions import Clause, number_text
from stagecast.features.stages.scheme import Scheme


class _Part(NamedTuple):
    compare: Callable[[float, float], bool]
    feature: str
    limit: float
    predicate: str

    def holds(self, facts: Mapping[str, float]) -> bool:
        return self.compare(facts[self.feature], self.limit)

    def sentence(self, facts: Mapping[str, float]) -> str:
        return f"{self.feature} {number_text(facts[self.feature])}{self.predicate}"


class RuleSentences:
    """The rules of a scheme, prepared to be said with the numbers of one customer.

    Parameters
    ----------
    scheme
        With its thresholds set.
    """

    def __init__(self, scheme: Scheme) -> None:
        self._rules = [[_parts(scheme, clause) for clause in stage.rule] for stage in scheme.stages]
        self._features = sorted({part.feature for rule in self._rules for c in rule for part in c})

    def of(self, stage: int, facts: Mapping[str, float]) -> str:
        """Return the rule of a stage with the numbers that it compared.

        Parameters
        ----------
        stage
            Position among the stages.
        facts
            Those of the customer.
        """
        return " and ".join([_sentence(clause, facts) for clause in self._rules[stage]])

    def of_rows(self, stage: NDArray[np.int64], facts: Mapping[str, Array]) -> list[str]:
        """Return the sentence of each row.

        Parameters
        ----------
        stage
            Positions among the stages, shape (n_rows,).
        facts
            Name of a fact -> values, shape (n_rows,).
        """
        names = [name for name in self._features if name in facts]
        columns = [np.asarray(facts[name]).tolist() for name in names]
        rows = zip(*columns, strict=True) if names else ((),) * len(stage)
        return [
            self.of(position, dict(zip(names, values, strict=True)))
            for position, values in zip(stage.tolist(), rows, strict=True)
        ]


def _parts(scheme: Scheme, clause: Clause) -> list[_Part]:
    return [
        _Part(
            COMPARE[condition.operator],
            condition.feature,
            condition.limit(scheme.thresholds),
            condition.predicate(scheme.thresholds, scheme.assumed),
        )
        for condition in clause.alternatives
    ]


def _sentence(clause: list[_Part], facts: Mapping[str, float]) -> str:
    """Return the first alternative that holds; if none does, the first."""
    if len(clause) > 1:
        for part in clause:
            if part.holds(facts):
                return part.sentence(facts)
    return clause[0].sentence(facts)

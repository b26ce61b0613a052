"""Where one customer stands on a scheme, in plain Python.

Gives what :meth:`stagecast.features.stages.lifecycle.Lifecycle.standing` gives for one customer.
Instants at which a stage can begin are those of :mod:`stagecast.features.stages.journeys`; they are
walked through from the as_of back, only as far as the present stage goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError
from stagecast.features.one_customer.facts import Facts, Rules, Walk
from stagecast.features.one_customer.formulas import Compared, first_that_holds
from stagecast.features.one_customer.past import Past
from stagecast.features.one_customer.sentences import RuleSentences
from stagecast.features.record import SignalTypes
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.facts import Vocabulary
from stagecast.features.stages.scheme import Scheme


class StandingOfOne(NamedTuple):
    """Stage at the as_of, its start in microseconds since 1970, the facts of the rules, and the
    stage at the end of the horizon if nothing more happens.
    """

    stage: int
    since: int
    facts: Facts
    stage_if_silent: int


class StagesOfOne:
    """A scheme, prepared once to say where one customer stands.

    Parameters
    ----------
    scheme
        With its thresholds set; its rules read no contracts.
    vocabulary
        The facts that the rules read.
    counted
        Signal -> event types that count as it, see :meth:`Scheme.signal_types`.
    horizon_days
        Days that ``stage_if_silent`` looks ahead.
    """

    def __init__(
        self, scheme: Scheme, vocabulary: Vocabulary, counted: SignalTypes, horizon_days: int
    ) -> None:
        self.scheme = scheme
        self.horizon = horizon_days * DAY_MICROSECONDS
        self._facts = Rules(scheme, vocabulary, counted)
        self._sentences = RuleSentences(scheme)
        self._positions = [scheme.ids.index(stage) for stage in scheme.order]
        self._first = first_that_holds(
            [_compared(scheme[stage].rule, scheme.thresholds) for stage in scheme.order]
        )

    def standing(self, past: Past) -> StandingOfOne:
        """Return where the customer stands.

        Raises
        ------
        UsageError
            No rule holds for the customer.
        ArithmeticError
            A fact divides by zero where arrays go on with infinity.
        """
        walk = Walk(self._facts, past)
        stage, since = walk.present(self.stage_of)
        facts = walk.facts_at(past.instant, past.instant)
        silent = walk.facts_at(past.instant + self.horizon, past.instant)
        return StandingOfOne(stage, since, facts, self.stage_of(silent))

    def stage_of(self, facts: Mapping[str, float]) -> int:
        """Return the position of the first stage whose rule holds.

        Raises
        ------
        UsageError
            None holds.
        """
        first = self._first(facts)
        if first >= 0:
            return self._positions[first]
        values = {name: facts[name] for name in sorted(self.scheme.features)}
        raise UsageError(
            f"scheme '{self.scheme.id}': no rule holds for a customer with {values}; add a "
            "stage that does"
        )

    def explain(self, stage: int, facts: Mapping[str, float]) -> str:
        """Return the rule of a stage with the numbers that it compared."""
        return self._sentences.of(stage, facts)


def _compared(rule: Sequence[Clause], thresholds: Mapping[str, float]) -> list[list[Compared]]:
    """Return the comparisons of each clause of a rule, with its thresholds as numbers."""
    return [
        [
            (condition.feature, condition.operator, float(condition.limit(thresholds)))
            for condition in clause.alternatives
        ]
        for clause in rule
    ]

"""When a model that answers some customers may answer all of them, and when it goes back.

The limits are on pairs: each customer of the share is scored by the old model too, so that a crowd
of unusual customers moves both sides alike. What is left is how far two models that are equally
good differ, and :data:`LOOKS` looks at a growing number of customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stagecast.features.intake.counted import counted
from stagecast.serving.follow.pairs import MONEY, NUMBERS, PROBABILITIES, Pairs
from stagecast.serving.follow.shift import FEWEST, psi_by_chance

LOOKS = 5
"""The pairs are judged at each fifth of the customers that are needed, and once more at the end of
the minutes."""
CHANCE = 0.001
"""The limit of the index grows by what two samples of one population exceed with this chance."""


@dataclass(frozen=True)
class Limits:
    """How much two models may differ, and for how long they are compared.

    Parameters
    ----------
    customers
        Distinct customers that both must have scored before the new model answers all.
    minutes
        The least time for which it answers some only.
    psi
        Most of the population stability index of each probability, beyond chance. That of money is
        shown and not judged: prospects have few distinct values, and a whole crowd of them crosses
        the edge of a bin between two models that are equally good.
    difference
        Most of the mean absolute difference of the churn probability.
    agreement
        Least share of customers whose churn band is the same.
    money
        Most of the mean clv and of the mean expected spend over the old model's, or the inverse.
    ranks
        Least correlation of ranks of each number.
    slower
        Most processor time of a score, as a multiple of the old model's.
    errors
        Most customers at whom the new model fails and the old one does not.
    """

    customers: int = 500
    minutes: float = 10.0
    psi: float = 0.25
    difference: float = 0.1
    agreement: float = 0.7
    money: float = 1.5
    ranks: float = 0.7
    slower: float = 5.0
    errors: int = 0

    def broken(self, pairs: Pairs) -> str | None:
        """Return which limit the pairs of a look break; None: none of them.

        Parameters
        ----------
        pairs
            The new model answered, the old one was asked beside it.
        """
        for name in PROBABILITIES:
            index = pairs.psi_of(name)
            most = self.psi + psi_by_chance(max(len(pairs.sample), FEWEST), CHANCE)
            if index is not None and index > most:
                return f"{name} has another distribution: PSI {index:.2f}, at most {most:.2f}"
        churn = pairs.columns["churn_probability"]
        difference = churn.mean(churn.difference)
        if churn.both >= FEWEST and difference is not None and difference > self.difference:
            return (
                f"churn_probability differs by {difference:.2f} on average, at most "
                f"{self.difference:g}"
            )
        agreement = pairs.agreement("churn_band")
        is_enough = pairs.labelled["churn_band"] >= FEWEST
        if is_enough and agreement is not None and agreement < self.agreement:
            return (
                f"churn_band is the same for {agreement:.0%} of the customers, at least "
                f"{self.agreement:.0%} are wanted"
            )
        for name in MONEY:
            column = pairs.columns[name]
            means = sorted((column.answered, column.beside))
            if column.both >= FEWEST and means[1] > self.money * max(means[0], 0.0):
                return (
                    f"{name} is {column.mean(column.answered):.4g} on average, where the old model "
                    f"says {column.mean(column.beside):.4g}; at most {self.money:g} times apart"
                )
        for name in NUMBERS:
            ranks = pairs.ranks_of(name)
            if ranks is not None and ranks < self.ranks:
                return (
                    f"{name} orders the customers otherwise: correlation of ranks {ranks:.2f}, at "
                    f"least {self.ranks:g}"
                )
        ratio = pairs.seconds_answered / pairs.seconds_beside if pairs.seconds_beside else 0.0
        if pairs.timed >= FEWEST and ratio > self.slower:
            return f"a score takes {ratio:.1f} times as long, at most {self.slower:g}"
        return None

    def failed(self, errors: Mapping[str, int]) -> str | None:
        """Return what is wrong with so many failures of a kind; None: they are within the limit."""
        count = sum(errors.values())
        if count <= self.errors:
            return None
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(errors.items()))
        return f"it failed at {counted(count, 'customer')} whom the old model scores ({kinds})"

    def looks_of(self, scores: int) -> int:
        """Return how many looks at the pairs are due, with so many of them."""
        return min(LOOKS, scores * LOOKS // self.customers)

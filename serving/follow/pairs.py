"""Scores of the same customers by two models: what was answered, and what another one says.

Sums and a bounded sample of the numbers are kept; no id of a customer, and no instant.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from stagecast.features.arrays import Array
from stagecast.serving.follow.shift import psi, rank_correlation

PROBABILITIES = ("churn_probability", "p_inactive")
MONEY = ("clv", "expected_spend")
NUMBERS = (*PROBABILITIES, *MONEY)
LABELS = ("churn_band", "next_stage_likeliest")
SAMPLE = 1_000
"""Pairs that are kept for the index, and for the correlation of ranks."""

Values = Sequence[Any]
"""Of one score: the columns of :data:`NUMBERS`, and then those of :data:`LABELS`."""


def values_of(score: Mapping[str, Any]) -> Values:
    """Return what is compared of a score, which is a JSON object of the API."""
    return [score.get(name) for name in (*NUMBERS, *LABELS)]


class Column(msgspec.Struct):
    """Sums of a number, over the pairs in which both models give it; the rest is counted."""

    both: int = 0
    only_answered: int = 0
    only_beside: int = 0
    answered: float = 0.0
    beside: float = 0.0
    difference: float = 0.0

    def add(self, answered: float | None, beside: float | None) -> None:
        """Add a pair."""
        if answered is not None and beside is not None:
            self.both += 1
            self.answered += answered
            self.beside += beside
            self.difference += abs(answered - beside)
        elif answered is not None:
            self.only_answered += 1
        elif beside is not None:
            self.only_beside += 1

    def mean(self, total: float) -> float | None:
        """Return a sum over the pairs; None without any."""
        return total / self.both if self.both else None


class Pairs(msgspec.Struct):
    """Pairs of scores of two models.

    Parameters
    ----------
    answered, beside
        Versions of the model that answered, and of the one that was asked beside it.
    scores
        Number of pairs.
    columns
        Sums by column of :data:`NUMBERS`.
    labelled, agree
        Column of :data:`LABELS` -> pairs in which one of the models gives a label, and those of
        them in which both give the same.
    errors
        Kind -> how often the model beside failed at a customer whom the other one scored.
    timed
        Pairs whose time was measured.
    seconds_answered, seconds_beside
        Processor time of their scores.
    sample
        Numbers of some pairs: those that were answered, then those beside; at most :data:`SAMPLE`.
    """

    answered: str
    beside: str
    scores: int = 0
    columns: dict[str, Column] = msgspec.field(
        default_factory=lambda: {name: Column() for name in NUMBERS}
    )
    labelled: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(LABELS, 0))
    agree: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(LABELS, 0))
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    timed: int = 0
    seconds_answered: float = 0.0
    seconds_beside: float = 0.0
    sample: list[list[float | None]] = msgspec.field(default_factory=list)

    def add(self, answered: Values, beside: Values, chance: random.Random) -> None:
        """Add a pair; ``chance`` decides whether it is in the sample (Vitter 1985, algorithm R)."""
        self.scores += 1
        count = len(NUMBERS)
        for name, own, other in zip(NUMBERS, answered, beside, strict=False):
            self.columns[name].add(own, other)
        for name, own, other in zip(LABELS, answered[count:], beside[count:], strict=True):
            self.labelled[name] += own is not None or other is not None
            self.agree[name] += own is not None and own == other
        row = [*answered[:count], *beside[:count]]
        if len(self.sample) < SAMPLE:
            self.sample.append(row)
        elif (place := chance.randrange(self.scores)) < SAMPLE:
            self.sample[place] = row

    def fail(self, kind: str, customers: int = 1) -> None:
        """Count customers at whom the model beside failed."""
        self.errors[kind] = self.errors.get(kind, 0) + customers

    @property
    def seen(self) -> int:
        """Number of customers that were compared, or at whom the model beside failed."""
        return self.scores + sum(self.errors.values())

    def psi_of(self, name: str) -> float | None:
        """Return the index of a number between the two models; None with too few pairs."""
        return psi(*self._sides(name))

    def ranks_of(self, name: str) -> float | None:
        """Return the correlation of ranks of a number; None with too few pairs."""
        own, other = self._sides(name)
        both = ~(np.isnan(own) | np.isnan(other))
        return rank_correlation(own[both], other[both])

    def report(self) -> dict[str, Any]:
        """Return the comparison as plain data, as ``GET /v1/model/shadow`` shows it."""
        return {
            "scores": self.scores,
            "errors": dict(sorted(self.errors.items())),
            "milliseconds_per_score": {
                "answered": _milliseconds(self.seconds_answered, self.timed),
                "beside": _milliseconds(self.seconds_beside, self.timed),
            },
            "columns": {name: self._column(name) for name in NUMBERS},
            "agreement": {name: self.agreement(name) for name in LABELS},
        }

    def agreement(self, name: str) -> float | None:
        """Return the share of the pairs with a label in which both models give the same."""
        return self.agree[name] / self.labelled[name] if self.labelled[name] else None

    def _column(self, name: str) -> dict[str, Any]:
        column = self.columns[name]
        return {
            "both": column.both,
            "only_answered": column.only_answered,
            "only_beside": column.only_beside,
            "mean_answered": column.mean(column.answered),
            "mean_beside": column.mean(column.beside),
            "mean_difference": column.mean(column.difference),
            "psi": self.psi_of(name),
            "rank_correlation": self.ranks_of(name),
        }

    def _sides(self, name: str) -> tuple[Array, Array]:
        place = NUMBERS.index(name)
        rows = np.array(self.sample, dtype=np.float64).reshape(-1, 2 * len(NUMBERS))
        return rows[:, place], rows[:, place + len(NUMBERS)]


def merged(parts: Iterable[Pairs], chance: random.Random) -> Pairs | None:
    """Return the pairs of several processes as one; None without any.

    Each part has its share of the sample. Pairs of other versions than those of the first part are
    left out.
    """
    everyone = list(parts)
    if not everyone:
        return None
    first = everyone[0]
    versions = first.answered, first.beside
    everyone = [part for part in everyone if (part.answered, part.beside) == versions]
    whole = Pairs(first.answered, first.beside)
    whole.scores = sum(part.scores for part in everyone)
    is_cut = sum(len(part.sample) for part in everyone) > SAMPLE
    for part in everyone:
        for name, column in part.columns.items():
            total = whole.columns[name]
            for field in Column.__struct_fields__:
                setattr(total, field, getattr(total, field) + getattr(column, field))
        for name in LABELS:
            whole.labelled[name] += part.labelled[name]
            whole.agree[name] += part.agree[name]
        for kind, count in part.errors.items():
            whole.fail(kind, count)
        whole.timed += part.timed
        whole.seconds_answered += part.seconds_answered
        whole.seconds_beside += part.seconds_beside
        share = round(SAMPLE * part.scores / whole.scores) if is_cut else len(part.sample)
        whole.sample += chance.sample(part.sample, min(share, len(part.sample)))
    return whole


def _milliseconds(seconds: float, scores: int) -> float | None:
    return 1e3 * seconds / scores if scores else None

"""Plays of a scheme: what to do with a customer, by stage, risk and value together.

    [[play]]
    id = "loyal_going_quiet"
    title = { en = "Loyal, may leave" }
    action = { en = "Ask personally what is wrong." }
    when = ["stage == loyal", "churn_probability >= 0.5", "value_at_risk > p80"]

A play may also say what it costs and brings, which plans of whom to contact use::

    contact = false          # leave these customers alone
    offer = false            # contact them without an offer
    contact_cost = 1.0       # of each contact, in the money of the log
    offer_cost = 5.0         # paid to each contacted customer who orders ...
    offer_share = 0.1        # ... or as a share of the order
    effect = 0.05            # share of what is at stake that a contact saves, until it is learned
    days = 30                # how long the play runs

The clauses of ``when`` compare columns of a score and must all hold; a clause may join several
comparisons with ``or``. The plays are tried in the order of the file, and the first that holds is
the customer's; where none does, or it
has no action, there is the action of the stage. ``p80`` is the value that 80 % of
the buyers of the training who have any such money do not exceed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.entries import Entry

STATES = ("prospect", "active", "lapsed")
BANDS = ("low", "medium", "high")
CHURN = ("inactivity", "cancellation")
"""What a score calls churn."""

MONEY = ("expected_spend", "clv", "value_at_risk", "value_gone", "value_if_kept", "spend")
"""Columns in money, which may be compared with a percentile."""
PROBABILITIES = ("p_inactive", "churn_probability", "p_return", "p_convert", "p_alive")
NUMBERS = (
    *PROBABILITIES,
    "churn_percentile",
    "expected_orders",
    *MONEY,
    "recency_days",
    "tenure_days",
    "frequency",
    "orders",
)
TEXTS = ("stage", "state", "churn_band", "churn")

_COMPARE = {
    "==": np.equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
}
_COMPARISON = re.compile(r"^\s*([A-Za-z_]\w*)\s*(==|>=|<=|>|<)\s*(\S+)\s*$", re.ASCII)
_PERCENTILE = re.compile(r"^p([1-9]\d?)$")


@dataclass(frozen=True)
class Comparison:
    """One comparison of a column of a score with a number, a percentile or a text.

    Parameters
    ----------
    column
        One of :data:`NUMBERS` or :data:`TEXTS`.
    operator
        One of ``==``, ``>=``, ``<=``, ``>`` and ``<``.
    bound
        A number, a percentile like ``p80``, or a text.
    """

    column: str
    operator: str
    bound: str

    @classmethod
    def parse(cls, text: str, where: str) -> Comparison:
        """Return the comparison that a text describes.

        Parameters
        ----------
        text
            Such as ``churn_probability >= 0.5``.
        where
            Place of the text, for the error message.

        Raises
        ------
        UsageError
            The text is no comparison, names an unknown column, or compares it with what it cannot
            be compared with.
        """
        match = _COMPARISON.match(text)
        if match is None:
            raise UsageError(
                f"{where}: condition '{text}' cannot be read; write it like "
                "'churn_probability >= 0.5' or 'stage == loyal'"
            )
        comparison = cls(*match.groups())
        comparison._check(f"{where}: condition '{text}'")
        return comparison

    def _check(self, place: str) -> None:
        known = (*TEXTS, *NUMBERS)
        if self.column not in known:
            raise UsageError(
                f"{place}: '{self.column}' is no column of a score that plays read "
                f"({', '.join(known)}).{did_you_mean(self.column, known)}"
            )
        if self.column in TEXTS:
            if self.operator != "==":
                raise UsageError(f"{place}: {self.column} is a text; compare it with ==")
            return
        if self.percentile is not None:
            if self.column not in MONEY:
                raise UsageError(
                    f"{place}: {self.bound} is a percentile, which only columns in money "
                    f"({', '.join(MONEY)}) are compared with; write a number"
                )
            return
        number = self.number
        if number is None:
            raise UsageError(
                f"{place}: '{self.bound}' is neither a number nor a percentile like p80"
            )
        if self.column in PROBABILITIES and not 0 <= number <= 1:
            raise UsageError(f"{place}: {self.column} lies between 0 and 1")

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {self.bound}"

    @cached_property
    def number(self) -> float | None:
        """The bound as a number; None where it is none."""
        try:
            value = float(self.bound)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    @cached_property
    def percentile(self) -> int | None:
        """The bound as a percentile, 1 to 99; None where it is none."""
        match = _PERCENTILE.match(self.bound)
        return int(match[1]) if match else None

    def holds(self, columns: Mapping[str, Any], bounds: Mapping[str, float]) -> NDArray[np.bool_]:
        """Return where the comparison holds, shape (rows,); it never does where there is null.

        Parameters
        ----------
        columns
            Column of a score -> values, shape (rows,) each; null is NaN or None.
        bounds
            Percentiles of the training, by
            :func:`stagecast.features.stages.play_choice.learn_bounds`; one that is missing never
            holds.
        """
        values = np.asarray(columns[self.column])
        if self.column in TEXTS:
            return np.asarray(values == self.bound, dtype=np.bool_)
        limit = self.number
        if limit is None:
            limit = bounds.get(f"{self.column} {self.bound}", np.nan)
        return np.asarray(_COMPARE[self.operator](values.astype(np.float64), limit))


TERMS = ("contact_cost", "offer_cost", "offer_share", "effect", "days")
"""What a play may say about costs and effects."""
FLAGS = ("contact", "offer")
_SHARES = ("offer_share", "effect")


@dataclass(frozen=True)
class Play:
    """What to do with one kind of customer.

    Parameters
    ----------
    id
        Name in columns and files.
    title, action
        Language -> what the play is called, and what to do; without an action, that of the stage
        stands.
    when
        Clauses that must all hold; of the comparisons of one clause at least one must.
    contact, offer
        Whether plans may contact these customers, and make them an offer.
    contact_cost, offer_cost, offer_share, effect, days
        What a contact and the offer cost and bring, and how long the play runs, in days; None: the
        play says nothing of it.
    """

    id: str
    title: Mapping[str, str]
    action: Mapping[str, str]
    when: tuple[tuple[Comparison, ...], ...]
    contact: bool = True
    offer: bool = True
    contact_cost: float | None = None
    offer_cost: float | None = None
    offer_share: float | None = None
    effect: float | None = None
    days: int | None = None

    def holds(self, columns: Mapping[str, Any], bounds: Mapping[str, float]) -> NDArray[np.bool_]:
        """Return the customers of whom the play speaks; see :meth:`Comparison.holds`."""
        clauses = (
            reduce(operator.or_, (comparison.holds(columns, bounds) for comparison in clause))
            for clause in self.when
        )
        return np.asarray(reduce(operator.and_, clauses))

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons of the clauses."""
        return tuple(comparison for clause in self.when for comparison in clause)

    @property
    def conditions(self) -> list[str]:
        """The clauses as they are written."""
        return [" or ".join(map(str, clause)) for clause in self.when]

    def to_json(self) -> dict[str, Any]:
        """Return the play as plain data, as :func:`play_from_toml` reads it."""
        return {
            "id": self.id,
            "title": dict(self.title),
            **({"action": dict(self.action)} if self.action else {}),
            "when": self.conditions,
            **{name: False for name in FLAGS if not getattr(self, name)},
            **{name: value for name in TERMS if (value := getattr(self, name)) is not None},
        }


def play_from_toml(values: Mapping[str, Any], where: str) -> Play:
    """Return the play of a table of a scheme file.

    Raises
    ------
    UsageError
        A key is missing or unknown, a value is of the wrong kind, or a condition cannot be used.
    """
    place = f"{where} ('{values['id']}')" if "id" in values else where
    entry = Entry(values, place, {"id", "title", "action", "when", *FLAGS, *TERMS})
    name = entry.text("id")
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"{place}: play id '{name}' is no name; write it like 'going_quiet'")
    when = tuple(
        tuple(Comparison.parse(part, place) for part in re.split(r"\s+or\s+", text))
        for text in entry.texts("when")
    )
    if not when:
        raise UsageError(
            f"{place}: 'when' is empty; what holds for everybody is the action of the stage"
        )
    return Play(
        name,
        entry.texts_by_language("title"),
        entry.texts_by_language("action") if "action" in values else {},
        when,
        **{name: entry.flag(name, default=True) for name in FLAGS},
        **_terms(entry),
    )


def _terms(entry: Entry) -> dict[str, Any]:
    """Return what a play says about costs and effects.

    Raises
    ------
    UsageError
        A value is negative, a share above 1, or the days are no whole number of at least 1.
    """
    terms: dict[str, Any] = {}
    for name in TERMS:
        value = entry.number(name)
        if value is None:
            continue
        if value < 0 or (name in _SHARES and value > 1):
            span = "between 0 and 1" if name in _SHARES else "not negative"
            raise UsageError(f"{entry.where}: '{name}' is {value:g}; it must be {span}")
        if name == "days" and (value < 1 or value != int(value)):
            raise UsageError(f"{entry.where}: 'days' is {value:g}; give whole days, 1 or more")
        terms[name] = int(value) if name == "days" else value
    return terms

"""The contract of what is learned from: customers, of whom a part was contacted at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import DataRefusedError, UsageError

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """Contacts drawn at random, and what came after; :func:`make_trial` checks it.

    Parameters
    ----------
    X
        Features as they were before the contact, shape (n, k); categories as integer codes, NaN
        where a value is unknown.
    names
        Name of each column of ``X``.
    contacted
        Who was contacted, shape (n,).
    propensity
        P(contact) by which each row was drawn, in (0, 1), shape (n,).
    y
        Outcome after the contact: 0 or 1, or money, shape (n,).
    customer
        Number of the customer of each row, shape (n,): the rows of a customer stay in one fold and
        are one observation to an interval.
    """

    X: Array
    names: tuple[str, ...]
    contacted: Flags
    propensity: Array
    y: Array
    customer: Integers

    def __len__(self) -> int:
        return len(self.y)

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    @property
    def share(self) -> float:
        """Mean propensity."""
        return float(self.propensity.mean())

    def take(self, rows: NDArray[np.bool_] | Integers) -> Trial:
        """Return the trial of these rows."""
        return Trial(
            self.X[rows],
            self.names,
            self.contacted[rows],
            self.propensity[rows],
            self.y[rows],
            self.customer[rows],
        )


def make_trial(
    X: ArrayLike,
    names: Sequence[str],
    contacted: ArrayLike,
    propensity: ArrayLike,
    y: ArrayLike,
    customer: ArrayLike | None = None,
) -> Trial:
    """Check a randomised contact and return it; rows that are identical all stay.

    Parameters
    ----------
    X
        Features before the contact, shape (n, k).
    names
        Name of each column of ``X``.
    contacted
        True or 1 for the contacted, shape (n,).
    propensity
        P(contact) by which the rows were drawn: one number, or shape (n,).
    y
        Outcome: 0 or 1, or money, shape (n,).
    customer
        Any ids, shape (n,); None where each row is a customer of its own.

    Raises
    ------
    UsageError
        The shapes do not agree, or a propensity is not strictly between 0 and 1.
    DataRefusedError
        There are no rows, an outcome or a feature is not finite, or one of the arms is empty.

    Examples
    --------
    >>> made = make_trial([[1.0], [2.0]], ["orders"], [1, 0], 0.5, [0, 1])
    >>> len(made), made.binary, made.share
    (2, True, 0.5)
    """
    outcome = np.asarray(y, dtype=np.float64)
    n = len(outcome) if outcome.ndim == 1 else -1
    if n == 0:
        raise DataRefusedError("the trial has no rows; give the customers of a plan that was sent")
    features = np.asarray(X, dtype=np.float64)
    arm = np.asarray(contacted)
    if n < 0 or features.ndim != 2 or len(features) != n or arm.shape != (n,):
        raise UsageError(
            f"X {features.shape}, contacted {arm.shape} and y {outcome.shape} do not belong "
            "together; give X as (n, k), contacted and y as (n,)"
        )
    if features.shape[1] != len(names) or len(set(names)) != len(names):
        raise UsageError(
            f"X has {features.shape[1]} columns and {len(set(names))} different names; name each "
            "column once"
        )
    if not np.isin(arm, (0, 1)).all():
        raise UsageError("contacted has values other than 0 and 1; give who was contacted as 0/1")
    ids = np.arange(n) if customer is None else np.asarray(customer)
    if ids.shape != (n,):
        raise UsageError(f"customer has the shape {ids.shape}, not ({n},); give one id per row")
    p = np.asarray(propensity, dtype=np.float64)
    if p.shape not in ((), (n,)):
        raise UsageError(f"propensity has the shape {p.shape}; give one number, or ({n},)")
    if not ((p > 0) & (p < 1)).all():
        bad = float(p[~((p > 0) & (p < 1))].flat[0]) if p.ndim else float(p)
        raise UsageError(
            f"a propensity is {bad:g}; only customers who could have been contacted and could have "
            "been left alone (0 < propensity < 1) show an effect: leave the others out"
        )
    _refuse_unusable(features, names, arm.astype(bool), outcome)
    number = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return Trial(
        features,
        tuple(names),
        arm.astype(bool),
        np.broadcast_to(p, (n,)).astype(np.float64),
        outcome,
        number.reshape(-1),
    )


def _refuse_unusable(features: Array, names: Sequence[str], arm: Flags, outcome: Array) -> None:
    if not np.isfinite(outcome).all():
        row = int(np.flatnonzero(~np.isfinite(outcome))[0])
        raise DataRefusedError(
            f"y is {outcome[row]} in row {row}; leave out customers whose outcome is not known yet"
        )
    infinite = np.isinf(features).any(axis=0)
    if infinite.any():
        name = names[int(np.flatnonzero(infinite)[0])]
        raise DataRefusedError(f"column '{name}' has an infinite value; give NaN for unknown")
    for count, who, other in (
        (int(arm.sum()), "contacted", "was left alone"),
        (int((~arm).sum()), "left alone", "was contacted"),
    ):
        if count == 0:
            raise DataRefusedError(
                f"none of the {len(arm)} customers was {who}: without a random hold-out, everybody "
                f"{other} and no effect can be learned; draw one with the next plan"
            )

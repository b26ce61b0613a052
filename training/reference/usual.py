"""What is usual: medians, mean effects and mean risk of groups of customers at the training.

Reasons compare a customer with them. The bundle stores them, so that a customer gets the same
reasons in a request of one row as in a batch of millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from stagecast.features.arrays import Array

AVERAGE = ""
"""The group of the active customers, which every effect is measured from."""

FEWEST_MEMBERS = 20
"""A group of fewer customers is compared with the active ones."""

SAMPLE = 5_000
"""About how many customers the mean effects are taken over."""

_SURE = 1e-9


@dataclass(frozen=True)
class Usual:
    """What is usual in groups of customers: :data:`AVERAGE`, and the stages with enough of them.

    Parameters
    ----------
    medians
        Group -> feature -> its median; NaN where nobody has a value.
    mean_effects
        Group -> mean effect of each family of reasons on the log odds of the risk, shape
        (families,).
    base
        Group -> log odds of its mean risk, so that the average that is told is the one that a
        reader works out of the scores.
    """

    medians: Mapping[str, Mapping[str, float]]
    mean_effects: Mapping[str, tuple[float, ...]]
    base: Mapping[str, float]

    def __bool__(self) -> bool:
        """Whether there was anybody to learn from."""
        return bool(self.base)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; a median that nobody knows is null."""
        return {
            "medians": {
                group: {name: None if np.isnan(value) else value for name, value in values.items()}
                for group, values in self.medians.items()
            },
            "mean_effects": {group: list(values) for group, values in self.mean_effects.items()},
            "base": dict(self.base),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Usual:
        """Read what :meth:`to_json` returns."""
        return cls(
            {
                group: {
                    name: np.nan if value is None else float(value)
                    for name, value in values.items()
                }
                for group, values in data["medians"].items()
            },
            {group: tuple(values) for group, values in data["mean_effects"].items()},
            {group: float(value) for group, value in data["base"].items()},
        )


@dataclass(frozen=True)
class Risk:
    """Risks of customers, whose means by group are told.

    Parameters
    ----------
    probability
        P(no purchase) or P(cancelled), shape (n,).
    group
        Group of each, shape (n,).
    active
        Who counts as active, shape (n,).
    """

    probability: Array
    group: NDArray[np.str_]
    active: NDArray[np.bool_]

    def base(self, group: str) -> float:
        """Return the log odds of the mean risk of a group, or of the active if there are any."""
        rows = self.active if group == AVERAGE else np.asarray(self.group == group)
        mean = float(self.probability[rows if rows.any() else slice(None)].mean())
        return float(logit(min(max(mean, _SURE), 1 - _SURE)))


NOTHING_USUAL = Usual({}, {}, {})
"""What is usual where there is nobody."""


def learn_usual(
    columns: Mapping[str, Array],
    names: Sequence[str],
    effects: Array,
    group: NDArray[np.str_],
    active: NDArray[np.bool_],
    risk: Risk,
) -> Usual:
    """Return what is usual of some customers.

    Parameters
    ----------
    columns
        Feature -> values, shape (rows,).
    names
        Features whose medians are needed.
    effects
        Effect of each family on the log odds, shape (rows, families).
    group
        Group of each row, shape (rows,).
    active
        Rows of :data:`AVERAGE`, however few they are, since texts speak of the active; where none
        is, all rows are.
    risk
        The risks whose means are told: of all customers, where the rows are a sample of them.
    """
    if not len(group):
        return NOTHING_USUAL
    masks = {AVERAGE: active if active.any() else np.ones(len(group), dtype=bool)}
    for name in np.unique(group):
        masks[str(name)] = np.asarray(group == name)
    masks = {
        name: mask
        for name, mask in masks.items()
        if name == AVERAGE or mask.sum() >= FEWEST_MEMBERS
    }
    return Usual(
        medians_of(columns, names, masks),
        {name: tuple(effects[mask].mean(axis=0).tolist()) for name, mask in masks.items()},
        {name: risk.base(name) for name in masks},
    )


def medians_of(
    columns: Mapping[str, Array], names: Sequence[str], masks: Mapping[str, NDArray[np.bool_]]
) -> dict[str, dict[str, float]]:
    """Return group -> feature -> median of its known values; NaN where none is known.

    Parameters
    ----------
    columns
        Feature -> values, shape (rows,).
    names
        The features.
    masks
        Group -> its rows, shape (rows,).
    """
    return {
        name: {feature: _median(columns[feature][mask]) for feature in names}
        for name, mask in masks.items()
    }


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan

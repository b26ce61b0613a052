"""Regressors of the user beside our models of the spend per order and of the orders.

    mean = share of ours * ours + share of each regressor * what it predicts, at least 0

They are fitted on the rows that our trees are fitted on: the customers who ordered within the
horizon of a past date. The shares have the least deviance on rows that nobody was fitted on, as the
power of the trees has. Means are pooled as they are and not in logs, so that a mean of unbiased
predictions is unbiased. Orders and spend per order remain the two parts that the expected spend and
the value are products of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.inactivity.own_members import (
    DIGITS,
    SAMPLE,
    fitted_clone,
    matrix_of,
)
from stagecast.training.learners.factor import SMALLEST, Factor
from stagecast.training.learners.fit_factor import (
    DEVIANCES,
    PULL,
    Objective,
    Rows,
    fit_trees,
    is_enough,
    log_factor,
    unseen,
)
from stagecast.training.member_settings import MemberSettings, OwnMember

if TYPE_CHECKING:
    from stagecast.training.value.model import ValueModel

PRIOR_SHARE: Final = 0.5
"""Share of the regressors together where few rows tell it."""
LEAST_SHARE: Final = 1e-4
PARTS: Final = {"orders": "orders", "spend": "spend per order"}


@dataclass(frozen=True)
class EstimatorMean:
    """A fitted regressor.

    Parameters
    ----------
    name
        Of the member.
    estimator
        The fitted regressor.
    columns
        Names of the columns that it was fitted on, in order.
    usual
        Median of each column on the rows of the fit, shape (n_columns,).
    fills
        Whether nulls become the median.
    first
        What is taken off its predictions: 1 of orders, whose first one is certain for those who
        order.
    fingerprint
        Hash of its predictions on a sample of the rows of the fit: what the version of a model
        knows of the regressor.
    """

    name: str
    estimator: Any
    columns: tuple[str, ...]
    usual: tuple[float, ...]
    fills: bool
    first: float = 0.0
    fingerprint: str = ""

    def mean(self, columns: Mapping[str, Array]) -> Array:
        """Return what it expects, shape (rows,), at least 0.

        Raises
        ------
        UsageError
            It predicted another shape, or values that are not finite.
        """
        matrix = matrix_of(columns, self.columns, self.usual, fills=self.fills)
        frame = pd.DataFrame(matrix, columns=list(self.columns))
        predicted = np.asarray(self.estimator.predict(frame), dtype=np.float64)
        if predicted.shape != (len(matrix),) or not np.isfinite(predicted).all():
            raise UsageError(
                f"member '{self.name}': predict returned shape {predicted.shape} or values that "
                f"are not finite for {len(matrix)} rows"
            )
        return np.maximum(predicted - self.first, 0.0)

    def with_fingerprint(self, columns: Mapping[str, Array]) -> EstimatorMean:
        """Return it with the hash of what it predicts for a sample of rows."""
        step = max(1, len(columns[self.columns[0]]) // SAMPLE)
        sample = {name: columns[name][::step][:SAMPLE] for name in self.columns}
        means = np.round(self.mean(sample), DIGITS) + 0.0  # + 0: no negative zero
        return replace(self, fingerprint=hashlib.sha256(means.tobytes()).hexdigest())

    def to_json(self) -> dict[str, Any]:
        """Return everything but the regressor as plain data."""
        return {
            "columns": list(self.columns),
            "usual": [None if np.isnan(value) else value for value in self.usual],
            "fills": self.fills,
            "first": self.first,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any], estimator: Any) -> EstimatorMean:
        """Read what :meth:`to_json` returns, with the regressor."""
        return cls(
            name,
            estimator,
            tuple(data["columns"]),
            tuple(np.nan if value is None else float(value) for value in data["usual"]),
            bool(data["fills"]),
            float(data["first"]),
            str(data["fingerprint"]),
        )


@dataclass(frozen=True)
class OwnRegressors:
    """Regressors of the user with their shares of an expectation.

    Parameters
    ----------
    members
        Name -> fitted regressor.
    weights
        Name -> share; ours has the rest of 1. Both are held by name in the order in which a bundle
        stores them, since sums of floats depend on it.
    scale
        What brings ours to the total of the rows of the fit, as the regressors are.
    """

    members: Mapping[str, EstimatorMean]
    weights: Mapping[str, float]
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", dict(sorted(self.members.items())))
        object.__setattr__(self, "weights", dict(sorted(self.weights.items())))

    def mixed(self, expected: Array, columns: Mapping[str, Array]) -> Array:
        """Return the expectation with the shares of the regressors, shape (rows,)."""
        ours = (1.0 - sum(self.weights.values())) * self.scale * expected
        return np.asarray(
            ours + sum(self.weights[n] * member.mean(columns) for n, member in self.members.items())
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the regressors as plain data."""
        return {
            "scale": self.scale,
            "weights": dict(self.weights),
            "members": {name: member.to_json() for name, member in self.members.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], estimators: Mapping[str, Any]) -> OwnRegressors:
        """Read what :meth:`to_json` returns, with the regressors by name.

        Raises
        ------
        KeyError
            One of them is missing.
        """
        return cls(
            {
                str(name): EstimatorMean.from_json(name, part, estimators[name])
                for name, part in data["members"].items()
            },
            {str(name): float(weight) for name, weight in data["weights"].items()},
            float(data["scale"]),
        )


def with_own_regressors(
    factor: Factor,
    settings: Mapping[str, OwnMember],
    rows: Rows,
    earlier: Rows | None,
    later: Rows | None,
    objective: Objective,
    seed: int,
    first: float = 0.0,
) -> Factor:
    """Return a factor of level 1 with the shares that regressors of the user deserve.

    Parameters
    ----------
    factor
        As :func:`stagecast.training.learners.fit_factor.fit_factor` returns it.
    settings
        Name -> member of the user.
    rows, earlier, later, objective, seed
        As the factor was fitted with.
    first
        What the target has more than the outcome: 1 of orders.

    Raises
    ------
    UsageError
        A regressor cannot be fitted, or predicts no finite numbers.
    """
    if not settings or not is_enough(rows):
        return factor
    settings = dict(sorted(settings.items()))  # as a bundle has them: shares depend on it

    def mean_of(name: str, inside: Rows, outside: Rows) -> Array:
        return _fit(name, settings[name].estimator, inside, seed, first).mean(outside.columns)

    def ours_of(inside: Rows, outside: Rows) -> Array:
        correction = np.zeros(len(outside.outcome))
        if factor.power > 0:
            correction = log_factor(fit_trees(inside, objective, seed), outside)
        return np.asarray(outside.start * np.exp(factor.power * correction))

    judged, ours = unseen(rows, earlier, later, ours_of)
    columns = [ours * _ratio(judged, ours)]
    for name in settings:
        _, mean = unseen(rows, earlier, later, lambda *parts, name=name: mean_of(name, *parts))
        columns.append(mean)
    shares = _shares(judged, np.column_stack(columns), objective)
    weights = {
        name: float(share)
        for name, share in zip(settings, shares[1:], strict=True)
        if share > LEAST_SHARE
    }
    if not weights:
        return factor
    members = {name: _fit(name, settings[name].estimator, rows, seed, first) for name in weights}
    members = {name: member.with_fingerprint(rows.columns) for name, member in members.items()}
    scale = _ratio(rows, factor.times(rows.start, rows.columns))
    return replace(factor, own=OwnRegressors(members, weights, scale))


def _fit(name: str, estimator: Any, rows: Rows, seed: int, first: float) -> EstimatorMean:
    fitted, usual, fills = fitted_clone(
        name, estimator, rows.columns, rows.names, rows.outcome + first, seed
    )
    return EstimatorMean(name, fitted, tuple(rows.names), usual, fills, first)


def _ratio(rows: Rows, expected: Array) -> float:
    """Return the weighted total of what came over that of an expectation; 1 where either is 0."""
    return replace(rows, expected=expected).ratio


def _shares(rows: Rows, means: Array, objective: Objective) -> Array:
    """Return the shares of columns of means with the least deviance at equal totals.

    All is ours where the regressors gain nothing.

    Parameters
    ----------
    means
        Ours first, shape (rows, 1 + regressors).
    """
    from scipy.optimize import minimize

    weight, deviance = rows.weight / rows.weight.sum(), DEVIANCES[objective]
    observed, count = float(weight @ rows.outcome), means.shape[1]
    prior = np.r_[1.0 - PRIOR_SHARE, np.full(count - 1, PRIOR_SHARE / (count - 1))]
    alone = np.eye(count)[0]

    def loss(shares: Array) -> float:
        mean = np.maximum(means @ shares, SMALLEST)
        mean = mean * (observed / float(weight @ mean) if observed > 0 else 1.0)
        return float(weight @ deviance(rows.outcome, np.maximum(mean, SMALLEST)))

    pull = PULL / len(means)
    best: Any = minimize(  # type: ignore[call-overload]  # its types know no dict of a constraint
        lambda shares: loss(shares) + pull * float(((shares - prior) ** 2).sum()),
        prior,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints=[{"type": "eq", "fun": lambda shares: float(shares.sum() - 1.0)}],
    )
    clipped = np.clip(best.x, 0.0, 1.0)
    shares: Array = clipped / clipped.sum()
    return shares if loss(shares) < loss(alone) else alone


def regressor_notes(model: ValueModel, members: MemberSettings) -> list[str]:
    """Return which regressors of the user take no part, and why."""
    notes = []
    for part, words in PARTS.items():
        settings = getattr(members, part)
        share = getattr(model, part).own
        if idle := [n for n in settings if share is None or n not in share.weights]:
            notes.append(
                f"Members of your own for the {words} ({', '.join(idle)}) take no part: they need "
                "300 customers who ordered after a past date, and to predict better than ours on "
                "rows that they were not fitted on."
            )
    return notes

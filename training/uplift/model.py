"""A learner of uplift as it is evaluated: boosted trees or a regression, and a formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import row_sums
from stagecast.training.uplift.design import UpliftDesign
from stagecast.training.uplift.rules import Line

CONTACT = "contact"
RESPONSE = "response"


@dataclass(frozen=True)
class Interaction:
    """Effect of a contact on the linear predictor: ``intercept + design(x) . weights``.

    Parameters
    ----------
    design
        Columns made of the features.
    intercept
        Effect at the mean of the columns.
    weights
        Change of the effect with each column, shape (columns,).
    level
        What is added to the expected linear predictor, whoever is contacted. It matters where the
        effect is large: the mean of two probabilities has other log odds than their middle.
    """

    design: UpliftDesign
    intercept: float
    weights: Array
    level: float

    def effect(self, X: Array) -> Array:
        """Return the effect on the linear predictor, shape (n,)."""
        if not len(self.weights):
            return np.full(len(X), self.intercept)
        return self.intercept + row_sums(self.design.matrix(X), self.weights)

    def to_json(self) -> dict[str, Any]:
        """Return the interaction as plain JSON values."""
        return {
            "design": self.design.to_json(),
            "intercept": self.intercept,
            "weights": self.weights.tolist(),
            "level": self.level,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Interaction:
        """Read what :meth:`to_json` returns; raises ValueError or KeyError on anything else."""
        design = UpliftDesign.from_json(data["design"])
        weights = np.array(data["weights"], dtype=np.float64)
        if weights.shape != design.mean.shape:
            raise ValueError("an interaction has one weight for each column of its design")
        return cls(design, float(data["intercept"]), weights, float(data["level"]))


@dataclass(frozen=True)
class UpliftModel:
    """A fitted learner.

    Parameters
    ----------
    kind
        ``S``, ``T``, ``X``, ``R``, ``DR``, ``linear``, or ``response``.
    names
        Features in the order of the columns of ``X``.
    binary
        Whether the outcome is 0 or 1, so that the trees of outcomes give log odds.
    share
        Mean propensity of the trial.
    trees
        Boosted ensembles by what they predict.
    interaction
        Of the linear learner.
    line
        From the score to an effect that can be compared with a cost; None where the score is that
        effect itself.
    """

    kind: str
    names: tuple[str, ...]
    binary: bool
    share: float
    trees: Mapping[str, Boosted]
    interaction: Interaction | None = None
    line: Line | None = field(default=None)

    def score(self, X: ArrayLike, threads: int = 0) -> Array:
        """Return what customers are ranked by, shape (n,).

        That is the effect of a contact as the learner gives it, and for ``response`` the expected
        outcome after a contact, in the unit of the outcome.

        Parameters
        ----------
        X
            Features before the contact, shape (n, k), in the order of ``names``.
        threads
            Of LightGBM; 0 for all cores. The result does not depend on it.

        Raises
        ------
        UsageError
            ``X`` does not have one column for each name.
        """
        features = np.asarray(X, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise UsageError(
                f"X has the shape {features.shape}; the model needs (n, {len(self.names)}): "
                f"{', '.join(self.names)}"
            )
        if not len(features):
            return np.zeros(0)
        return FORMULAS[self.kind](self, features, threads)

    def effect(self, X: ArrayLike, threads: int = 0) -> Array:
        """Return the effect of a contact in the unit of the outcome, shape (n,).

        The score on the line that :mod:`.calibration` drew; the score itself without one. See
        :meth:`score`.
        """
        score = self.score(X, threads)
        return score if self.line is None else self.line.effect(score)

    def outcome(self, part: str, columns: Mapping[str, Array], threads: int) -> Array:
        """Return the expected outcome by one of the ensembles, shape (n,)."""
        return mean_outcome(self.trees[part], columns, self.binary, threads)


def named_columns(X: Array, **more: Array) -> dict[str, Array]:
    """Return the columns of a feature matrix by names that any text file can hold.

    The user's own names stand in :attr:`UpliftModel.names`; LightGBM refuses some of them.
    """
    return {**{f"x{k}": X[:, k] for k in range(X.shape[1])}, **more}


def mean_outcome(
    trees: Boosted, columns: Mapping[str, Array], binary: bool, threads: int = 0
) -> Array:
    """Return the expected outcome of each row, shape (n,), in the unit of the outcome."""
    raw = trees.raw(columns, threads)
    return np.asarray(expit(raw)) if binary else raw


def _single(model: UpliftModel, X: Array, threads: int) -> Array:
    n = len(X)
    contacted, alone = (
        model.outcome("joint", named_columns(X, **{CONTACT: np.full(n, w)}), threads)
        for w in (1.0, 0.0)
    )
    return contacted - alone


def _two(model: UpliftModel, X: Array, threads: int) -> Array:
    columns = named_columns(X)
    contacted = model.outcome("contacted", columns, threads)
    return contacted - model.outcome("alone", columns, threads)


def _crossed(model: UpliftModel, X: Array, threads: int) -> Array:
    columns = named_columns(X)
    by_alone = model.trees["effect_alone"].raw(columns, threads)
    by_contacted = model.trees["effect_contacted"].raw(columns, threads)
    return model.share * by_alone + (1 - model.share) * by_contacted


def _direct(model: UpliftModel, X: Array, threads: int) -> Array:
    return model.trees["effect"].raw(named_columns(X), threads)


def _response(model: UpliftModel, X: Array, threads: int) -> Array:
    return model.outcome("contacted", named_columns(X), threads)


def _linear(model: UpliftModel, X: Array, threads: int) -> Array:
    if model.interaction is None:
        raise UsageError("the linear learner has no interaction; fit it again")
    on_predictor = model.interaction.effect(X)
    if not model.binary:
        return on_predictor
    base = model.trees["base"].raw(named_columns(X), threads) + model.interaction.level
    return effect_on_probability(base, on_predictor, np.full(len(X), model.share))


def effect_on_probability(base: Array, on_log_odds: Array, share: Array) -> Array:
    """Return the change of a probability, shape (n,), by an effect on its log odds.

    ``base`` holds the log odds of a customer who is contacted with the probability ``share``.
    """
    contacted = expit(base + (1 - share) * on_log_odds)
    return np.asarray(contacted - expit(base - share * on_log_odds))


FORMULAS: Mapping[str, Callable[[UpliftModel, Array, int], Array]] = {
    RESPONSE: _response,
    "S": _single,
    "T": _two,
    "X": _crossed,
    "R": _direct,
    "DR": _direct,
    "linear": _linear,
}
"""How each kind turns its parts into a score."""

PARTS: Mapping[str, tuple[str, ...]] = {
    RESPONSE: ("contacted",),
    "S": ("joint",),
    "T": ("alone", "contacted"),
    "X": ("effect_alone", "effect_contacted"),
    "R": ("effect",),
    "DR": ("effect",),
    "linear": ("base",),
}
"""The ensembles that each kind has; the linear learner of money needs no ``base``."""

UPLIFT = tuple(kind for kind in FORMULAS if kind != RESPONSE)
"""The learners of an effect, the simplest first."""

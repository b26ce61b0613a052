"""Fitted regressions on a design: their predictions, and the effect of each column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit, softmax

from stagecast.features.arrays import Array
from stagecast.training.learners.design import Design


def row_sums(design: Array, weights: Array) -> Array:
    """Return the design times the weights, shape (rows,), to the same bits in any batch.

    A BLAS product adds in an order that depends on the number of rows, and einsum in one that
    depends on how the numbers stand in memory.
    """
    contiguous = (np.ascontiguousarray(design), np.ascontiguousarray(weights))
    return np.asarray(np.einsum("ij,j->i", *contiguous))


@dataclass(frozen=True)
class Linear:
    """A regression on a design: ``intercept`` plus the design times ``weights``."""

    design: Design
    intercept: float
    weights: Array

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the linear predictor, shape (rows,); ``threads`` is ignored."""
        if not self.design.terms:
            return np.full(len(next(iter(columns.values()))), self.intercept)
        return np.asarray(self.intercept + row_sums(self.design.matrix(columns), self.weights))

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column on the linear predictor, shape (rows,)."""
        if not self.design.terms:
            return
        parts = self.design.matrix(columns) * self.weights
        start = 0
        for term in self.design.terms:
            yield term.column, parts[:, start : start + term.width].sum(axis=1)
            start += term.width

    def to_json(self) -> dict[str, Any]:
        return {
            "design": self.design.to_json(),
            "intercept": self.intercept,
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        design, weights = (
            Design.from_json(data["design"]),
            np.array(data["weights"], dtype=np.float64),
        )
        if set(data) != {"design", "intercept", "weights"} or weights.shape != design.mean.shape:
            raise ValueError(
                "a regression has a design, an intercept and a weight for each column of the design"
            )
        if not np.isfinite([float(data["intercept"]), *weights, *design.mean, *design.scale]).all():
            raise ValueError("a weight of the regression is no finite number")
        return cls(design, float(data["intercept"]), weights)


class LogisticModel(Linear):
    """A fitted binary logistic model; its margin is the log odds."""

    def probability(self, columns: Mapping[str, Array]) -> Array:
        """Return the probability, shape (rows,)."""
        return np.asarray(expit(self.margin(columns)))


@dataclass(frozen=True)
class MultinomialModel:
    """A fitted multinomial logistic model over ``classes``, positions of the scheme's stages."""

    design: Design
    classes: tuple[int, ...]
    intercepts: Array
    weights: Array

    def probability(self, columns: Mapping[str, Array]) -> Array:
        """Return P(class), shape (rows, classes)."""
        rows = len(next(iter(columns.values())))
        margins = np.tile(self.intercepts, (rows, 1))
        if self.design.terms:
            design = self.design.matrix(columns)
            margins = margins + np.column_stack([row_sums(design, w) for w in self.weights])
        return np.asarray(softmax(margins, axis=1))

    def to_json(self) -> dict[str, Any]:
        return {
            "design": self.design.to_json(),
            "classes": list(self.classes),
            "intercepts": self.intercepts.tolist(),
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MultinomialModel:
        return cls(
            Design.from_json(data["design"]),
            tuple(data["classes"]),
            np.array(data["intercepts"], dtype=np.float64),
            np.array(data["weights"], dtype=np.float64),
        )

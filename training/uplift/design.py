"""Columns of the linear learner: standardised numbers, and one column per level of a few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array

MOST_LEVELS = 8


@dataclass(frozen=True)
class UpliftDesign:
    """How a feature matrix becomes the columns of a regression, all of mean 0.

    Parameters
    ----------
    source
        Column of ``X`` of each column of the design.
    level
        Value that the column indicates; None for a number.
    mean, scale
        Subtracted, then divided by, shape (columns,).
    """

    source: tuple[int, ...]
    level: tuple[float | None, ...]
    mean: Array
    scale: Array

    def matrix(self, X: Array) -> Array:
        """Return the columns side by side, shape (n, columns); an unknown value counts as mean."""
        return (self._raw(X) - self.mean) / self.scale

    def _raw(self, X: Array) -> Array:
        raw = np.empty((len(X), len(self.source)))
        for k, (source, level) in enumerate(zip(self.source, self.level, strict=True)):
            column = X[:, source]
            raw[:, k] = column if level is None else column == level
            raw[np.isnan(column), k] = self.mean[k]
        return raw

    def to_json(self) -> dict[str, Any]:
        """Return the design as plain JSON values."""
        return {
            "source": list(self.source),
            "level": list(self.level),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UpliftDesign:
        """Read what :meth:`to_json` returns; raises ValueError or KeyError on anything else."""
        design = cls(
            tuple(int(k) for k in data["source"]),
            tuple(None if level is None else float(level) for level in data["level"]),
            np.array(data["mean"], dtype=np.float64),
            np.array(data["scale"], dtype=np.float64),
        )
        count = len(design.source)
        if {len(design.level), *design.mean.shape, *design.scale.shape} != {count}:
            raise ValueError("the parts of the design have different lengths")
        return design


def learn_design(X: Array) -> UpliftDesign:
    """Return the design of a feature matrix, shape (n, k).

    A column of at most ``MOST_LEVELS`` different values has a column for each of them (both of
    two, so that neither is special to the penalty); a constant column has none.
    """
    source: list[int] = []
    levels: list[float | None] = []
    for k in range(X.shape[1]):
        values = np.unique(X[~np.isnan(X[:, k]), k])
        if len(values) < 2:
            continue
        chosen: list[float | None] = (
            [float(v) for v in values] if len(values) <= MOST_LEVELS else [None]
        )
        source += [k] * len(chosen)
        levels += chosen
    zeros = UpliftDesign(tuple(source), tuple(levels), np.zeros(len(source)), np.ones(len(source)))
    raw = zeros._raw(X)
    for column, k in enumerate(source):
        raw[np.isnan(X[:, k]), column] = np.nan
    mean = np.nanmean(raw, axis=0) if source else np.zeros(0)
    scale = np.nanstd(raw, axis=0) if source else np.ones(0)
    # a rare level would otherwise weigh as much as a common one
    is_level = np.array([level is not None for level in levels], dtype=bool)
    scale = np.where(is_level, 0.5, scale)
    return UpliftDesign(zeros.source, zeros.level, mean, scale)

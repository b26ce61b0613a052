"""Boosted ensembles stored as LightGBM's text and evaluated on named columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.c_trees import CONTRIBUTIONS, RAW, LoadedTrees, TreesError
from stagecast.training.learners.single_row import SingleRow, single_row
from stagecast.training.learners.tree_text import check_trees

if TYPE_CHECKING:
    import lightgbm


def cores() -> int:
    """Return the number of cores that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


@dataclass(frozen=True)
class Boosted:
    """A boosted ensemble: LightGBM's text, and the names of its columns in order."""

    text: str
    columns: tuple[str, ...]

    @classmethod
    def read(cls, text: str, columns: Sequence[str]) -> Boosted:
        """Return an ensemble that was stored, which may have been changed since.

        Raises
        ------
        ValueError
            LightGBM did not write the text, or not on these columns.
        """
        check_trees(text, columns)
        return cls(text, tuple(columns))

    def loaded(self) -> Boosted:
        """Return the ensemble, which LightGBM has read by then.

        Raises
        ------
        ValueError
            LightGBM does not read the text.
        """
        try:
            _ = self.parsed
        except TreesError as error:
            raise ValueError(f"trees: LightGBM does not read them: {error}") from error
        return self

    @cached_property
    def parsed(self) -> LoadedTrees:
        """The ensemble as LightGBM's C library loads it, which predicts."""
        return LoadedTrees(self.text)

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The ensemble as LightGBM's Python package loads it, for what trainings ask of it."""
        import lightgbm  # a server that only predicts needs none of what it imports

        return lightgbm.Booster(model_str=self.text)

    def names_in_text(self) -> tuple[str, ...]:
        """Return the names of the columns that the text has."""
        head, mark = self.text.partition("\n\n")[0], "feature_names="
        names = [line for line in head.split("\n") if line.startswith(mark)]
        return tuple(names[0].removeprefix(mark).split(" ")) if names else ()

    def first(self, count: int) -> Boosted:
        """Return the ensemble of the first ``count`` boosting rounds."""
        return Boosted(self.booster.model_to_string(num_iteration=count), self.columns)

    def gains(self) -> Array:
        """Return the total gain of the splits on each column, shape (columns,)."""
        return np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)

    def matrix(self, columns: Mapping[str, Array]) -> Array:
        """Return the columns of training side by side, shape (rows, columns)."""
        # column-major, as the columns are in memory: a copy to row-major costs more than LightGBM
        # gains from it
        return np.array([columns[name] for name in self.columns], dtype=np.float64).T

    def raw(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the raw scores (log odds, log means, or one column per class)."""
        if self._is_one_row(columns) and self._raw_of_row is not None:
            of_row = self._raw_of_row(self._row(columns))
            return of_row if len(of_row) == 1 else of_row[None]
        # rows are independent, so that all cores can be used: no thread waits as in a training
        return self.parsed.predict(self.matrix(columns), RAW, threads)

    def raw_of_row(self, row: Sequence[float]) -> Array:
        """Return the raw scores of one row, shape (classes,), the same as :meth:`raw` gives.

        Parameters
        ----------
        row
            Values of :attr:`columns`.
        """
        if self._raw_of_row is not None:
            return self._raw_of_row(row)
        return self.parsed.predict(np.array([row], dtype=np.float64), RAW, 1).ravel()

    @cached_property
    def _raw_of_row(self) -> SingleRow | None:
        return single_row(self.parsed, len(self.columns), RAW)

    @cached_property
    def _contributions_of_row(self) -> SingleRow | None:
        return single_row(self.parsed, len(self.columns), CONTRIBUTIONS)

    def _is_one_row(self, columns: Mapping[str, Array]) -> bool:
        return bool(self.columns) and len(columns[self.columns[0]]) == 1

    def _row(self, columns: Mapping[str, Array]) -> Array:
        row = np.concatenate([columns[name] for name in self.columns])
        return np.asarray(row, dtype=np.float64)

    def __getstate__(self) -> dict[str, Any]:
        # what LightGBM has loaded belongs to this process, and is loaded again from the text
        return {"text": self.text, "columns": self.columns}

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds as a member of a pool, shape (rows,); see :meth:`raw`."""
        return self.raw(columns, threads)

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column on the raw score, shape (rows,)."""
        contributions = self.contributions(columns, threads)
        for k, column in enumerate(self.columns):
            yield column, contributions[:, k]

    def contributions_of_row(self, row: Sequence[float]) -> Array:
        """Return :meth:`contributions` of one row, shape (columns + 1,).

        Parameters
        ----------
        row
            Values of :attr:`columns`.
        """
        if self._contributions_of_row is not None:
            return self._contributions_of_row(row)
        return self.parsed.predict(np.array([row], dtype=np.float64), CONTRIBUTIONS, 1).ravel()

    def contributions(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the contribution of each column to the raw score, shape (rows, columns + 1).

        The last column is the base value.

        Source: Lundberg et al. (2020), "From local explanations to global understanding with
        explainable AI for trees".
        """
        if self._is_one_row(columns) and self._contributions_of_row is not None:
            return self._contributions_of_row(self._row(columns))[None]
        return self.parsed.predict(self.matrix(columns), CONTRIBUTIONS, threads)

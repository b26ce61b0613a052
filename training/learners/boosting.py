"""LightGBM with its columns named: fitted on a dictionary of columns, kept as LightGBM's text,
evaluated by name.

``Booster.predict`` does not check column names; here the columns are always picked by the names of
training, so that swapped or missing columns cannot pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import lightgbm
import numpy as np

from stagecast.features.arrays import Array

COMMON = {
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "learning_rate": 0.03,
    "num_leaves": 6,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
}


def cores() -> int:
    """Return the number of cores that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


def all_but_one() -> int:
    """Return the number of threads for work on many rows: every core but one.

    LightGBM waits for its slowest thread after each step; where another program holds one of the
    cores, each of some thousand waits lasts a time slice, and a training that takes a second takes
    minutes.
    """
    return max(1, cores() - 1)


@dataclass(frozen=True)
class Boosted:
    """A boosted ensemble as LightGBM's text, with the names of its columns in order."""

    text: str
    columns: tuple[str, ...]

    @cached_property
    def booster(self) -> lightgbm.Booster:
        return lightgbm.Booster(model_str=self.text)

    def first(self, count: int) -> Boosted:
        """Return the ensemble of its first trees, ``count`` boosting rounds of them."""
        return Boosted(self.booster.model_to_string(num_iteration=count), self.columns)

    def gains(self) -> Array:
        """Return how much the splits on each column improved the fit, shape (columns,)."""
        return np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)

    def matrix(self, columns: Mapping[str, Array]) -> Array:
        """Return the columns of training side by side, shape (rows, columns)."""
        # column after column, as they lie in memory: to weave them costs more than LightGBM saves
        # by it
        return np.array([columns[name] for name in self.columns], dtype=np.float64).T

    def raw(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the raw scores (log odds, log means, or one column per class)."""
        # rows are independent, so all cores can take some: none waits for another as in a training
        result = self.booster.predict(self.matrix(columns), raw_score=True, num_threads=threads)
        return np.asarray(result, dtype=np.float64)

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds as a member of a pool, shape (rows,); see :meth:`raw`."""
        return self.raw(columns, threads)

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield what each column adds to the raw score, shape (rows,)."""
        contributions = self.contributions(columns, threads)
        for k, column in enumerate(self.columns):
            yield column, contributions[:, k]

    def contributions(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return each column's share of the raw score, shape (rows, columns + 1); the last is the
        base value.

        Source: Lundberg et al. (2020), "From local explanations to global understanding with
        explainable AI for trees".
        """
        result = self.booster.predict(self.matrix(columns), pred_contrib=True, num_threads=threads)
        return np.asarray(result, dtype=np.float64)


def fit(
    columns: Mapping[str, Array],
    names: Sequence[str],
    target: Array,
    weight: Array,
    objective: str,
    *,
    trees: int,
    seed: int,
    classes: int | None = None,
    start: Array | None = None,
    **parameters: float,
) -> Boosted:
    """Fit an ensemble.

    Parameters
    ----------
    columns, names
        Feature name -> values, and which of them to use, in order.
    target, weight
        One per row.
    objective
        ``binary``, ``multiclass`` (give ``classes``), ``poisson``, ``gamma``, ...
    trees
        Boosting rounds.
    start
        Raw score that the ensemble begins from, one per row; :meth:`Boosted.raw` does not include
        it.
    parameters
        Those of LightGBM that stand instead of ours.
    """
    rows = len(target)
    chosen = {
        **COMMON,
        "objective": objective,
        "seed": seed,
        "num_threads": all_but_one(),
        "min_data_in_leaf": int(np.clip(rows / 250, 10, 400)),
        **parameters,
    }
    if classes is not None:
        chosen["num_class"] = classes
    data = lightgbm.Dataset(
        np.column_stack([columns[name] for name in names]),
        label=target,
        weight=weight,
        init_score=start,
        feature_name=list(names),
        free_raw_data=True,
        params={"max_bin": chosen["max_bin"], "feature_pre_filter": False, "verbosity": -1},
    )
    booster = lightgbm.train(chosen, data, num_boost_round=trees)
    return Boosted(booster.model_to_string(), tuple(names))

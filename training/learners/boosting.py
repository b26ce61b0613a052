"""LightGBM with named columns: fitted on a dictionary of columns, stored as LightGBM's text.

``Booster.predict`` does not check column names; here the columns are always selected by the names
of training, so that swapped or missing columns cannot go unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import lightgbm
import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted, cores

_THREADS = re.compile(r"\[num_threads: \d+\]")

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


def training_threads() -> int:
    """Return the number of threads for a training: all cores but one.

    LightGBM waits for its slowest thread after each step. Where another program occupies one of the
    cores, each of some thousand waits lasts a time slice, and a training of a second takes minutes.
    """
    return max(1, cores() - 1)


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
    """Fit a boosted ensemble.

    Parameters
    ----------
    columns
        Feature name -> values, shape (rows,).
    names
        The columns to use, in order.
    target, weight
        Outcomes and their weights, shape (rows,).
    objective
        ``binary``, ``multiclass`` (with ``classes``), ``poisson``, ``gamma``, ...
    trees
        Number of boosting rounds.
    seed
        Seed of LightGBM.
    classes
        Number of classes of ``multiclass``.
    start
        Raw score that boosting starts from, shape (rows,); :meth:`Boosted.raw` does not include it.
    parameters
        LightGBM parameters that override those in ``COMMON``.
    """
    rows = len(target)
    settings = {
        **COMMON,
        "objective": objective,
        "seed": seed,
        "num_threads": training_threads(),
        "min_data_in_leaf": int(np.clip(rows / 250, 10, 400)),
        **parameters,
    }
    if classes is not None:
        settings["num_class"] = classes
    data = lightgbm.Dataset(
        np.column_stack([columns[name] for name in names]),
        label=target,
        weight=weight,
        init_score=start,
        feature_name=list(names),
        free_raw_data=True,
        params={"max_bin": settings["max_bin"], "feature_pre_filter": False, "verbosity": -1},
    )
    # otherwise it would be written and read once more before it is returned
    booster = lightgbm.train(settings, data, num_boost_round=trees, keep_training_booster=True)
    # the number of threads changes no tree, and must not change the text
    text = _THREADS.sub("[num_threads: 1]", booster.model_to_string())
    return Boosted(text, tuple(names))

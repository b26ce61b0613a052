"""LightGBM with its columns named: fitted on a dictionary of columns, kept as LightGBM's text,
evaluated by name.

``Booster.predict`` does not check column names; here the columns are always picked by the names of
training, so that swapped or missing columns cannot pass.
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


def all_but_one() -> int:
    """Return the number of threads for work on many rows: every core but one.

    LightGBM waits for its slowest thread after each step; where another program holds one of the
    cores, each of some thousand waits lasts a time slice, and a training that takes a second takes
    minutes.
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
    # the number of threads changes no tree, and must not change the text
    text = _THREADS.sub("[num_threads: 1]", booster.model_to_string())
    return Boosted(text, tuple(names))

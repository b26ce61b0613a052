"""Trees that LightGBM writes are read, whatever their splits."""

from __future__ import annotations

import re

import lightgbm
import numpy as np
import pytest

from stagecast.training.learners.tree_text import check_trees


def test_a_split_between_the_known_and_the_unknown_is_read() -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(600, 2))
    X[random.uniform(size=600) < 0.4, 0] = np.nan
    y = np.isnan(X[:, 0]) + random.normal(0, 0.1, 600)
    parameters = {"num_leaves": 4, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(X, y, feature_name=["a", "b"])
    text = lightgbm.train(parameters, data, num_boost_round=20).model_to_string()
    thresholds = [line for line in text.splitlines() if line.startswith("threshold=")]
    assert any("inf" in line for line in thresholds)
    check_trees(text, ["a", "b"])
    with pytest.raises(ValueError, match="threshold"):
        check_trees(re.sub(r"(?<=[= ])inf\b", "nan", text), ["a", "b"])

"""One row by LightGBM's C function: the bits of Booster.predict, or none at all."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import pytest

from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.c_trees import CONTRIBUTIONS, RAW, LoadedTrees, TreesError, library
from stagecast.training.learners.single_row import single_row

NAMES = tuple(f"x{k}" for k in range(7))


@pytest.fixture(scope="module", params=["binary", "poisson", "multiclass"])
def boosted(request: pytest.FixtureRequest) -> Boosted:
    draw = np.random.default_rng(4)
    X = draw.normal(size=(800, len(NAMES)))
    X[draw.random(X.shape) < 0.1] = np.nan
    signal = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) ** 2
    y = np.digitize(signal, [0.5, 1.5]) if request.param == "multiclass" else signal > 0.7
    parameters: dict[str, Any] = {"objective": request.param, "verbose": -1, "num_threads": 1}
    if request.param == "multiclass":
        parameters["num_class"] = 3
    data = lightgbm.Dataset(X, label=y.astype(np.float64))
    return Boosted(lightgbm.train(parameters, data, 20).model_to_string(), NAMES)


def rows(count: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(8)
    columns = {name: draw.normal(scale=3.0, size=count) for name in NAMES}
    columns["x0"][::5] = np.nan
    return columns


def test_a_row_alone_has_the_bits_of_the_row_among_many(boosted: Boosted) -> None:
    columns = rows(60)
    raw, contributions = boosted.raw(columns, 1), boosted.contributions(columns, 1)
    assert boosted._raw_of_row is not None
    assert boosted._contributions_of_row is not None
    for row in range(60):
        alone = {name: values[row : row + 1] for name, values in columns.items()}
        assert boosted.raw(alone).tobytes() == raw[row : row + 1].tobytes()
        assert boosted.raw(alone).shape == raw[row : row + 1].shape
        assert boosted.contributions(alone).tobytes() == contributions[row : row + 1].tobytes()
        assert boosted.contributions(alone).shape == contributions[row : row + 1].shape


def test_the_c_library_predicts_the_bits_of_the_python_package(boosted: Boosted) -> None:
    matrix = boosted.matrix(rows(60))
    for kind, options in ((RAW, {"raw_score": True}), (CONTRIBUTIONS, {"pred_contrib": True})):
        expected = boosted.booster.predict(matrix, num_threads=1, **options)
        for layout in (np.asfortranarray, np.ascontiguousarray, lambda a: np.repeat(a, 2, 0)[::2]):
            predicted = boosted.parsed.predict(layout(matrix), kind, 1)
            assert predicted.shape == expected.shape
            assert predicted.tobytes() == expected.tobytes()


def test_the_text_names_the_columns(boosted: Boosted) -> None:
    assert boosted.names_in_text() == tuple(boosted.booster.feature_name())


def test_what_lightgbm_says_of_a_text_is_the_error() -> None:
    with pytest.raises(TreesError, match="number of classes"):
        LoadedTrees("no trees")


def test_threads_that_ask_at_once_each_get_their_own_row(boosted: Boosted) -> None:
    columns = rows(200)
    raw = boosted.raw(columns, 1)

    def alone(row: int) -> bytes:
        return boosted.raw({name: v[row : row + 1] for name, v in columns.items()}).tobytes()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(alone, list(range(200)) * 5))
    assert results == [raw[row : row + 1].tobytes() for row in range(200)] * 5


def test_a_library_without_the_function_or_with_other_numbers_is_not_used(
    boosted: Boosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees, functions = boosted.parsed, library()
    assert single_row(trees, len(NAMES), RAW) is not None
    monkeypatch.setattr("stagecast.training.learners.single_row.library", lambda: SimpleNamespace())
    assert single_row(trees, len(NAMES), RAW) is None
    names = ("LGBM_BoosterPredictForMatSingleRowFast", "LGBM_FastConfigFree")
    others = SimpleNamespace(**{name: getattr(functions, name) for name in names})
    prepare = functions.LGBM_BoosterPredictForMatSingleRowFastInit
    # the leaf indices of the trees are numbers, too, and not those that are asked for
    others.LGBM_BoosterPredictForMatSingleRowFastInit = lambda handle, kind, *rest: prepare(
        handle, 0, *rest
    )
    monkeypatch.setattr("stagecast.training.learners.single_row.library", lambda: others)
    assert single_row(trees, len(NAMES), RAW) is None
    assert single_row(trees, len(NAMES), CONTRIBUTIONS) is None
    # without the function a row is predicted as many are
    columns = rows(3)
    fresh = Boosted(boosted.text, boosted.columns)
    alone = {name: values[:1] for name, values in columns.items()}
    assert fresh.raw(alone, 1).tobytes() == boosted.raw(columns, 1)[:1].tobytes()


def test_a_copy_loads_its_own(boosted: Boosted) -> None:
    columns = {name: values[:1] for name, values in rows(1).items()}
    boosted.raw(columns)
    again = copy.deepcopy(boosted)
    assert again == boosted
    assert again.raw(columns).tobytes() == boosted.raw(columns).tobytes()

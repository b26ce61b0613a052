"""A learner on disk: the same effects to the byte, and nothing that was changed is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.uplift.learners import fit_uplift
from stagecast.training.uplift.model import FORMULAS, UpliftModel
from stagecast.training.uplift.rules import Line
from stagecast.training.uplift.stored import FILE, load_uplift, save_uplift
from tests.test_arrow import import_all
from tests.training.uplift.made import simulate


@pytest.fixture(scope="module")
def model() -> UpliftModel:
    return replace(fit_uplift(simulate(400, 1)[0], "S"), line=Line(0.1, 0.2, 0.9))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", FORMULAS)
def test_effects_are_the_same_to_the_byte(kind: str, binary: bool, tmp_path: Path) -> None:
    trial, _ = simulate(400, 1, binary=binary)
    fitted = fit_uplift(trial, kind)
    save_uplift(tmp_path / "model", fitted)
    loaded = load_uplift(tmp_path / "model")
    assert loaded.effect(trial.X).tobytes() == fitted.effect(trial.X).tobytes()
    assert loaded.effect(trial.X[:1]).tobytes() == fitted.effect(trial.X)[:1].tobytes()
    assert loaded.names == trial.names


def test_the_line_is_stored(model: UpliftModel, tmp_path: Path) -> None:
    save_uplift(tmp_path / "model", model)
    assert load_uplift(tmp_path / "model").line == Line(0.1, 0.2, 0.9)


def test_a_changed_text_is_not_read(model: UpliftModel, tmp_path: Path) -> None:
    save_uplift(tmp_path / "model", model)
    path = tmp_path / "model" / "uplift_joint.lightgbm.txt"
    path.write_text(path.read_text("utf-8") + " ", "utf-8")
    with pytest.raises(DataRefusedError, match="not as it was written"):
        load_uplift(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"kind": "Z"},
        {"kind": "T"},
        {"names": ["orders"]},
        {"share": 2},
        {"line": {"centre": 0, "level": 0}},
        {"parts": {}},
        {"parts": []},
        {"binary": "yes"},
    ],
)
def test_another_description_is_refused(
    model: UpliftModel, tmp_path: Path, change: dict[str, object]
) -> None:
    save_uplift(tmp_path / "model", model)
    path = tmp_path / "model" / FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DataRefusedError, match="not a learner of this format"):
        load_uplift(tmp_path / "model")


def test_a_missing_text_is_refused(model: UpliftModel, tmp_path: Path) -> None:
    save_uplift(tmp_path / "model", model)
    (tmp_path / "model" / "uplift_joint.lightgbm.txt").unlink()
    with pytest.raises(DataRefusedError, match="missing"):
        load_uplift(tmp_path / "model")


def test_a_folder_is_neither_overwritten_nor_guessed(model: UpliftModel, tmp_path: Path) -> None:
    save_uplift(tmp_path / "model", model)
    with pytest.raises(UsageError, match="exists"):
        save_uplift(tmp_path / "model", model)
    with pytest.raises(UsageError, match="holds no"):
        load_uplift(tmp_path)


@pytest.mark.slow
def test_evaluation_imports_nothing_that_fits() -> None:
    room = "stagecast.training.uplift"
    _, loaded = import_all(
        [f"{room}.{name}" for name in ("design", "model", "rules", "stored")], []
    )
    ours = {name for name in loaded if name.startswith(f"{room}.")}
    assert ours == {f"{room}.{name}" for name in ("design", "model", "rules", "stored")}
    fits = ("boosting", "glm", "fit_factor", "blend")
    assert [n for n in loaded if n.startswith("stagecast.") and n.endswith(fits)] == []

"""A bundle comes back byte for byte, and one that was touched is refused before anything parses
it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.bundle import (
    CARD,
    FORMAT,
    MANIFEST,
    MAX_FILE_BYTES,
    MODELS,
    SEAL,
    Bundle,
    load_bundle,
    save_bundle,
)
from stagecast.training.models import predict
from tests.training.bundle.forging import make_hashes_fit
from tests.training.made import Trained

FILES = (
    CARD,
    "churn.lightgbm.txt",
    "churn_hazard.lightgbm.txt",
    MANIFEST,
    MODELS,
    "next_stage.lightgbm.txt",
    "value_spend.lightgbm.txt",
)
PREDICTING = tuple(name for name in FILES if name not in (CARD, MANIFEST))


@pytest.fixture
def folder(shop: Trained, tmp_path: Path) -> Path:
    """Return a copy of a bundle that a test may spoil."""
    return Path(shutil.copytree(shop.folder, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def _no_parsing_of_what_is_refused(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "refused" in request.node.name:

        def parse(*_: object, **__: object) -> None:
            raise AssertionError("LightGBM was given what should have been refused")

        monkeypatch.setattr(lightgbm, "Booster", parse)


def rewritten(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file and make every hash in the manifest fit again, the version included."""
    data = json.loads((folder / name).read_text())
    change(data)
    data.pop(SEAL, None)
    (folder / name).write_text(json.dumps(data))
    if name == MANIFEST:
        return
    make_hashes_fit(folder)


def predictions(bundle: Bundle, shop: Trained) -> list[bytes]:
    now = shop.training.panel.now
    actual = predict(bundle.models, now)
    names = (
        "p_inactive",
        "p_convert",
        "p_alive",
        "p_stage",
        "expected_orders",
        "expected_spend",
        "clv",
    )
    return [getattr(actual, name).tobytes() for name in (*names, "value_if_kept", "days_to_order")]


def test_a_bundle_comes_back_byte_for_byte(shop: Trained) -> None:
    again = shop.reloaded()
    assert predictions(again, shop) == predictions(shop.bundle, shop)
    assert (again.model_version, again.as_of, again.data_cutoff) == (
        shop.bundle.model_version,
        shop.bundle.as_of,
        shop.bundle.data_cutoff,
    )
    assert again.card == shop.bundle.card
    assert again.models.config == shop.bundle.models.config
    assert again.models.scheme == shop.bundle.models.scheme


def test_saved_again_it_is_the_same_bundle(shop: Trained, tmp_path: Path) -> None:
    again = shop.reloaded()
    save_bundle(
        tmp_path / "elsewhere" / "m", again.models, again.as_of, again.data_cutoff, again.card
    )
    for name in FILES:
        assert (tmp_path / "elsewhere" / "m" / name).read_bytes() == (
            shop.folder / name
        ).read_bytes(), name


def test_the_version_is_that_of_what_predicts(shop: Trained, tmp_path: Path) -> None:
    models, as_of, cutoff = shop.bundle.models, shop.bundle.as_of, shop.bundle.data_cutoff
    other_card = save_bundle(tmp_path / "a", models, as_of, cutoff, {"notes": ["other"]})
    assert other_card.model_version == shop.bundle.model_version
    louder = replace(models, churn=replace(models.churn, level=models.churn.level + 1e-12))
    assert (
        save_bundle(tmp_path / "b", louder, as_of, cutoff, {}).model_version
        != shop.bundle.model_version
    )


def test_files_are_text_and_none_is_a_pickle(shop: Trained) -> None:
    assert sorted(path.name for path in shop.folder.iterdir()) == sorted(FILES)
    for path in shop.folder.iterdir():
        content = path.read_bytes()
        content.decode("utf-8")
        assert not content.startswith((b"\x80", b"PK")), path.name
        assert path.name.endswith("lightgbm.txt") or json.loads(content)


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_flipped_byte_is_refused(folder: Path, name: str, where: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[round(where * (len(content) - 1))] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataRefusedError, match=rf"{name} is not as it was written"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataRefusedError, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("n_bytes", [0, 100])
def test_a_truncated_file_is_refused(folder: Path, name: str, n_bytes: int) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:n_bytes])
    with pytest.raises(DataRefusedError, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", PREDICTING)
def test_a_file_left_out_of_the_manifest_is_refused(folder: Path, name: str) -> None:
    rewritten(folder, MANIFEST, lambda manifest: manifest["files"].pop(name))
    with pytest.raises(DataRefusedError, match=r"bundle of this format|model version"):
        load_bundle(folder)


@pytest.mark.parametrize("number", [0, 1, "2", None])
def test_another_format_is_refused(folder: Path, number: object) -> None:
    rewritten(folder, MANIFEST, lambda manifest: manifest.update(format=number))
    with pytest.raises(DataRefusedError, match=f"this version reads {FORMAT}; train it again"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "name", ["../x.json", "/etc/passwd", "a/b.json", "models.pkl", "..", "models.json\n"]
)
def test_a_name_that_leads_elsewhere_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "x.json").write_text("{}")
    entry = {"sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2}
    rewritten(folder, MANIFEST, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(DataRefusedError, match="is no name of a file in a bundle"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda data: data.update(more={}), "more"),
        (lambda data: data.pop("conversion"), "conversion"),
        (lambda data: data["config"].update(more=1), "more"),
        (lambda data: data["config"].update(margin=7), "margin"),
        (lambda data: data["scheme"].pop("order"), "order"),
        (
            lambda data: data["catalog"]["features"].pop(0),
            "names 'orders', which is no feature before it",
        ),
        (lambda data: data["catalog"]["features"].reverse(), "which is no feature before it"),
        (
            lambda data: data["catalog"].update(
                features=[f for f in data["catalog"]["features"] if f["name"] != "orders_180d"]
            ),
            "does not have: orders_180d",
        ),
        (
            lambda data: data["catalog"]["features"][0].update(function="median"),
            "cannot be asked of 'days'",
        ),
        (lambda data: data["catalog"]["features"][0].update(more=1), "a feature has no 'more'"),
        (lambda data: data["churn"].update(level=float("nan")), "NaN"),
        (lambda data: data["churn"].update(level=float("-inf")), "Infinity"),
        (lambda data: data["base"]["models"][0].update(more=1), "more"),
        (lambda data: data["churn"].pop("trees"), "trees"),
    ],
)
def test_content_of_another_shape_is_refused_even_with_sound_hashes(
    folder: Path, change: Callable[[dict[str, Any]], object], word: str
) -> None:
    rewritten(folder, MODELS, change)
    with pytest.raises(DataRefusedError, match=word):
        load_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(model_version="000000000000"),
        lambda manifest: manifest.pop("as_of"),
        lambda manifest: manifest.update(as_of="yesterday"),
        lambda manifest: manifest.update(files=[]),
        lambda manifest: manifest["files"][CARD].pop("sha256"),
        lambda manifest: manifest["files"][CARD].update(bytes="many"),
        lambda manifest: manifest.update(log_covariances=[]),
        lambda manifest: manifest.update(log_covariances={"mbg_nbd": [[1.0, 0.5]]}),
        lambda manifest: manifest.update(log_covariances={"mbg_nbd": [["a"]]}),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    rewritten(folder, MANIFEST, change)
    with pytest.raises(DataRefusedError, match="train it again"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("as_of", "2021-12-30T00:00:00+00:00"),
        ("data_cutoff", "2020-01-01T00:00:00+00:00"),
        ("money", {}),
        ("golden", None),
        ("sha256", "0"),
    ],
)
def test_a_field_of_the_manifest_that_was_changed_is_noticed(
    folder: Path, field: str, value: object
) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest[field] != value
    (folder / MANIFEST).write_text(json.dumps({**manifest, field: value}))
    with pytest.raises(DataRefusedError, match="is not as it was written"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(DataRefusedError, match=MANIFEST):
        load_bundle(folder)


@pytest.mark.parametrize("name", [MANIFEST, MODELS])
def test_a_huge_file_is_refused_unread(folder: Path, name: str) -> None:
    os.truncate(folder / name, MAX_FILE_BYTES + 1)  # sparse: no byte of it is written
    with pytest.raises(DataRefusedError, match=f"{name} is larger"):
        load_bundle(folder)


def test_a_device_in_place_of_a_file_is_refused_unread(folder: Path) -> None:
    (folder / MODELS).unlink()
    (folder / MODELS).symlink_to("/dev/zero")
    with pytest.raises(DataRefusedError, match=f"{MODELS} is no plain file"):
        load_bundle(folder)


def test_no_bundle_there_is_wrong_use(tmp_path: Path, folder: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path, folder / MODELS):
        with pytest.raises(UsageError, match="holds no bundle"):
            load_bundle(place)


def test_an_existing_folder_is_left_alone(shop: Trained, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(UsageError, match="exists; give another folder"):
        save_bundle(there, shop.bundle.models, shop.as_of, shop.as_of, {})
    assert list(there.iterdir()) == []


def test_what_an_interruption_left_is_replaced(shop: Trained, tmp_path: Path) -> None:
    draft = tmp_path / ".m.draft"
    draft.mkdir()
    (draft / "half.json").write_text("{")
    save_bundle(tmp_path / "m", shop.bundle.models, shop.as_of, shop.as_of, {})
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == sorted(FILES)


def test_nothing_stands_in_its_place_until_all_is_written(
    shop: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(tmp_path / "m", shop.bundle.models, shop.as_of, shop.as_of, {})
    assert not (tmp_path / "m").exists()


def test_a_card_that_json_cannot_say_leaves_nothing_behind(shop: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_bundle(tmp_path / "m", shop.bundle.models, shop.as_of, shop.as_of, {"auc": np.nan})
    assert list(tmp_path.iterdir()) == []

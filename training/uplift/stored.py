"""A learner on disk: JSON and LightGBM's text with a sha256 for each file, and no pickle.

uplift.json          kind, features, mean propensity, interaction, line; hash of each text
uplift_*.lightgbm.txt  the boosted ensembles
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.learners.boosted import Boosted
from stagecast.training.uplift.design import UpliftDesign
from stagecast.training.uplift.model import (
    CONTACT,
    FORMULAS,
    PARTS,
    Interaction,
    UpliftModel,
)
from stagecast.training.uplift.rules import Line

FORMAT = 1
FILE = "uplift.json"
MAX_FILE_BYTES = 256 * 1024 * 1024


def save_uplift(folder: Path, model: UpliftModel) -> None:
    """Write a learner into a new folder, whole or not at all.

    Raises
    ------
    UsageError
        The folder exists.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; give another folder, or remove it")
    texts = {_name(part): trees.text.encode() for part, trees in model.trees.items()}
    data = {
        "format": FORMAT,
        "kind": model.kind,
        "names": list(model.names),
        "binary": model.binary,
        "share": model.share,
        "interaction": None if model.interaction is None else model.interaction.to_json(),
        "line": None if model.line is None else model.line.to_json(),
        "parts": {
            part: {"columns": list(trees.columns), "sha256": _hash(texts[_name(part)])}
            for part, trees in model.trees.items()
        },
    }
    text = json.dumps(data, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, content in {**texts, FILE: text.encode()}.items():
        (draft / name).write_bytes(content)
    draft.rename(folder)


def load_uplift(folder: Path) -> UpliftModel:
    """Read what :func:`save_uplift` wrote.

    Raises
    ------
    UsageError
        The folder holds no learner.
    DataRefusedError
        A file is missing, was changed, or is not of this format.
    """
    if not (folder / FILE).is_file():
        raise UsageError(f"{folder} holds no {FILE}; give the folder that `save_uplift` wrote")
    try:
        data = json.loads(_read(folder / FILE))
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, this version reads {FORMAT}")
        return _model(folder, data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataRefusedError(
            f"{folder / FILE} is not a learner of this format ({error!r}); fit it again"
        ) from error


def _model(folder: Path, data: dict[str, Any]) -> UpliftModel:
    kind, names, binary = data["kind"], tuple(map(str, data["names"])), data["binary"]
    if kind not in FORMULAS or not isinstance(binary, bool):
        raise ValueError(f"kind {kind!r}, binary {binary!r}")
    interaction = data["interaction"]
    needs = () if kind == "linear" and not binary else PARTS[kind]
    if set(data["parts"]) != set(needs) or (kind == "linear") != (interaction is not None):
        raise ValueError(f"{kind} has the parts {sorted(needs)}, not {sorted(data['parts'])}")
    usable = {f"x{k}" for k in range(len(names))} | ({CONTACT} if kind == "S" else set())
    trees = {}
    for part, entry in data["parts"].items():
        content, columns = _read(folder / _name(part)), tuple(map(str, entry["columns"]))
        if _hash(content) != entry["sha256"]:
            raise DataRefusedError(
                f"{folder / _name(part)} is not as it was written; copy the folder again, whole"
            )
        if not set(columns) <= usable:
            raise ValueError(f"{part} uses columns that are no features: {columns}")
        trees[part] = Boosted.read(content.decode(), columns).loaded()
    effect = None if interaction is None else Interaction.from_json(interaction)
    if effect is not None:
        _check_sources(effect.design, len(names))
    line = None if data["line"] is None else Line.from_json(data["line"])
    share = float(data["share"])
    if not 0 < share < 1:
        raise ValueError(f"a mean propensity of {share}")
    return UpliftModel(kind, names, binary, share, trees, effect, line)


def _check_sources(design: UpliftDesign, features: int) -> None:
    if any(not 0 <= k < features for k in design.source):
        raise ValueError(f"the design uses columns beyond the {features} features")


def _name(part: str) -> str:
    return f"uplift_{part}.lightgbm.txt"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            raise DataRefusedError(
                f"{path} is missing, or too large for a learner; copy the folder again, whole"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataRefusedError(f"{path} cannot be read ({error.strerror})") from error

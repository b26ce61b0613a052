"""Reading a bundle: nothing of it is used before its hashes, format and names are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stagecast.features.clock import parse_instant
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.bundle.bundle import Bundle
from stagecast.training.bundle.files import (
    CARD,
    MANIFEST,
    MODELS,
    OWN_MEMBERS,
    SEAL,
    checked_file,
    parsed_json,
    read_file,
    seal_of,
    version_of,
)
from stagecast.training.bundle.formats import format_of, upgrade
from stagecast.training.bundle.stored_models import ensembles, models_of
from stagecast.training.inactivity.members import OwnMembersError
from stagecast.training.learners.btyd.stored import covariances_of
from stagecast.training.value.currency import LogMoney


def load_bundle(folder: Path, allow_own_members: bool | Sequence[str] = False) -> Bundle:
    """Load a bundle.

    Parameters
    ----------
    allow_own_members
        Whether members of the user, which are code, may be loaded: True for classes of
        scikit-learn, SciPy and NumPy, or the names of further classes to trust. Whatever serves
        others leaves it False.

    Raises
    ------
    UsageError
        The folder does not exist or holds no bundle, or members of the user are not allowed.
    DataRefusedError
        A file is missing, was changed, or does not belong to a bundle of this format.
    """
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} holds no bundle ({MANIFEST} is not there); give the folder that "
            "`stagecast train` wrote"
        )
    manifest = parsed_json(folder, MANIFEST, read_file(folder, MANIFEST))
    number = format_of(manifest, folder)
    if manifest.get(SEAL, seal_of(manifest)) != seal_of(manifest):  # earlier versions wrote none
        raise DataRefusedError(
            f"{folder / MANIFEST} is not as it was written; copy the bundle again, or train it "
            "again"
        )
    own = _own_names(manifest, folder)
    if own and allow_own_members is False:
        raise UsageError(
            f"{folder} has members that its author wrote ({', '.join(own)}): they are code, and a "
            "server or a command never loads them. In Python, sc.load(folder, "
            "allow_own_members=True) does, if you trust the author; or fit the model without them"
        )
    try:
        entries = {
            str(name): (str(e["sha256"]), int(e["bytes"])) for name, e in manifest["files"].items()
        }
        files = {name: checked_file(folder, name, *entry) for name, entry in entries.items()}
        version = str(manifest["model_version"])
        # skops writes other bytes each time; models.json has the fingerprint of what it writes
        hashed_files = {n: content for n, content in files.items() if n not in (CARD, OWN_MEMBERS)}
        if version != version_of(hashed_files):
            raise DataRefusedError(
                f"{folder}: the model version {version} is not that of the files; train it again"
            )
        data = upgrade(parsed_json(folder, MODELS, files[MODELS]), number)
        estimators = {}
        if own:
            from stagecast.training.inactivity.own_files import read_estimators

            trusted = () if isinstance(allow_own_members, bool) else tuple(allow_own_members)
            estimators = read_estimators(files[OWN_MEMBERS], own, trusted, folder)
        models = models_of(data, files, estimators)
        bundle = Bundle(
            models,
            version,
            parse_instant(manifest["as_of"], MANIFEST),
            parse_instant(manifest["data_cutoff"], MANIFEST),
            parsed_json(folder, CARD, files[CARD]),
            # bundles that were written before lack it
            LogMoney.from_json(manifest.get("money", {})),
            manifest.get("golden"),
            covariances_of("log_covariances", manifest["log_covariances"])
            if "log_covariances" in manifest
            else None,
        )
        # LightGBM, which is written in C, reads last: nothing is left to refuse
        for boosted in ensembles(models).values():
            boosted.loaded()
        return bundle
    except OwnMembersError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DataRefusedError(
            f"{folder}: not a bundle of this format ({error!r}); train it again"
        ) from error


def _own_names(manifest: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the names of the members of the user, as the manifest has them."""
    named = manifest.get("own_members", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise DataRefusedError(f"{folder}: own_members of {MANIFEST} are no list of names")
    return named

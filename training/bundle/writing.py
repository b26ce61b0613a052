"""Writing a bundle: all of its files into a draft folder, which is renamed when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.bundle.bundle import Bundle, make_bundle
from stagecast.training.bundle.files import (
    CARD,
    MANIFEST,
    MODELS,
    OWN_MEMBERS,
    SEAL,
    json_bytes,
    parsed_json,
    seal_of,
    sha256_of,
)
from stagecast.training.bundle.formats import FORMAT
from stagecast.training.bundle.stored_models import model_files, models_of
from stagecast.training.card import Card
from stagecast.training.golden import golden_rows
from stagecast.training.learners.btyd.stored import Covariances
from stagecast.training.models import Models
from stagecast.training.value.currency import NOT_STATED, LogMoney

OwnMembersFormat = Literal["refuse", "skops"]


def write_bundle(folder: Path, bundle: Bundle, own_members: OwnMembersFormat = "refuse") -> None:
    """Write a bundle into a new folder.

    The files are written to a draft folder beside it, which is renamed when it is complete.

    Parameters
    ----------
    own_members
        How the members of the user are written; ``refuse`` writes no bundle that has any.

    Raises
    ------
    UsageError
        The folder exists, or the model has members of the user that are not to be written.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; give another folder, or remove it")
    files = {**model_files(bundle.models), CARD: json_bytes(bundle.card)}
    own = {**bundle.models.churn.own, **bundle.models.value.own}
    if own_members not in ("refuse", "skops"):
        raise UsageError(f"own_members={own_members!r} is neither 'refuse' nor 'skops'")
    if own and own_members == "refuse":
        raise UsageError(
            f"the model has members of your own ({', '.join(own)}), which are code and not data: "
            "nothing is written. Choose own_members='skops' to write them with skops; servers and "
            "commands refuse such a model, and sc.load loads it with allow_own_members=True only. "
            "Or fit without them"
        )
    if own:
        from stagecast.training.inactivity.own_files import write_estimators

        files[OWN_MEMBERS] = write_estimators(own)
    # of what will be read, so that the models that were given keep no trees that LightGBM loaded;
    # what a server or a command never loads needs none
    golden = None
    if not own:
        try:
            read_back = models_of(parsed_json(folder, MODELS, files[MODELS]), files)
        except (KeyError, TypeError, ValueError, AttributeError, DataRefusedError) as error:
            raise UsageError(f"{folder}: the models could not be read back ({error!r})") from error
        golden = golden_rows(read_back, bundle.as_of)
    covariances = bundle.log_covariances
    manifest = {
        "format": FORMAT,
        "model_version": bundle.model_version,
        "as_of": bundle.as_of.isoformat(),
        "data_cutoff": bundle.data_cutoff.isoformat(),
        "money": bundle.money.to_json(),
        **({"own_members": sorted(own)} if own else {}),
        **({} if golden is None else {"golden": golden}),
        **({} if covariances is None else {"log_covariances": _plain(covariances)}),
        "files": {
            name: {"sha256": sha256_of(data), "bytes": len(data)}
            for name, data in sorted(files.items())
        },
    }
    manifest[SEAL] = seal_of(manifest)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, data in {**files, MANIFEST: json_bytes(manifest)}.items():
        (draft / name).write_bytes(data)
    draft.rename(folder)


def save_bundle(
    folder: Path,
    models: Models,
    as_of: datetime,
    data_cutoff: datetime,
    card: Card | Mapping[str, Any],
    money: LogMoney = NOT_STATED,
) -> Bundle:
    """Write a bundle into a new folder, as :func:`write_bundle`, and return it.

    Parameters are those of :func:`make_bundle`.

    Raises
    ------
    UsageError
        The folder exists.
    """
    if folder.exists():  # before the files are made
        raise UsageError(f"{folder} exists; give another folder, or remove it")
    bundle = make_bundle(models, as_of, data_cutoff, card, money)
    write_bundle(folder, bundle)
    return bundle


def _plain(covariances: Covariances) -> dict[str, Any]:
    return {name: None if m is None else m.tolist() for name, m in covariances.items()}

"""The bundle of a registered model, fetched into a folder."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.errors import UsageError
from stagecast.training.tracking.client import open_client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def fetch_bundle(tracking_uri: str, model: str) -> Path:
    """Fetch the bundle of a registered model into a folder that goes with the process.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server.
    model
        ``models:/NAME@alias`` or ``models:/NAME/version``.

    Raises
    ------
    UsageError
        The model, alias or version does not exist, or the store cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    folder: Path | None = None
    try:
        registered = registered_version(tracking_uri, model)
        folder = Path(tempfile.mkdtemp(prefix="stagecast-model-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return fetch_into(folder, tracking_uri, str(registered.source))
    except (MlflowException, OSError) as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"--model {model} was not found at {tracking_uri}: {error}; see `mlflow ui`"
        ) from error


def registered_version(tracking_uri: str, model: str) -> ModelVersion:
    """Return the version that the name of a registered model stands for now.

    Raises
    ------
    mlflow.exceptions.MlflowException, OSError, UsageError
        There is none, or the registry cannot be asked.
    """
    name, alias, version = model_name(model)
    client = open_client(tracking_uri)
    if alias:
        return client.get_model_version_by_alias(name, alias)
    return client.get_model_version(name, version)


def fetch_into(folder: Path, tracking_uri: str, source: str) -> Path:
    """Download the artefacts of a version, and return the folder of the bundle in them.

    Parameters
    ----------
    folder
        Where the artefacts are written.
    source
        As MLflow gives it: of a bundle, or of an MLflow model that holds one.

    Raises
    ------
    mlflow.exceptions.MlflowException, OSError
        The artefacts cannot be read.
    """
    from mlflow.artifacts import download_artifacts

    from stagecast.training.bundle import MANIFEST

    here = Path(
        download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=tracking_uri)
    )
    inside = sorted(here.glob(f"artifacts/*/{MANIFEST}"))
    return here if (here / MANIFEST).is_file() or not inside else inside[0].parent


def model_name(model: str) -> tuple[str, str | None, str]:
    """Return name, alias and version of ``models:/NAME@alias`` or ``models:/NAME/version``.

    Raises
    ------
    UsageError
        It is neither.
    """
    path = model.removeprefix("models:/")
    name, at_sign, alias = path.partition("@")
    if at_sign and name and alias:
        return name, alias, ""
    name, slash, version = path.rpartition("/")
    if slash and name and version.isdigit():
        return name, None, version
    raise UsageError(
        f"--model '{model}' cannot be read; write models:/NAME@champion, models:/NAME/3, "
        "or a folder"
    )

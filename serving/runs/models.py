"""The folder of a model: a folder that is named, or one that MLflow keeps."""

from __future__ import annotations

from pathlib import Path

from stagecast.serving.settings import Settings, keep_mlflow_quiet


def model_folder(model: str, settings: Settings) -> Path:
    """Return the folder of a bundle.

    Parameters
    ----------
    model
        A folder, or ``models:/NAME@ALIAS``, which MLflow is asked for.
    settings
        Say where MLflow is.

    Raises
    ------
    UsageError
        MLflow has no such model.
    """
    if not model.startswith("models:/"):
        return Path(model)
    keep_mlflow_quiet()
    from stagecast.training.tracking import fetch_bundle

    return fetch_bundle(settings.tracking_uri, model)

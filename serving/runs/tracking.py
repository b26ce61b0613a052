"""A training logged to MLflow, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stagecast.features.errors import UsageError
from stagecast.serving.progress import Say
from stagecast.serving.requests import TrainingRequest
from stagecast.serving.settings import keep_mlflow_quiet, load_settings
from stagecast.training.bundle import Bundle

Track = Callable[[Bundle, Path, Path | None], None]
"""Is called with a bundle, its folder, and the report to keep with it."""


def tracker(request: TrainingRequest, warn: Say) -> Track | None:
    """Return what logs a training to MLflow; None where that is not wanted.

    Parameters
    ----------
    warn
        Is called with the reason where MLflow does not take the training and nobody asked for this
        MLflow by name; where somebody did, a UsageError says so.
    """
    if not request.track:
        return None
    uri = load_settings(tracking_uri=request.tracking_uri).tracking_uri
    keep_mlflow_quiet()

    def track(bundle: Bundle, folder: Path, report: Path | None) -> None:
        from stagecast.training.tracking import log_training

        try:
            log_training(uri, bundle, folder, report, request.register)
        except UsageError as error:
            if request.register is not None or request.tracking_uri is not None:
                raise
            warn(f"not tracked: {error}")

    return track

"""A training or a backtest logged to MLflow, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.errors import UsageError
from stagecast.serving.progress import Say
from stagecast.serving.requests import TrainingRequest
from stagecast.serving.settings import keep_mlflow_quiet, load_settings
from stagecast.training.bundle import Bundle

if TYPE_CHECKING:
    from stagecast.training.judging.evaluation_result import ValueEvaluation
    from stagecast.training.judging.verdict_result import Verdict

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


def track_backtest(
    request: TrainingRequest,
    folder: Path,
    verdict: Verdict,
    value: ValueEvaluation | None,
    as_of: str,
    warn: Say,
) -> None:
    """Log a backtest that was written to MLflow, where that is asked for.

    Its folder stands, whatever MLflow does.

    Raises
    ------
    UsageError
        An MLflow that was asked for by name does not take it.
    """
    if not request.track:
        return
    from stagecast.training.backtest_tracking import log_backtest

    uri = load_settings(tracking_uri=request.tracking_uri).tracking_uri
    keep_mlflow_quiet()
    try:
        log_backtest(uri, request.config, verdict, value, as_of, folder)
    except UsageError as error:
        if request.tracking_uri is not None:
            raise UsageError(f"{error}; the backtest is complete in {folder}") from error
        warn(f"not tracked: {error}")

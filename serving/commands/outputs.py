"""What several commands share: logging to MLflow, publishing, printing a run, finding a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog
from stagecast.serving.commands.console import show, steps
from stagecast.serving.settings import Settings, keep_mlflow_quiet, load_settings
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    from stagecast.serving.pipeline import Run
    from stagecast.training.bundle import Bundle


def tracker(
    options: dict[str, Any], register: str | None = None
) -> Callable[[Bundle, Path, Path | None], None] | None:
    """Return what logs a training to MLflow, or None where it is not wanted."""
    if not options["track"]:
        return None
    uri = load_settings(tracking_uri=options["tracking_uri"]).tracking_uri
    keep_mlflow_quiet()

    def track(bundle: Bundle, folder: Path, report: Path | None) -> None:
        from stagecast.training.tracking import log_training

        try:
            log_training(uri, bundle, folder, report, register)
        except UsageError as error:
            if register is not None or options["tracking_uri"] is not None:
                raise
            # nobody asked for this store by name: the run stands without it
            click.echo(f"warning: not tracked: {error}", err=True)

    return track


def publish(settings: Settings, scores: Any, model: Path, scheme: Any) -> None:
    from stagecast.serving.store.store import Store

    store = Store.open(settings.store)
    try:
        store.publish(scores, model_path=str(model.resolve()), scheme=scheme)
    finally:
        store.close()


def run_and_publish(
    log: EventLog,
    out: Path,
    config: TrainConfig,
    options: dict[str, Any],
    next_steps: Sequence[str],
) -> Run:
    from stagecast.serving import pipeline

    with steps(pipeline.RUN_STEPS) as say:
        done = pipeline.run(
            log,
            out,
            config,
            as_of=options["as_of"],
            force=options["force"],
            next_steps=next_steps,
            say=say,
            track=tracker(options),
        )
        if options["publish"]:
            say("publishing")
            publish(
                options["settings"], done.scores, out / pipeline.MODEL, done.bundle.models.scheme
            )
    return done


def print_run(done: Run, next_steps: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(done.summary, ensure_ascii=False))
    else:
        from stagecast.serving.commands import terminal

        show([*terminal.run_lines(done), "", "Next:", *(f"  {line}" for line in next_steps)])


def model_folder(model: str, settings: Settings) -> Path:
    if not model.startswith("models:/"):
        return Path(model)
    keep_mlflow_quiet()
    from stagecast.training.tracking import fetch_bundle

    return fetch_bundle(settings.tracking_uri, model)

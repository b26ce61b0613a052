"""``stagecast train``: a bundle, and its run in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog
from stagecast.serving.commands.console import show, steps
from stagecast.serving.commands.options import (
    as_of_option,
    common,
    learning,
    standing,
    train_config,
)
from stagecast.serving.commands.outputs import tracker
from stagecast.serving.commands.reading_options import open_log, reading


@click.command()
@reading
@standing
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the bundle; it must be new.",
)
@click.option(
    "--register", metavar="NAME", help="Offer it in MLflow as challenger of this registered model."
)
@click.option(
    "--sample",
    type=int,
    metavar="N",
    help="Of --engine spark: customers to train on; default 200,000.",
)
@common
def train(
    as_json: bool, out: Path, register: str | None, sample: int | None, **options: Any
) -> None:
    """Train a bundle; also logs to MLflow."""
    from stagecast.serving import pipeline
    from stagecast.serving.commands import terminal
    from stagecast.serving.runs.summary import card
    from stagecast.training.bundle import save_bundle
    from stagecast.training.train import train as learn

    if register is not None and not options["track"]:
        raise UsageError("--register needs MLflow: leave --no-track out")
    if out.exists():
        raise UsageError(f"--out {out} exists; a bundle is written into a new folder")
    if sample is not None and (sample < 1 or options["engine"] != "spark"):
        raise UsageError("--sample is a number of customers, and belongs to --engine spark")
    config = train_config(options)
    with _log_and_notes(options, sample) as (log, as_of, notes), steps(pipeline.RUN_STEPS) as say:
        done = learn(log.con, as_of, replace(config, known_at_start=log.known_at_start), say)
        done = replace(done, notes=(*notes, *done.notes))
        bundle = save_bundle(out, done.models, as_of, done.data_cutoff, card(done))
        track = tracker(options, register)
        if track is not None:
            say("tracking")
            track(bundle, out, None)
    if as_json:
        told = {
            "model_version": bundle.model_version,
            "as_of": iso(as_of),
            "out": str(out),
            **bundle.card,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    lines = [*terminal.evaluation_lines(done.evaluation, config.churn), *done.notes]
    show([*lines, "", f"model {bundle.model_version} written: {out}"])


@contextmanager
def _log_and_notes(
    options: dict[str, Any], sample: int | None
) -> Iterator[tuple[EventLog, datetime, tuple[str, ...]]]:
    """Open the log that a training learns from: of a log on Spark, a sample of its customers."""
    if options["engine"] == "spark":
        from stagecast.features.engines.spark.sample import SAMPLE
        from stagecast.serving.commands.on_spark import sampled_log

        with sampled_log(options, sample or SAMPLE) as found:
            yield found
        return
    with open_log(options) as log:
        yield log, log.choose_as_of(as_of_option(options)), ()

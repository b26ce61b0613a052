"""``stagecast train``: a bundle, and its run in MLflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps, warn
from stagecast.serving.commands.options import common
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import learning
from stagecast.serving.reading import Reading
from stagecast.serving.requests import TrainingRequest


@click.command()
@reading
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the bundle; it must be new.",
)
@click.option(
    "--register",
    metavar="NAME",
    help="Offer it in MLflow as challenger of this registered model: it is compared with the "
    "champion, and promoted if it is better.",
)
@click.option(
    "--sample",
    type=int,
    metavar="N",
    help="Of --engine spark: customers to train on; default 200,000.",
)
@common
def train(
    reading: Reading,
    training: TrainingRequest,
    as_json: bool,
    out: Path,
    register: str | None,
    sample: int | None,
) -> None:
    """Train a bundle; also logs to MLflow."""
    from stagecast.serving.commands import terminal
    from stagecast.serving.jobs.training import train_bundle

    request = replace(training, register=register, sample=sample)
    written = train_bundle(reading, request, out, steps=steps, warn=warn)
    if as_json:
        show_json(written.to_json())
    else:
        show(terminal.bundle_lines(written))

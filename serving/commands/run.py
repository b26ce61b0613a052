"""``stagecast run``: check, train, score and report in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stagecast.serving.commands.options import (
    as_of_option,
    common,
    learning,
    standing,
    train_config,
)
from stagecast.serving.commands.outputs import print_run, run_and_publish
from stagecast.serving.commands.reading_options import open_log, reading
from stagecast.serving.settings import load_settings


@click.command()
@reading
@standing
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option("--publish", is_flag=True, help="Write the scores to the store that `serve` reads.")
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option("--force", is_flag=True, help="Replace the run that --out holds.")
@common
def run(as_json: bool, **options: Any) -> None:
    """Check, train, score and report in one go."""
    from stagecast.serving import pipeline

    config, as_of = train_config(options), as_of_option(options)
    settings = load_settings(store=options["store"])
    next_steps = [
        f"stagecast score EVENTS --model {options['out'] / pipeline.MODEL} --out scores.parquet",
        f"stagecast serve --model {options['out'] / pipeline.MODEL}",
    ]
    with open_log(options) as log:
        done = run_and_publish(
            log,
            options["out"],
            config,
            {**options, "as_of": as_of, "settings": settings},
            next_steps,
        )
    print_run(done, next_steps, as_json=as_json)

"""``stagecast run``: check, train, score and report in one go."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagecast.serving.commands.console import show, show_json, steps, warn
from stagecast.serving.commands.options import common, report_language
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import learning
from stagecast.serving.reading import Reading
from stagecast.serving.requests import RunRequest, TrainingRequest
from stagecast.serving.runs.files import MODEL

if TYPE_CHECKING:
    from stagecast.serving.languages.display import Language


@click.command()
@reading
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
@report_language
@click.option("--force", is_flag=True, help="Replace the run that --out holds.")
@common
def run(
    reading: Reading,
    training: TrainingRequest,
    as_json: bool,
    out: Path,
    publish: bool,
    store: str | None,
    force: bool,
    language: Language,
) -> None:
    """Check, train, score and report in one go."""
    from stagecast.serving.commands import terminal
    from stagecast.serving.pipeline import run_and_publish

    next_steps = (
        f"stagecast score EVENTS --model {out / MODEL} --out scores.parquet",
        f"stagecast serve --model {out / MODEL}",
    )
    request = RunRequest(training, out, force, publish, store, next_steps, language)
    open_log = partial(reading.open, command="run")
    done = run_and_publish(open_log, request, as_of=reading.as_of, steps=steps, warn=warn)
    if as_json:
        show_json(done.to_json())
    else:
        show(terminal.run_lines(done, next_steps))

"""``stagecast demo``: the main job on the CDNOW log."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps, warn
from stagecast.serving.commands.options import common
from stagecast.serving.requests import RunRequest, TrainingRequest

DEMO_FOLDER = Path("stagecast-demo")
NEXT_STEPS = (
    "stagecast serve                      the ranked list at http://127.0.0.1:8000, "
    "the API at /docs",
    "jupyter lab notebooks/               the same in notebooks, one idea each",
    "mlflow ui --backend-store-uri sqlite:///mlflow.db    this training among others",
    "stagecast run YOUR.csv --out DIR     the same on your own log",
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True)
@common
def demo(out: Path, as_json: bool) -> None:
    """The main job on the CDNOW log of the lifetimes package, and where to look next."""
    from stagecast.features.demo import cdnow_log
    from stagecast.serving.commands import terminal
    from stagecast.serving.pipeline import run_and_publish
    from stagecast.training.config import TrainConfig

    training = TrainingRequest(TrainConfig(), track=True)
    request = RunRequest(training, out, force=True, publish=True, next_steps=NEXT_STEPS)
    done = run_and_publish(cdnow_log, request, steps=steps, warn=warn)
    if as_json:
        show_json(done.to_json())
    else:
        show(terminal.run_lines(done, NEXT_STEPS))

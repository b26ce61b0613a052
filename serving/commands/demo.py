"""``stagecast demo``: the main job on the CDNOW log."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.features.demo import cdnow_log
from stagecast.serving.commands.options import common
from stagecast.serving.commands.outputs import print_run, run_and_publish
from stagecast.serving.settings import load_settings
from stagecast.training.config import TrainConfig

DEMO_FOLDER = Path("stagecast-demo")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True)
@common
def demo(out: Path, as_json: bool) -> None:
    """The main job on the CDNOW log of the lifetimes package, and where to look next."""
    next_steps = [
        (
            "stagecast serve                      the ranked list at http://127.0.0.1:8000, "
            "the API at /docs"
        ),
        "jupyter lab notebooks/               the same in a notebook (notebooks/quickstart.ipynb)",
        "mlflow ui --backend-store-uri sqlite:///mlflow.db    this training among others",
        "stagecast run YOUR.csv --out DIR     the same on your own log",
    ]
    options = {
        "as_of": None,
        "force": True,
        "publish": True,
        "settings": load_settings(),
        "track": True,
        "tracking_uri": None,
    }
    with cdnow_log() as log:
        done = run_and_publish(log, out, TrainConfig(), options, next_steps)
    print_run(done, next_steps, as_json=as_json)

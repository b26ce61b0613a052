"""``stagecast check``: what is in a log, what is refused and why, what the models can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import churn_and_terms
from stagecast.serving.reading import Reading

if TYPE_CHECKING:
    from stagecast.features.contracts import Terms
    from stagecast.training.config import Churn


@click.command()
@reading
@click.option(
    "--horizon",
    default="90d",
    show_default=True,
    callback=span_days,
    help="Span that a training would speak of.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for data-report.json and rejected.parquet.",
)
@churn_and_terms
@common
def check(
    reading: Reading, as_json: bool, horizon: int, churn: Churn, terms: Terms, out: Path | None
) -> None:
    """What is in the log, what is refused and why, and what the models can do with it."""
    from stagecast.serving.runs import inspection
    from stagecast.training.config import TrainConfig

    config = TrainConfig(horizon_days=horizon, churn=churn, terms=terms)
    report = inspection.check(reading, config, out)
    if as_json:
        show_json(report.to_json())
    else:
        show(report.lines())

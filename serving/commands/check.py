"""``stagecast check``: what is in a log, what is refused and why, what the models can do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagecast.features.intake.mapping import EventMapping
from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import churn_and_terms
from stagecast.serving.reading import Reading

if TYPE_CHECKING:
    from stagecast.features.contracts import Terms
    from stagecast.features.intake.proposal import Proposal
    from stagecast.training.config import Churn

QUESTION = "Check the log with this proposal?"


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
    from stagecast.features.errors import DataRefusedError, NotMappedError
    from stagecast.serving.jobs.proposal import options_of, proposed
    from stagecast.serving.runs import inspection
    from stagecast.training.config import TrainConfig

    config = TrainConfig(horizon_days=horizon, churn=churn, terms=terms)
    try:
        report = inspection.check(reading, config, out)
    except DataRefusedError as error:
        if as_json or not reading.sources or reading.options.mapping != EventMapping():
            raise
        proposal, _, options = proposed(reading.sources, reading.options)
        if proposal.header_line is None and not isinstance(error, NotMappedError):
            raise
        _show_proposal(proposal, reading.sources)
        if not proposal.is_complete:
            raise
        if not (sys.stdin.isatty() and click.confirm(QUESTION, err=True)):
            return
        mapped = replace(reading, options=options_of(proposal, options))
        report = inspection.check(mapped, config, out)
    if as_json:
        show_json(report.to_json())
    else:
        show(report.lines())


def _show_proposal(proposal: Proposal, named: Sequence[str]) -> None:
    """Show what is proposed for a log of which nothing is mapped."""
    from stagecast.features.intake.proposal import shell

    lines = proposal.lines()
    if proposal.is_complete:
        sources = " ".join(map(shell, named))
        options = " ".join(f"--{name} {shell(value)}" for name, value in proposal.options().items())
        lines += [
            "",
            "Nothing is mapped, and nothing of this was applied. If it is right:",
            f"  stagecast check {sources} {options}",
            f"  stagecast init {sources}    # writes it into stagecast.toml, with comments",
        ]
    show(lines)

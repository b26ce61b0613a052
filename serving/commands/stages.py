"""``stagecast stages``: the stage of each customer, their history, one customer explained, the
schemes.
"""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import as_request, common
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import SchemeChoice, scheme_choice
from stagecast.serving.reading import Reading
from stagecast.serving.requests import StagesRequest


@click.command()
@reading
@scheme_choice
@as_request(StagesRequest)
@click.option("--out", type=click.Path(path_type=Path), help="File to write: .parquet or .csv.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    help="File for every spell on a stage: .parquet or .csv.",
)
@click.option(
    "--explain",
    metavar="CUSTOMER",
    help="Say of one customer which rule holds, on which facts, since when.",
)
@click.option(
    "--list",
    "list_all",
    is_flag=True,
    help="The schemes there are, or the one that --stages names.",
)
@common
def stages(
    reading: Reading, scheme: SchemeChoice, request: StagesRequest, as_json: bool, list_all: bool
) -> None:
    """Stage of each customer: customer_id, stage, stage_since, stage_rule."""
    if list_all:
        _list(scheme.name if scheme.on_the_line else None, as_json=as_json)
        return
    from stagecast.serving.commands.stage_lines import written_lines
    from stagecast.serving.jobs.stages import write_stages

    written = write_stages(reading, scheme.load(), request)
    if as_json:
        show_json(written.to_json())
    else:
        show(written_lines(written))


def _list(chosen: str | None, *, as_json: bool) -> None:
    """Print every scheme, or the one that was named."""
    from stagecast.features.stages.scheme_files import known_schemes, load_scheme, scheme_to_json
    from stagecast.serving.commands.stage_lines import scheme_lines

    names = known_schemes() if chosen is None else [chosen]
    schemes = [load_scheme(name) for name in names]
    if as_json:
        show_json([scheme_to_json(scheme) for scheme in schemes])
    else:
        show([line for scheme in schemes for line in scheme_lines(scheme)])

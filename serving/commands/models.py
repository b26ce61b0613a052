"""``stagecast models``: champion and challenger of the registered models."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import common
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.tracking_option import tracking_option
from stagecast.serving.reading import Reading


@click.group()
def models() -> None:
    """Registered models: who is champion, whether a challenger is better, and back again."""


@models.command("list")
@click.argument("name", required=False)
@tracking_option
@common
def list_models(name: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Versions of NAME, or of all registered models, and who made which one champion."""
    from stagecast.serving.commands.model_lines import listed_lines
    from stagecast.serving.jobs.models import list_models as listed_models

    listed = listed_models(name, tracking_uri)
    if as_json:
        show_json([model.to_json() for model in listed])
    else:
        show(listed_lines(listed))


@models.command()
@reading
@click.option("--name", required=True, metavar="NAME", help="The registered model.")
@click.option(
    "--version", "number", metavar="N", help="The version to compare; default: the challenger."
)
@tracking_option
@common
def compare(
    reading: Reading, name: str, number: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """Compare a version with the champion on dates of EVENTS that neither saw; change nothing."""
    from stagecast.serving.commands.model_lines import challenge_lines
    from stagecast.serving.jobs.models import compare_models

    compared = compare_models(reading, name, number, tracking_uri, steps=steps)
    if as_json:
        show_json(compared.to_json())
    else:
        show(challenge_lines(compared, only_compared=True))


@models.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="The registered model.")
@tracking_option
@common
def register(folder: Path, name: str, tracking_uri: str | None, as_json: bool) -> None:
    """Register the bundle in DIR as the challenger of NAME; it is not trained or compared."""
    from stagecast.serving.commands.model_lines import registered_lines
    from stagecast.serving.jobs.models import register_model

    registered = register_model(name, folder, tracking_uri)
    if as_json:
        show_json(registered.to_json())
    else:
        show(registered_lines(registered))


@models.command()
@click.argument("name")
@click.argument("number", metavar="VERSION", required=False)
@click.option("--why", required=True, metavar="TEXT", help="The reason, for the record.")
@tracking_option
@common
def promote(
    name: str, number: str | None, why: str, tracking_uri: str | None, as_json: bool
) -> None:
    """Make VERSION of NAME (or its challenger) the champion, whatever a comparison says."""
    from stagecast.serving.commands.model_lines import moved_lines
    from stagecast.serving.jobs.models import promote_model

    record = promote_model(name, number, why, tracking_uri)
    if as_json:
        show_json(vars(record))
    else:
        show(moved_lines(name, record))


@models.command()
@click.argument("name")
@click.option("--why", required=True, metavar="TEXT", help="The reason, for the record.")
@tracking_option
@common
def rollback(name: str, why: str, tracking_uri: str | None, as_json: bool) -> None:
    """Make the champion of NAME before the present one champion again."""
    from stagecast.serving.commands.model_lines import moved_lines
    from stagecast.serving.jobs.models import roll_back_model

    record = roll_back_model(name, why, tracking_uri)
    if as_json:
        show_json(vars(record))
    else:
        show(moved_lines(name, record))

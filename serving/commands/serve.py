"""``stagecast serve``: the API and the pages."""

from __future__ import annotations

import gc
from contextlib import nullcontext

import click

from stagecast.serving.commands.options import common


@click.command()
@click.option(
    "--model",
    metavar="MODEL",
    help="Bundle for POST /v1/score; default: that of the published scores.",
)
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option("--host", metavar="ADDRESS", help="Default 127.0.0.1; any other needs API keys.")
@click.option("--port", type=int, metavar="PORT", help="Default 8000.")
@click.option(
    "--read-only",
    is_flag=True,
    default=None,
    help="Only read the store, as of a replica; what writes is refused.",
)
@common
def serve(
    as_json: bool,
    model: str | None,
    store: str | None,
    host: str | None,
    port: int | None,
    read_only: bool | None,
) -> None:
    """The API and the pages."""
    gc.disable()  # what is imported from here on stays; the server enables it before it listens
    try:
        _serve(model, store, host, port, read_only, as_json=as_json)
    finally:
        gc.enable()


def _serve(
    model: str | None,
    store: str | None,
    host: str | None,
    port: int | None,
    read_only: bool | None,
    *,
    as_json: bool,
) -> None:
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.scoring.first_load import FirstLoad
    from stagecast.serving.settings import load_settings

    settings = load_settings(store=store, host=host, port=port, read_only=read_only)
    folder = settings.model if model is None else model_folder(model, settings)
    with nullcontext() if folder is None else FirstLoad(folder) as first_load:
        # slow to import; the child process loads the model meanwhile
        from stagecast.serving.http.server import serve as run_server

        run_server(settings, folder, as_json=as_json, first_load=first_load)

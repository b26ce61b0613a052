"""``stagecast serve``: the API and the pages."""

from __future__ import annotations

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
    "--workers", type=int, metavar="N", help="Processes that answer; default 1 (STAGECAST_WORKERS)."
)
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
    workers: int | None,
    read_only: bool | None,
) -> None:
    """The API and the pages."""
    from stagecast.serving.http.server import serve as run_server
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.settings import load_settings

    settings = load_settings(
        store=store, host=host, port=port, workers=workers, read_only=read_only
    )
    folder = None if model is None else model_folder(model, settings)
    run_server(settings, folder, as_json=as_json)

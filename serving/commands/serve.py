"""``stagecast serve``: the API and the pages."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from stagecast.features.errors import UsageError
from stagecast.serving.commands.options import common

if TYPE_CHECKING:
    from stagecast.serving.follow.sources import Source
    from stagecast.serving.settings import Settings


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
    "--follow-seconds",
    type=float,
    metavar="SECONDS",
    help="Look every SECONDS whether --model is another one, and serve that; default: never.",
)
@click.option(
    "--canary-share",
    type=float,
    metavar="SHARE",
    help="Share of the customers whom a followed model answers at first; default: all.",
)
@click.option(
    "--shadow",
    metavar="MODEL",
    help="Bundle, or models:/NAME@challenger, that is scored beside and never answers.",
)
@click.option(
    "--shadow-share",
    type=float,
    metavar="SHARE",
    help="Share of the requests that --shadow scores; default 0.1.",
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
    follow_seconds: float | None,
    canary_share: float | None,
    shadow: str | None,
    shadow_share: float | None,
    read_only: bool | None,
) -> None:
    """The API and the pages."""
    from stagecast.serving.settings import load_settings

    settings = load_settings(
        store=store,
        host=host,
        port=port,
        workers=workers,
        follow_seconds=follow_seconds,
        canary_share=canary_share,
        shadow=shadow,
        shadow_share=shadow_share,
        read_only=read_only,
    )
    if settings.canary_share is not None and settings.follow_seconds is None:
        raise UsageError("--canary-share needs --follow-seconds: only a followed model has a share")
    gc.disable()  # what is imported from here on stays; the server enables it before it listens
    try:
        if settings.follow_seconds is None:
            _serve(settings, model, as_json=as_json)
        else:
            _serve_followed(settings, model, as_json=as_json)
    finally:
        gc.enable()


def _serve(settings: Settings, model: str | None, *, as_json: bool) -> None:
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.scoring.first_load import FirstLoad

    folder = settings.model if model is None else model_folder(model, settings)
    with nullcontext() if folder is None else FirstLoad(folder) as first_load:
        # slow to import; the child process loads the model meanwhile
        from stagecast.serving.http.server import serve as run_server

        run_server(settings, folder, as_json=as_json, first_load=first_load)


def _serve_followed(settings: Settings, model: str | None, *, as_json: bool) -> None:
    from stagecast.serving.http.server import serve as run_server

    run_server(settings, None, as_json=as_json, source=_followed(settings, model))


def _followed(settings: Settings, model: str | None) -> Source:
    """Return where the model comes from that a server follows.

    Raises
    ------
    UsageError
        No model is named.
    """
    from stagecast.serving.follow.sources import source_of

    name = model if model is not None else settings.model
    if name is None:
        raise UsageError(
            "--follow-seconds needs --model: a folder, or models:/NAME@champion, to look at"
        )
    return source_of(str(name), settings.tracking_uri, settings.tracking_seconds)

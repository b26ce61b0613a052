"""Start of the server; it loads the store and the model before it listens."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import click
import uvicorn

from stagecast.serving.http.app import create_app
from stagecast.serving.http.auth import check_bind
from stagecast.serving.http.connections import (
    GRACEFUL_SECONDS,
    DrainingServer,
    Patience,
    protocol_with,
)
from stagecast.serving.http.door import has_stored_key
from stagecast.serving.http.state import State
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.scoring.rehearsal import load_rehearsed
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store


def serve(
    settings: Settings,
    model: Path | None,
    *,
    as_json: bool = False,
    first_load: FirstLoad | None = None,
) -> None:
    """Serve the API and the pages until the process is interrupted.

    Parameters
    ----------
    settings
        Settings of the server.
    model
        Bundle folder for ``POST /v1/score``. None takes ``settings.model``, else the bundle that
        made the published scores, if its folder still exists.
    first_load
        Loads the bundle already, in a child process; None: it is started here.
    as_json
        Whether to print address and model as JSON instead of text.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The address needs API keys, or the store or the model cannot be used.
    """
    store = Store.open(settings.store, read_only=settings.read_only)
    check_bind(settings.host, settings.keys, has_stored_key=has_stored_key(settings, store))
    folder = model or settings.model or _published_folder(store)
    scorer = None
    if folder is not None:
        with first_load or FirstLoad(folder) as first:
            scorer = load_rehearsed(first)
    app_settings = settings.model_copy(update={"model": folder})

    def loaded_scorer(_: Path) -> Scorer:
        if scorer is None:
            raise FileNotFoundError("no model was chosen")
        return scorer

    address = f"http://{settings.host}:{settings.port}"
    summary = {
        "address": address,
        "model_version": None if scorer is None else scorer.model_version,
        "published": store.current_run() is not None,
    }
    if as_json:
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{address}  the ranked list; {address}/docs  the API; Ctrl-C stops")
        if scorer is None:
            click.echo("no model: POST /v1/score answers 503 until one is given with --model")
    app = create_app(app_settings, scorer_loader=loaded_scorer, store=store)
    config = uvicorn.Config(
        app,
        http=protocol_with(Patience(settings.head_seconds, settings.body_seconds)),
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        # its lines have paths, and these have ids; `STAGECAST_ACCESS_LOG` writes templates
        access_log=False,
        # it would believe these headers from any process of this machine
        proxy_headers=False,
        server_header=False,
    )
    state: State = app.state.stagecast
    # what was imported and loaded stays: it is not looked through for garbage at each collection
    gc.collect()
    gc.freeze()
    gc.enable()
    try:
        DrainingServer(config, state.drain, settings.drain_seconds).run()
    finally:
        gc.unfreeze()
        store.close()


def _published_folder(store: Store) -> Path | None:
    """Return the folder of the bundle that made the published scores, if it still exists."""
    run = store.current_run()
    folder = None if run is None else Path(run.model_path)
    return folder if folder is not None and folder.is_dir() else None

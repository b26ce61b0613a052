"""Start of the server; it loads the store and the model before it listens."""

from __future__ import annotations

import gc
import json
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn

from stagecast.serving.follow.follower import Follower
from stagecast.serving.follow.shadow import Shadow
from stagecast.serving.follow.sources import Source
from stagecast.serving.http.app import create_app
from stagecast.serving.http.auth import check_bind
from stagecast.serving.http.connections import (
    GRACEFUL_SECONDS,
    DrainingServer,
    Patience,
    protocol_with,
)
from stagecast.serving.http.door import has_stored_key
from stagecast.serving.http.rollout import Rollout, follower_of, shadow_follower_of
from stagecast.serving.http.state import State
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.scoring.rehearsal import load_rehearsed
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store

FOLLOW_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Summary:
    """What a server says when it begins.

    Parameters
    ----------
    address
        Where it listens.
    model_version
        Version of its model; None: it has none.
    has_published
        Whether there are published scores.
    workers
        Number of processes.
    """

    address: str
    model_version: str | None
    has_published: bool
    workers: int = 1

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        if as_json:
            content: dict[str, Any] = {
                "address": self.address,
                "model_version": self.model_version,
                "published": self.has_published,
            }
            if self.workers > 1:
                content["workers"] = self.workers
            click.echo(json.dumps(content))
            return
        click.echo(f"{self.address}  the ranked list; {self.address}/docs  the API; Ctrl-C stops")
        if self.model_version is None:
            click.echo("no model: POST /v1/score answers 503 until one is given with --model")


def serve(
    settings: Settings,
    model: Path | None,
    *,
    as_json: bool = False,
    first_load: FirstLoad | None = None,
    source: Source | None = None,
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
    source
        Where the model comes from, if it is followed; in place of ``model``.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The address needs API keys, or the store or the model cannot be used.
    """
    if settings.workers > 1:
        from stagecast.serving.http.workers import serve_with_workers

        serve_with_workers(settings, model, as_json=as_json, first_load=first_load, source=source)
        return
    first = None if source is None else First.of(source)
    store = Store.open(settings.store, read_only=settings.read_only)
    try:
        folder = model_of(settings, model if first is None else first.folder, store)
        scorer = None
        if folder is not None:
            with first_load or FirstLoad(folder) as child:
                scorer = load_rehearsed(child)
        version = None if scorer is None else scorer.model_version
        summary = Summary(address_of(settings), version, store.current_run() is not None)
        summary.show(as_json=as_json)
        run_server(settings.model_copy(update={"model": folder}), scorer, store, first=first)
    finally:
        store.close()
        if first is not None:
            first.scratch.cleanup()


@dataclass(frozen=True)
class First:
    """The first bundle of a source, its mark, and a scratch folder of our own that holds it."""

    source: Source
    mark: str
    folder: Path
    scratch: tempfile.TemporaryDirectory[str]

    @classmethod
    def of(cls, source: Source) -> First:
        """Take the current bundle of a source; raises UsageError where there is none."""
        mark = source.current()
        scratch = tempfile.TemporaryDirectory(prefix="stagecast-model-")
        return cls(source, mark, source.take(mark, Path(scratch.name)), scratch)


def address_of(settings: Settings) -> str:
    """Return the address at which a server listens."""
    return f"http://{settings.host}:{settings.port}"


def model_of(settings: Settings, model: Path | None, store: Store) -> Path | None:
    """Return the bundle folder of a server, which may listen where it is told to; None without one.

    Raises
    ------
    UsageError
        The address can be reached from other machines, and there are no keys.
    """
    check_bind(settings.host, settings.keys, has_stored_key=has_stored_key(settings, store))
    folder = model if model is not None else settings.model
    if folder is not None:
        return folder
    current_run = store.current_run()
    published_folder = None if current_run is None else Path(current_run.model_path)
    return published_folder if published_folder is not None and published_folder.is_dir() else None


def run_server(
    settings: Settings,
    scorer: Scorer | None,
    store: Store,
    *,
    first: First | None = None,
    worker: Worker | None = None,
    listening: socket.socket | None = None,
    ready: Callable[[State], None] | None = None,
) -> None:
    """Answer requests until the process is told to stop.

    Parameters
    ----------
    settings
        Settings of the server, with the model's folder.
    scorer
        The model; None: there is none.
    store
        Published scores.
    first
        What the model is the first bundle of, if that is followed.
    worker
        Which of several workers this is.
    listening
        Socket that listens; None: one is made.
    ready
        Called with the server's state once requests are answered.
    """

    def loaded_scorer(_: Path) -> Scorer:
        if scorer is None:
            raise FileNotFoundError("no model was chosen")
        return scorer

    app = create_app(settings, scorer_loader=loaded_scorer, store=store, worker=worker)
    config = uvicorn.Config(
        app,
        http=protocol_with(Patience(settings.head_seconds, settings.body_seconds)),
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        log_config=None,
        # its lines have paths, and these have ids; `STAGECAST_ACCESS_LOG` writes templates
        access_log=False,
        # it would believe these headers from any process of this machine
        proxy_headers=False,
        server_header=False,
    )
    state: State = app.state.stagecast
    followers: list[Follower] = []
    scratch = tempfile.TemporaryDirectory(prefix="stagecast-reports-")
    if settings.shadow is not None:
        state.shadow = Shadow(settings.shadow_share)
    if worker is None:  # the parent of workers follows for all
        followers = follow(state, first, Path(scratch.name))
    # what was imported and loaded stays: it is not looked through for garbage at each collection
    gc.collect()
    gc.freeze()
    gc.enable()
    server = DrainingServer(
        config,
        state.drain,
        settings.drain_seconds,
        ready=None if ready is None else partial(ready, state),
    )
    try:
        server.run(sockets=None if listening is None else [listening])
    finally:
        gc.unfreeze()
        for follower in followers:
            follower.stop(FOLLOW_STOP_SECONDS)
        if state.shadow is not None:
            state.shadow.stop()
        scratch.cleanup()


def follow(state: State, first: First | None, scratch: Path) -> list[Follower]:
    """Begin to look for another model, and for another challenger.

    Requests that have begun are answered by the model with which they began.

    Parameters
    ----------
    state
        The state of the server.
    first
        What the model is the first bundle of; None: it is not followed.
    scratch
        Folder for the reports of comparisons.
    """
    rollout, followers = Rollout(state, state.settings.model, scratch), []
    if first is not None:
        follower = follower_of(first.source, first.mark, rollout.put, state.settings)
        state.doubt = lambda: follower.doubt
        followers.append(follower)
    challengers = shadow_follower_of(state.settings, rollout.put_shadow)
    if challengers is not None and state.shadow is not None:
        state.shadow.doubt = lambda: challengers.doubt
        followers.append(challengers)
    for each in followers:
        each.start()
    return followers

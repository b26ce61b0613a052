"""Several processes that answer at one address, and the process that watches over them.

The parent opens the socket and loads no model. Each worker is a process of its own that takes
connections from that socket; it reads the same bundle and answers with the scores that a child
process rehearsed, or it does not start. One that ends is started again.
"""

from __future__ import annotations

import logging
import logging.config
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.serving.follow.follower import Doubt, Follower
from stagecast.serving.follow.sources import Source
from stagecast.serving.http.connections import GRACEFUL_SECONDS
from stagecast.serving.http.json_lines import LOG_CONFIG
from stagecast.serving.http.server import (
    FOLLOW_SECONDS,
    FOLLOW_STOP_SECONDS,
    First,
    Summary,
    address_of,
    model_of,
)
from stagecast.serving.http.worker_place import (
    RESTART_SECONDS,
    RESTART_SECONDS_MAX,
    SETTLED_SECONDS,
    Place,
)
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store

BACKLOG = 2048
LOOK_SECONDS = 0.1
_STOP_SECONDS = 10.0
"""Beyond the time that a worker has to drain and to answer, after which it is killed."""
_logger = logging.getLogger("stagecast.server")


def serve_with_workers(
    settings: Settings,
    model: Path | None,
    *,
    as_json: bool,
    first_load: FirstLoad | None = None,
    source: Source | None = None,
) -> None:
    """Serve with several processes; see :func:`stagecast.serving.http.server.serve`.

    Raises
    ------
    stagecast.features.errors.StagecastError
        As for one process, or a worker ended before it answered.
    """
    logging.config.dictConfig(LOG_CONFIG)
    first = None if source is None else First.of(source)
    store = Store.open(settings.store, read_only=settings.read_only)
    try:
        folder = model_of(settings, model if first is None else first.folder, store)
        has_published = store.current_run() is not None
    finally:
        store.close()
    expected = None
    if folder is not None:
        with first_load or FirstLoad(folder) as child:
            expected = child.hash()
    scratch = tempfile.TemporaryDirectory(prefix="stagecast-workers-")
    with scratch as metrics, _listen(settings) as listening:
        job = {
            "settings": plain_settings(settings.model_copy(update={"model": folder})),
            "expected": expected,
            "socket": listening.fileno(),
            "metrics": metrics,
        }
        parent = _Parent(job, listening, settings.drain_seconds)
        parent.start(settings.workers)
        version = parent.wait_until_ready()
        address = address_of(settings.model_copy(update={"port": listening.getsockname()[1]}))
        Summary(address, version, has_published, settings.workers).show(as_json=as_json)
        follower = None
        if first is not None:
            follower = parent.follow(first, settings.follow_seconds or FOLLOW_SECONDS)
        try:
            parent.watch()
        finally:
            if follower is not None:
                follower.stop(FOLLOW_STOP_SECONDS)
            if first is not None:
                first.scratch.cleanup()


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON, for a process that is to have the same; secrets are plain text."""
    # the file of keys is read already, and a server asks MLflow nothing
    values = settings.model_dump(exclude={"api_keys", "api_keys_file", "tracking_uri"})
    secret = settings.webhook_secret
    return {
        **{name: str(v) if isinstance(v, Path) else v for name, v in values.items()},
        "api_keys": list(settings.keys),
        "api_keys_file": None,
        "webhook_secret": None if secret is None else secret.get_secret_value(),
    }


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--host {settings.host} --port {settings.port}: {error.strerror}; name another"
        ) from None
    return listening


class _Parent:
    """Starts workers, watches over them, and stops them."""

    def __init__(self, job: dict[str, Any], listening: socket.socket, drain: float) -> None:
        self._job, self._listening = job, listening
        self._stop_seconds = drain + GRACEFUL_SECONDS + _STOP_SECONDS
        self._places: list[Place] = []
        self._stopping: float | None = None
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._doubts: dict[int, tuple[int, Doubt | None]] = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def start(self, count: int) -> None:
        """Start so many workers."""
        self._places = [Place(number) for number in range(count)]
        for place in self._places:
            place.start(self._job)

    def put(self, folder: Path) -> None:
        """Have all workers prepare the bundle of a folder, and then serve it.

        Raises
        ------
        stagecast.features.errors.StagecastError
            The child or a worker refuses it; then all go on with the old one.
        """
        with FirstLoad(folder) as child:
            expected = child.hash()
        with self._lock:  # nobody is started again meanwhile, with the old model
            alive = [place for place in self._places if place.process.poll() is None]
            for place in alive:
                place.order({"prepare": str(folder), "expected": expected})
            for place in alive:
                place.wait_prepared()
            settings = {**self._job["settings"], "model": str(folder)}
            self._job = {**self._job, "settings": settings, "expected": expected}
            for place in alive:
                place.order({"swap": True})

    def follow(self, first: First, seconds: float) -> Follower:
        """Begin to look for another model."""
        self._follower = Follower(first.source, first.mark, self.put, seconds)
        self._follower.start()
        return self._follower

    def wait_until_ready(self) -> str | None:
        """Wait until all workers answer, and return the version of their model.

        Raises
        ------
        UsageError
            One of them ended before.
        """
        while not all(place.is_ready.is_set() for place in self._places):
            ended = [place for place in self._places if place.process.poll() is not None]
            if self._stopping is not None or ended:
                was_asked = self._stopping is not None
                self._stop()
                if was_asked:
                    raise KeyboardInterrupt
                raise UsageError(
                    f"a worker ended with code {ended[0].process.returncode} before it answered; "
                    "the lines above say why"
                )
            time.sleep(LOOK_SECONDS)
        return self._places[0].version

    def watch(self) -> None:
        """Start workers again that end, until a signal says to stop; then stop them all."""
        while self._stopping is None:
            if self._lock.acquire(blocking=False):
                try:
                    for place in self._places:
                        self._look(place)
                finally:
                    self._lock.release()
            time.sleep(LOOK_SECONDS)
        self._stop()

    def _look(self, place: Place) -> None:
        now = time.monotonic()
        if place.process.poll() is None:
            self._show_doubt(place)
            if now - place.started > SETTLED_SECONDS:
                place.pause = RESTART_SECONDS
            return
        if place.restart_at is None:
            place.restart_at = now + place.pause
            _logger.error(
                "worker %d ended with code %d; it starts again in %g s",
                place.number,
                place.process.returncode,
                place.pause,
            )
            place.pause = min(2 * place.pause, RESTART_SECONDS_MAX)
        elif now >= place.restart_at:
            place.start(self._job)

    def _show_doubt(self, place: Place) -> None:
        """Tell a worker why the old model stays, if it does not know yet."""
        if self._follower is None or not place.is_ready.is_set():
            return
        doubt = self._follower.doubt
        of_process = place.process.pid, doubt
        if self._doubts.get(place.number) != of_process:
            self._doubts[place.number] = of_process
            place.order({"doubt": None if doubt is None else doubt.to_json()})

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping is None:
            self._stopping = time.monotonic()
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process.poll() is None:
                place.process.send_signal(number)

    def _stop(self) -> None:
        if self._stopping is None:
            self._stopping = time.monotonic()
            self._pass_on(signal.SIGTERM)
        deadline = self._stopping + self._stop_seconds
        while any(place.process.poll() is None for place in self._places):
            if time.monotonic() > deadline:
                self._pass_on(signal.SIGKILL)
            time.sleep(LOOK_SECONDS)

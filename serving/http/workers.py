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
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.follow.canary import wait_for_verdict
from stagecast.serving.follow.follower import Doubt, Follower
from stagecast.serving.follow.sources import Source
from stagecast.serving.http.connections import GRACEFUL_SECONDS
from stagecast.serving.http.json_lines import LOG_CONFIG
from stagecast.serving.http.rollout import (
    follower_of,
    limits_of,
    new_trial,
    reports_in,
    shadow_follower_of,
)
from stagecast.serving.http.server import (
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
        parent = _Parent(job, listening, settings)
        parent.start(settings.workers)
        version = parent.wait_until_ready()
        if parent.is_stopped:
            return
        address = address_of(settings.model_copy(update={"port": listening.getsockname()[1]}))
        Summary(address, version, has_published, settings.workers).show(as_json=as_json)
        followers = parent.follow(first)
        try:
            parent.watch()
        finally:
            for follower in followers:
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

    def __init__(self, job: dict[str, Any], listening: socket.socket, settings: Settings) -> None:
        self._job, self._listening, self._settings = job, listening, settings
        self._scratch = Path(job["metrics"])
        self._stop_seconds = settings.drain_seconds + GRACEFUL_SECONDS + _STOP_SECONDS
        self._places: list[Place] = []
        self._stopping: float | None = None
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._challengers: Follower | None = None
        self._doubts: dict[int, tuple[int, list[Doubt | None]]] = {}
        self._tries = 0
        self._trial: dict[str, Any] | None = None
        self._shadow: dict[str, Any] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def start(self, count: int) -> None:
        """Start so many workers."""
        self._places = [Place(number) for number in range(count)]
        for place in self._places:
            place.start(self._job)

    def put(self, folder: Path, goes_on: Callable[[], bool]) -> None:
        """Have all workers prepare the bundle of a folder, and then serve it.

        Parameters
        ----------
        folder, goes_on
            See :meth:`stagecast.serving.http.rollout.Rollout.put`.

        Raises
        ------
        stagecast.features.errors.StagecastError
            The child or a worker refuses it, or it was rolled back; then all go on with the old
            one.
        """
        with FirstLoad(folder) as child:
            expected = child.hash()
        share, old = self._settings.canary_share, self._job["settings"]["model"]
        with self._lock:  # nobody is started again meanwhile, with the old model
            self._prepare(folder, expected)
            if share is None or old is None:
                self._swap(folder, expected)
                return
            trial = new_trial(share, folder, Path(old), self._scratch)
            self._trial = {"canary": trial.to_json(), "expected": expected}
            begun = [
                (place, place.starts) for place in self._places if place.process.poll() is None
            ]
            self._order_all(self._trial)

        def death() -> str | None:
            for place, starts in begun:
                if place.starts != starts or place.process.poll() is not None:
                    return f"worker {place.number} ended while it answered"
            return None

        try:
            wait_for_verdict(trial, limits_of(self._settings), goes_on=goes_on, death=death)
        except BaseException:
            with self._lock:
                self._trial = None
                self._order_all({"drop": True})
            raise
        with self._lock:
            self._trial = None
            self._swap(folder, expected)

    def _prepare(self, folder: Path, expected: str) -> None:
        """Have all workers load a bundle; raises DataRefusedError where one of them cannot."""
        self._tries += 1
        alive = [place for place in self._places if place.process.poll() is None]
        for place in alive:
            place.order({"prepare": str(folder), "expected": expected, "try": self._tries})
        # each of them is heard, also when another one refuses: what it says is of this bundle
        problems = [place.wait_prepared(self._tries) for place in alive]
        problem = next((text for text in problems if text is not None), None)
        if problem is not None:
            for place in alive:
                place.order({"drop": True})
            raise DataRefusedError(problem)

    def _swap(self, folder: Path, expected: str) -> None:
        settings = {**self._job["settings"], "model": str(folder)}
        self._job = {**self._job, "settings": settings, "expected": expected}
        self._order_all({"swap": True})

    def _order_all(self, order: dict[str, Any]) -> None:
        for place in self._places:
            if place.process.poll() is None:
                place.order(order)

    def put_shadow(self, folder: Path) -> None:
        """Have all workers ask a challenger beside.

        Raises
        ------
        stagecast.features.errors.StagecastError
            It cannot score.
        """
        with FirstLoad(folder) as child:
            child.hash()
        with self._lock:
            self._shadow = {"shadow": str(folder), "reports": str(reports_in(self._scratch))}
            self._order_all(self._shadow)

    def follow(self, first: First | None) -> list[Follower]:
        """Begin to look for another model, and for another challenger."""
        if first is not None:
            self._follower = follower_of(first.source, first.mark, self.put, self._settings)
        self._challengers = shadow_follower_of(self._settings, self.put_shadow)
        followers = [each for each in (self._follower, self._challengers) if each is not None]
        for follower in followers:
            follower.start()
        return followers

    def wait_until_ready(self) -> str | None:
        """Wait until all workers answer, and return the version of their model.

        Where a signal says to stop before, all workers are stopped; see ``is_stopped``.

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
                    return None
                raise UsageError(
                    f"a worker ended with code {ended[0].process.returncode} before it answered; "
                    "the lines above say why"
                )
            time.sleep(LOOK_SECONDS)
        return self._places[0].version

    @property
    def is_stopped(self) -> bool:
        """Whether all workers were told to stop, and have ended."""
        return self._stopping is not None and all(
            place.process.poll() is not None for place in self._places
        )

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
            for order in (self._shadow, self._trial):
                if order is not None:
                    place.order(order)

    def _show_doubt(self, place: Place) -> None:
        """Tell a worker why the old model stays, if it does not know yet."""
        if not place.is_ready.is_set():
            return
        doubts = [
            None if each is None else each.doubt for each in (self._follower, self._challengers)
        ]
        of_process = place.process.pid, doubts
        if self._follower is None and self._challengers is None:
            return
        if self._doubts.get(place.number) != of_process:
            self._doubts[place.number] = of_process
            doubt, shadow_doubt = (None if each is None else each.to_json() for each in doubts)
            place.order({"doubt": doubt, "shadow_doubt": shadow_doubt})

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

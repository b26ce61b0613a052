"""The thread that looks for another model, has it checked, and puts it in the place of the old one.

Whatever goes wrong, the old model goes on to answer, and what is wrong is told with the time since
when it is.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stagecast.features.clock import instant_text, parse_instant
from stagecast.features.errors import StagecastError
from stagecast.serving.follow.canary import RolledBackError, SupersededError
from stagecast.serving.follow.sources import Source

AGAIN_SECONDS = 300.0
"""After so long a bundle that was refused is tried again: the machine may have been too busy."""
_logger = logging.getLogger("stagecast.server")


@dataclass(frozen=True)
class Doubt:
    """Why the old model stays: since when (UTC), and what is wrong."""

    since: datetime
    problem: str

    def to_json(self) -> dict[str, str]:
        """Return it as plain data."""
        return {"since": instant_text(self.since), "problem": self.problem}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Doubt:
        """Return the doubt that :meth:`to_json` described."""
        return cls(parse_instant(data["since"]), data["problem"])


class Follower:
    """Looks for another model every few seconds.

    Parameters
    ----------
    source
        Where the model comes from.
    served
        Mark of the bundle that is served now; None: of none.
    put
        Checks the bundle of a folder and serves it; raises StagecastError and leaves the old one
        where it is not what it should be.
    every_seconds
        Pause between two looks.
    what
        Name of the model, for the log.
    at_once
        Whether to look first without a pause.
    """

    def __init__(
        self,
        source: Source,
        served: str | None,
        put: Callable[[Path], None],
        every_seconds: float,
        *,
        what: str = "model",
        at_once: bool = False,
    ) -> None:
        self._source, self._put, self._every = source, put, every_seconds
        self._what, self._at_once = what, at_once
        self.served = served
        self.doubt: Doubt | None = None
        self._refused: tuple[str, float] | None = None
        self._rolled_back: dict[str, str] = {}
        self._tried: str | None = None
        self._copy: Path | None = None
        self._looked = 0.0
        self._stopped = threading.Event()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Stop; a check that takes longer than so many seconds ends with the process."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self._folder is not None and not self._thread.is_alive():
            self._folder.cleanup()

    def look(self) -> bool:
        """Look once, and return whether another model is served since."""
        try:
            mark = self._source.current()
            if mark == self.served:
                self._clear()
                return False
            if mark in self._rolled_back:
                self._doubt(self._rolled_back[mark])
                return False
            if self._refused is not None:
                refused, until = self._refused
                if refused == mark and time.monotonic() < until:
                    return False
            self._serve(mark)
        except SupersededError:
            return False
        except StagecastError as error:
            self._doubt(self._as_named(str(error)))
        except Exception as error:  # a fault of ours must not end the thread, nor the old model
            self._doubt(f"{type(error).__name__} while the model was checked")
        else:
            return True
        return False

    def wants(self) -> bool:
        """Return whether the model that is being put is still wanted: neither has another one taken
        its place, nor are we told to stop.
        """
        if self._stopped.is_set():
            return False
        if time.monotonic() - self._looked < self._every:
            return True
        self._looked = time.monotonic()
        try:
            return self._source.current() == self._tried
        except StagecastError:
            return True  # who cannot be asked has said nothing else

    def _serve(self, mark: str) -> None:
        folder = tempfile.TemporaryDirectory(prefix="stagecast-model-")
        try:
            candidate = self._source.take(mark, Path(folder.name))
            self._refused = mark, time.monotonic() + AGAIN_SECONDS
            self._tried, self._looked, self._copy = mark, time.monotonic(), candidate
            self._put(candidate)
        except BaseException as error:
            folder.cleanup()
            if isinstance(error, RolledBackError):
                self._rolled_back[mark] = self._as_named(str(error))
            raise
        before, self._folder = self._folder, folder
        self.served = mark
        self._clear()
        if before is not None:
            before.cleanup()

    def _as_named(self, problem: str) -> str:
        """Return a problem with the name of the source in the place of the folder of its copy."""
        if self._copy is None:
            return problem
        return problem.replace(str(self._copy), self._source.name)

    def _clear(self) -> None:
        self._refused = self.doubt = None

    def _doubt(self, problem: str) -> None:
        since = datetime.now(UTC) if self.doubt is None else self.doubt.since
        if self.doubt is None or self.doubt.problem != problem:
            _logger.warning("the %s stays: %s", self._what, problem)
        self.doubt = Doubt(since, problem)

    def _run(self) -> None:
        while not self._stopped.wait(0 if self._at_once else self._every):
            self._at_once = False
            if self.look():
                _logger.info("another %s has been put: %s", self._what, self.served)

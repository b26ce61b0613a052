"""A thread of the server that sends the webhooks that are due."""

from __future__ import annotations

import logging
import threading

import sqlalchemy as sa

from stagecast.serving.webhooks.delivery import deliver_due
from stagecast.serving.webhooks.receiver import Receiver

EVERY_SECONDS = 5.0
_log = logging.getLogger("stagecast.webhooks")


class Courier:
    """Sends what is due every few seconds, until it is stopped.

    Parameters
    ----------
    engine
        The store.
    receiver
        Where webhooks are sent.
    every_seconds
        Pause between two looks into the store.
    """

    def __init__(
        self, engine: sa.Engine, receiver: Receiver, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._engine, self._receiver, self._every = engine, receiver, every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the message that is being sent."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                deliver_due(self._engine, self._receiver, stopped=self._stopped.is_set)
            except sa.exc.SQLAlchemyError as error:
                # the store is busy or away: the messages are still there at the next look
                _log.warning("webhooks wait: the store cannot be read (%s)", type(error).__name__)
            self._stopped.wait(self._every)

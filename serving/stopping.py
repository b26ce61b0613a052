"""A process that is told to stop by SIGTERM puts its temporary files away before it ends."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt no error, but an end that ``finally`` sees."""


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    raise Terminated


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM unwind the stack, run what waits for the end of the process, and then end it.

    The process ends by the signal, so that who started it sees what it sees of others. uvicorn
    catches the signal while it serves, and raises it again when it has stopped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except Terminated:
        atexit._run_exitfuncs()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)

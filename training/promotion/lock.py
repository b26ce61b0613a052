"""One process at a time changes a registered model.

In an SQLite store it is a lock of a file, which the system releases when its holder dies. On a
server it is a tag of the registered model with a holder and an end: whoever sees it free or over
writes their own name, waits longer than a write takes, and has it if their name still stands there
(Fischer's algorithm; Lamport 1987, "A fast mutual exclusion algorithm", section 2). A holder that
was killed loses it at its end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.errors import UsageError
from stagecast.training.tracking.locks import file_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK = "stagecast.lock"
HELD_SECONDS = 60.0
"""How long a holder on a server may take, and how long others wait."""
SETTLING_SECONDS = 1.0
"""Longer than a write of a tag takes."""


@contextmanager
def held(client: MlflowClient, name: str, file: Path | None) -> Iterator[None]:
    """Hold the lock of a registered model while the block runs.

    Parameters
    ----------
    name
        The registered model.
    file
        Of the SQLite store; None: the store is a server.

    Raises
    ------
    UsageError
        Another process holds it for too long.
    """
    if file is not None:
        # not the lock under which the store is opened: the block opens it, too
        with file_lock(file.with_name(f".{file.name}.registry.lock"), HELD_SECONDS):
            yield
        return
    holder = _acquire(client, name)
    try:
        yield
    finally:
        if _holder(client, name)[0] == holder:
            client.set_registered_model_tag(name, LOCK, "")


def _acquire(client: MlflowClient, name: str) -> str:
    token, until = secrets.token_hex(8), time.monotonic() + 2 * HELD_SECONDS
    while time.monotonic() < until:
        holder, end = _holder(client, name)
        if not holder or end < time.time():
            client.set_registered_model_tag(name, LOCK, f"{token} {time.time() + HELD_SECONDS}")
            time.sleep(SETTLING_SECONDS)
            if _holder(client, name)[0] == token:
                return token
        time.sleep(SETTLING_SECONDS / 4)
    raise UsageError(
        f"another process has held the registered model '{name}' for {2 * HELD_SECONDS:.0f} s; "
        "wait for it"
    )


def _holder(client: MlflowClient, name: str) -> tuple[str, float]:
    text = str(client.get_registered_model(name).tags.get(LOCK, ""))
    holder, _, end = text.partition(" ")
    try:
        return holder, float(end or 0)
    except ValueError:
        return "", 0.0

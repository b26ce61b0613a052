"""What is dear to make and only looked at, made once for all processes that run the tests."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same path; a process that dies leaves."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all processes of a run of the tests see."""
    own = factory.getbasetemp()
    home = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    home.mkdir(exist_ok=True)
    return home


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """Return what ``make`` makes in an empty folder: made by the first process that asks.

    The others read what it returned, and wait meanwhile. Nobody may write into the folder: a test
    that changes something copies it first.
    """
    home = shared_folder(factory)
    result = home / f"{name}.pickle"
    with locked(home / f"{name}.lock"):
        if not result.exists():
            folder = home / name
            shutil.rmtree(folder, ignore_errors=True)  # what a try that failed left there
            folder.mkdir()
            result.write_bytes(pickle.dumps(make(folder)))
    made: T = pickle.loads(result.read_bytes())
    return made

"""The option ``--store`` of the commands that read or write the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
StoreOption = str | None


def store_option(function: F) -> F:
    """Add ``--store``."""
    return click.option(
        "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
    )(function)

"""The option ``--tracking-uri`` of the commands that read or write registered models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def tracking_option(function: F) -> F:
    """Add ``--tracking-uri``."""
    return click.option(
        "--tracking-uri",
        metavar="URI",
        help="MLflow store; default sqlite:///mlflow.db (or STAGECAST_TRACKING_URI).",
    )(function)

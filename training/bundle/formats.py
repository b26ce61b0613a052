"""Formats of bundles: the one that is written, those that are read, and the steps between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stagecast.features.errors import DataRefusedError

FORMAT, OLDEST_FORMAT = 8, 8
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
UPGRADES: dict[int, Upgrade] = {}
"""Format -> what makes the content of ``models.json`` that of the next one, for every format from
:data:`OLDEST_FORMAT` on; ``tests/training/bundle/of_formats`` holds a bundle of each.
"""
_FORMATS = str(FORMAT) if OLDEST_FORMAT == FORMAT else f"{OLDEST_FORMAT} to {FORMAT}"


def format_of(manifest: Mapping[str, Any], folder: Path) -> int:
    """Return the format of a bundle.

    Parameters
    ----------
    manifest
        Its ``manifest.json``.
    folder
        Where it lies, for the error.

    Raises
    ------
    DataRefusedError
        This version does not read the format.
    """
    number = manifest.get("format")
    if type(number) is not int or not OLDEST_FORMAT <= number <= FORMAT:
        newer = type(number) is int and number > FORMAT
        raise DataRefusedError(
            f"{folder}: bundle format {number!r}, this version reads {_FORMATS}; "
            + ("install a newer stagecast" if newer else "train it again")
        )
    return number


def upgrade(data: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the content of ``models.json`` of a format as that of :data:`FORMAT`."""
    for older in range(number, FORMAT):
        data = UPGRADES[older](data)
    return data

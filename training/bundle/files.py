"""Files of a bundle: their names, their bytes, and the hashes by which a change is noticed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from stagecast.features.errors import DataRefusedError

MANIFEST, MODELS, CARD = "manifest.json", "models.json", "card.json"
OWN_MEMBERS = "own_members.skops"
SEAL = "sha256"
"""Key of the manifest: the hash of the rest of it."""
MAX_FILE_BYTES = 256 * 1024 * 1024
_NAME = re.compile(r"[a-z_]+(\.lightgbm)?\.(json|txt)|own_members\.skops")


def json_bytes(data: Any) -> bytes:
    """Return data as the text of a file, the same on any machine.

    Raises
    ------
    ValueError
        A number is NaN or infinite.
    """
    # strict JSON: NaN or infinity fails here, where the bundle is written, not where it is read
    return (
        json.dumps(data, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    ).encode()


def sha256_of(data: bytes) -> str:
    """Return the sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def version_of(files: Mapping[str, bytes]) -> str:
    """Return twelve hex digits of the hash over the names and contents of the files."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:12]


def seal_of(manifest: Mapping[str, Any]) -> str:
    """Return the hash of a manifest: its as_of and data cutoff stand in no other file."""
    return sha256_of(json_bytes({name: value for name, value in manifest.items() if name != SEAL}))


def bundle_digest(folder: Path) -> str:
    """Return the hash of a bundle: of its manifest, which has the hashes of its files.

    Raises
    ------
    DataRefusedError
        The manifest cannot be read.
    """
    return sha256_of(read_file(folder, MANIFEST))


def read_file(folder: Path, name: str) -> bytes:
    """Return the bytes of a file of a bundle.

    Raises
    ------
    DataRefusedError
        No file of a bundle has such a name, or it cannot be read, is no plain file, or is larger
        than :data:`MAX_FILE_BYTES`.
    """
    if not _NAME.fullmatch(name):
        raise DataRefusedError(f"{folder}: '{name}' is no name of a file in a bundle")
    path = folder / name
    try:
        if not S_ISREG(path.stat().st_mode):
            raise DataRefusedError(f"{path} is no plain file; copy the bundle again, whole")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataRefusedError(
                f"{path} is larger than a bundle's files can be ({MAX_FILE_BYTES} bytes)"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataRefusedError(
            f"{path} cannot be read ({error.strerror}); copy the bundle again, whole"
        ) from error


def checked_file(folder: Path, name: str, sha256: str, size: int) -> bytes:
    """Return the bytes of a file of which the manifest gives the hash and the size in bytes.

    Raises
    ------
    DataRefusedError
        As :func:`read_file`, or the file is not as it was written.
    """
    data = read_file(folder, name)
    if len(data) != size or sha256_of(data) != sha256:
        raise DataRefusedError(
            f"{folder / name} is not as it was written (sha256 {sha256_of(data)[:12]}..., "
            f"expected {sha256[:12]}...); "
            "copy the bundle again, or train it again"
        )
    return data


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON knows")


def parsed_json(folder: Path, name: str, data: bytes) -> dict[str, Any]:
    """Return the object that the JSON of a file holds.

    Raises
    ------
    DataRefusedError
        It is not JSON, has NaN or infinity, or holds no object.
    """
    try:
        parsed = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DataRefusedError(f"{folder / name} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise DataRefusedError(f"{folder / name} holds a {type(parsed).__name__}, not an object")
    return parsed

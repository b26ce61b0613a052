"""Bundles that were changed, with hashes that fit: the changes are all that there is to refuse."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from stagecast.training.bundle import CARD, MANIFEST, SEAL


def make_hashes_fit(folder: Path) -> None:
    """Write the hashes, the lengths and the model version of a folder's files into its manifest."""
    manifest = json.loads((folder / MANIFEST).read_text())
    digest = hashlib.sha256()
    for name in sorted(manifest["files"]):
        content = (folder / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"sha256": sha256, "bytes": len(content)}
        if name != CARD:
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    manifest["model_version"] = digest.hexdigest()[:12]
    manifest.pop(SEAL, None)  # as of a bundle of before
    (folder / MANIFEST).write_text(json.dumps(manifest))

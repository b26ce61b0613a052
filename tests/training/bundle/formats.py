"""Where the bundles of each format stand, of this version and of earlier ones."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("of_formats")
"""``format-N`` is a bundle as that version wrote it, ``format-N-scores.json`` what it scored."""

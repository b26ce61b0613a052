"""The texts of the pages in a language: a file of ``serving/pages/locales``, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "pages"


@cache
def texts_of(language: str = "en") -> dict[str, Any]:
    """Return the texts of the pages in a language; they are read once."""
    file = FOLDER / "locales" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))

"""The texts of the pages in a language: files of ``serving/pages/locales``, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "pages"


@cache
def texts_of(language: str = "en") -> dict[str, Any]:
    """Return the texts of the pages and of reports in a language; they are read once.

    Those that only reports have stand in ``locales/report``; a table of both files is one table.
    """
    texts = _read(FOLDER / "locales" / f"{language}.toml")
    for name, table in _read(FOLDER / "locales" / "report" / f"{language}.toml").items():
        texts[name] = {**texts.get(name, {}), **table}
    return texts


def label_of(english: str, language: str) -> str:
    """Return a name that other parts make in English, such as that of a method, in a language.

    A name of somebody else, such as of a model of one's own, stays as it is.

    >>> label_of("recency rule", "ru"), label_of("BG/NBD (lifetimes)", "fa"), label_of("own", "ru")
    ('правило давности', 'BG/NBD (lifetimes)', 'own')
    """
    texts = texts_of(language)
    label: str = texts["labels"].get(english, english)
    for method, words in texts["methods"].items():
        if label == f"stagecast ({method})" and language != "en":
            return f"stagecast ({words})"
    return label


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))

"""Texts of a stage scheme in a language: as it says them, else as the schemes of the package do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from stagecast.features.stages.scheme_files import known_schemes, load_scheme, scheme_to_json


def translation(texts: Mapping[str, str], language: str, default: str) -> str:
    """Return a text of a scheme in a language, else as the scheme of the package of that name says
    it, else in any language, else the default.

    >>> translation({"en": "New"}, "fa", "new"), translation({"en": "Own"}, "fa", "own")
    ('تازه', 'Own')
    >>> translation({}, "fa", "new")
    'new'
    """
    text = texts.get(language) or _of_package(language).get(texts.get("en", ""))
    return text or next(iter(texts.values()), default)


def scheme_texts(scheme: Mapping[str, Any], language: str) -> dict[str, str]:
    """Return what is said in English -> in a language, of a scheme as it is stored with a run.

    Scores hold the action that was proposed in English; this is how a page says it. A scheme that
    was stored before its texts had the language is completed from the schemes of the package.
    """
    own = {texts["en"]: texts[language] for texts in _texts(scheme) if {"en", language} <= {*texts}}
    return {**_of_package(language), **own}


def _texts(scheme: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Yield each text of a scheme, language -> text, also of one as it stands in a bundle."""
    for part in (*scheme.get("stages", ()), *scheme.get("stage", ())):
        yield from (part["title"], part["meaning"], part["action"])
    for part in (*scheme.get("plays", ()), *scheme.get("play", ())):
        yield from (part["title"], part.get("action") or {})


@cache
def _of_package(language: str) -> dict[str, str]:
    schemes = [scheme_to_json(load_scheme(name)) for name in known_schemes()]
    return {
        texts["en"]: texts[language]
        for scheme in schemes
        for texts in _texts(scheme)
        if {"en", language} <= {*texts}
    }

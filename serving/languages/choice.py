"""Which display a request asks for: its address, then what was chosen before, then the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from stagecast.serving.languages.display import (
    LANGUAGES,
    Calendar,
    Digits,
    Display,
    Language,
    language_named,
)

OPTIONS: Mapping[str, Sequence[str]] = {
    "lang": LANGUAGES,
    "digits": get_args(Digits),
    "calendar": get_args(Calendar),
}
"""Names of parameters and of cookies -> what they may be."""
MOST_TAGS = 20
"""Languages of an ``Accept-Language`` header that are looked at."""


def accepted_language(header: str) -> Language | None:
    """Return the language of ours that an ``Accept-Language`` header likes best; None: none.

    >>> accepted_language("de, ru;q=0.8, fa;q=0.9"), accepted_language("fa;q=0, *")
    ('fa', None)
    """
    ranked: list[tuple[float, int, Language]] = []
    for position, part in enumerate(header.split(",")[:MOST_TAGS]):
        tag, _, quality = part.partition(";")
        language = language_named(tag)
        try:
            weight = float(quality.strip().removeprefix("q=") or 1.0)
        except ValueError:
            continue
        if language is not None and weight > 0:
            ranked.append((-weight, position, language))
    return min(ranked)[2] if ranked else None


def choose(asked: Mapping[str, str], cookies: Mapping[str, str], accept_language: str) -> Display:
    """Return the display of a request.

    Parameters
    ----------
    asked, cookies
        Option of :data:`OPTIONS` -> value, of the address and of the cookies. A value that is
        none is left out.
    accept_language
        The header.

    >>> choose({"lang": "ru"}, {"lang": "fa"}, "en").language
    'ru'
    >>> choose({}, {"digits": "latin"}, "fa").digits
    'latin'
    """
    chosen: dict[str, Any] = {}
    for name, values in OPTIONS.items():
        for source in (asked, cookies):
            if source.get(name) in values:
                chosen.setdefault(name, source[name])
    language = chosen.pop("lang", None) or accepted_language(accept_language) or "en"
    return Display(language, **chosen)

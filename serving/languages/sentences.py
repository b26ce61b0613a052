"""Sentences that are stored in English, said in another language by their pattern."""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup

from stagecast.serving.languages.display import Display
from stagecast.serving.languages.texts import texts_of

_FIELD = re.compile(r"\\{(\w+)\\}")


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the pattern of each English sentence, and the sentence of the language."""
    english, own = texts_of("en")["sentences"], texts_of(language)["sentences"]
    return tuple(
        (re.compile(_FIELD.sub(r"(?P<\1>.+?)", re.escape(text))), own[key])
        for key, text in english.items()
    )


def in_language(english: str, display: Display) -> str:
    """Return a sentence in the language of a display.

    Parameters
    ----------
    english
        As another part of the program has made it, perhaps long ago.
    display
        Language and digits.

    Returns
    -------
    The sentence; one whose pattern is none of those of the locale is marked as English.
    """
    if display.language == "en":
        return english
    for pattern, text in _patterns(display.language):
        match = pattern.fullmatch(english)
        if match is not None:
            values = {name: display.written(value) for name, value in match.groupdict().items()}
            return text.format(**values)
    return Markup('<bdi lang="en" dir="ltr">{}</bdi>').format(english)

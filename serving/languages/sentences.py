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
        (re.compile(_FIELD.sub(r"(?P<\1>.+?)", re.escape(text)) + r"(?= |$)"), own[key])
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
    sentences: list[str] = []
    rest = english
    while rest:
        part = _first_said(rest, display)
        if part is None:
            return Markup('<bdi lang="en" dir="ltr">{}</bdi>').format(english)
        text, rest = part
        sentences.append(text)
    return " ".join(sentences)


def _first_said(english: str, display: Display) -> tuple[str, str] | None:
    """Return the sentence that a text begins with in the language, and what follows it."""
    words = texts_of(display.language)["words"]
    for pattern, text in _patterns(display.language):
        match = pattern.match(english)
        if match is not None:
            values = {
                name: words.get(value) or _number(value, display)
                for name, value in match.groupdict().items()
            }
            return text.format(**values), english[match.end() :].strip()
    return None


def _number(text: str, display: Display) -> str:
    if text.endswith("%"):
        number = display.wording.marked(text.removesuffix("%").strip())
        return display.said(display.wording.percent.format(number=number))
    return display.written(text) if text[:1].isdigit() or text[:1] in "-−" else text

"""Sentences that are stored in English, said in another language by their pattern.

A sentence of ``[sentences]`` in the locale, with what fills its braces: a word, a name, a phrase of
``[phrases]``, a number, a share or a day, or a list of these.
"""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup

from stagecast.serving.languages.display import Display
from stagecast.serving.languages.scheme_words import scheme_texts
from stagecast.serving.languages.texts import label_of, texts_of

_FIELD = re.compile(r"\\\{(\w+)\\\}")
# what is filled in ends before the next sentence
_FILLED = r"(?P<\1>(?:(?!\. [A-Z]).)+?)"
_COUNTED = r"(?P<n>[\d.,]+)"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DOUBTS = re.compile(r", (?=the (?:lift|AUC|customers) )")  # a phrase of the list has commas itself
_WEIGHT = re.compile(r"(?P<member>[a-z]+) (?P<share>[\d.,]+%)")
_Patterns = tuple[tuple[re.Pattern[str], str], ...]


@cache
def _patterns(table: str, language: str) -> _Patterns:
    """Return the pattern of each English text of a table, and the text of the language."""
    english, own = texts_of("en")[table], texts_of(language)[table]
    end = r"(?= |$)" if table == "sentences" else "$"
    counted = re.escape("{n}")
    return tuple(
        (
            re.compile(_FIELD.sub(_FILLED, re.escape(text).replace(counted, _COUNTED)) + end),
            own[key],
        )
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
    for pattern, text in _patterns("sentences", display.language):
        match = pattern.match(english)
        if match is not None:
            return _filled(match, text, display), english[match.end() :].strip()
    return None


def _filled(match: re.Match[str], text: str, display: Display) -> str:
    values = {name: _value(value, display) for name, value in match.groupdict().items()}
    return text.format(**values)


def phrase_in_language(text: str, display: Display) -> str:
    """Return what fills a sentence, or stands alone in a table, in the language of a display.

    A name of somebody else stays as it is.

    >>> phrase_in_language("6,514 active", Display("ru"))
    '6\\xa0514 активных'
    """
    return text if display.language == "en" else _value(text, display)


def _value(text: str, display: Display) -> str:
    texts = texts_of(display.language)
    word = texts["words"].get(text)
    if word is not None:
        return str(word)
    label = label_of(text, display.language)
    if label != text:
        return label
    doubts = _DOUBTS.split(text)
    if len(doubts) > 1:
        return str(texts["changes"]["comma"]).join(_value(part, display) for part in doubts)
    for pattern, phrase in _patterns("phrases", display.language):
        match = pattern.match(text)
        if match is not None:
            return _filled(match, phrase, display)
    if "', '" in text:  # names in quotes, of which the sentence itself has the first and the last
        between = f"»{texts['changes']['comma']}«"
        return between.join(_value(part, display) for part in text.split("', '"))
    if ", " in text:
        return str(texts["changes"]["comma"]).join(
            _value(part, display) for part in text.split(", ")
        )
    weight = _WEIGHT.fullmatch(text)
    if weight is not None:
        member = texts["members"].get(weight["member"], weight["member"])
        return f"{member} {_number(weight['share'], display)}"
    stage = scheme_texts({}, display.language).get(text)
    return _number(text, display) if stage is None else stage


def _number(text: str, display: Display) -> str:
    if _DAY.fullmatch(text[:10]):
        return display.day(text) + text[10:]
    if text.endswith("%"):
        number = display.wording.marked(text.removesuffix("%").strip())
        return display.said(display.wording.percent.format(number=number))
    return display.written(text) if text[:1].isdigit() or text[:1] in "+-−" else text

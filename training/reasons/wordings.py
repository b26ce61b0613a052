"""The wording of reasons in a language: a file of ``locales/``, read once.

A language is added as a file: the texts of ``en.toml`` in it, how it writes numbers, and which rule
chooses the form of a text by its number.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.shop.money import SIGNS, amount_text, in_currency

FOLDER = Path(__file__).parent / "locales"
_PLAIN = "0123456789"


def _one_other(number: float) -> str:
    return "one" if number == 1 else "other"


def _persian(number: float) -> str:
    return "one" if 0 <= abs(number) <= 1 else "other"


def _slavic(number: float) -> str:
    if number != round(number):
        return "other"
    tens, ones = int(abs(number)) % 100, int(abs(number)) % 10
    if ones == 1 and tens != 11:
        return "one"
    return "few" if 2 <= ones <= 4 and not 12 <= tens <= 14 else "many"


PLURALS: Mapping[str, Callable[[float], str]] = {
    "one_other": _one_other,
    "persian": _persian,
    "slavic": _slavic,
}
"""Rule -> category of a number, by the cardinal rules of the Unicode CLDR: ``one_other`` of
English, ``persian`` (0 to 1 are ``one``), ``slavic`` of Russian (``one``, ``few``, ``many``;
``other`` for fractions).
"""

Forms = str | Mapping[str, str]
"""A text, or its forms by the category of its number; ``zero`` is that of 0 in any language, like
"today" of 0 days.
"""


@dataclass(frozen=True)
class Wording:
    """Texts of reasons in a language; the fields are those of ``locales/en.toml``.

    Parameters
    ----------
    plural
        A rule of :data:`PLURALS`.
    sentence, compared, whole
        Name -> text.
    facts
        Feature -> text, or forms of a text; ``any`` is that of the other features.
    days
        A span of ``{n}`` days.
    thousands, decimal
        Separators of numbers.
    percent
        How a share is written, with ``{number}`` for the number.
    digits
        The ten digits, from 0 on.
    amount
        How an amount is written, with ``{number}`` and ``{sign}``; None: as in English.
    signs
        Code of a currency -> what it is called, where it has no sign.

    Raises
    ------
    UsageError
        The rule is unknown.
    """

    plural: str
    sentence: Mapping[str, str]
    compared: Mapping[str, str]
    whole: Mapping[str, str]
    facts: Mapping[str, Forms]
    days: Forms
    thousands: str = ","
    decimal: str = "."
    percent: str = "{number}%"
    digits: str = _PLAIN
    amount: str | None = None
    signs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.plural not in PLURALS:
            raise UsageError(
                f"plural '{self.plural}' is not a rule; the rules are {', '.join(PLURALS)}"
            )

    def number(self, value: float) -> str:
        """Return a number: whole, or with one decimal if it is small and not whole."""
        return self.marked(written(value))

    def marked(self, english: str) -> str:
        """Return a number that is written in English in the digits and separators of the
        language.
        """
        return english if self._marks is None else english.translate(self._marks)

    @cached_property
    def _marks(self) -> dict[int, str] | None:
        """What replaces the digits and separators of English; None: nothing does."""
        if (self.thousands, self.decimal, self.digits) == (",", ".", _PLAIN):
            return None
        marks = dict(zip(_PLAIN, self.digits, strict=True))
        return str.maketrans(marks | {",": self.thousands, ".": self.decimal})

    def money(self, value: float, currency: str | None) -> str:
        """Return an amount in a currency, as pages and reports write it; None: not known."""
        text = self.marked(amount_text(value, currency))
        if self.amount is None or currency is None:
            return in_currency(text, currency)
        sign = self.signs.get(currency) or SIGNS.get(currency, currency)
        return self.amount.format(number=text, sign=sign)

    def share(self, value: float) -> str:
        """Return a share of 0 to 1 in whole per cent."""
        return self.percent.format(number=self.number(float(round(100 * value))))

    def form(self, text: Forms, value: float) -> str:
        """Return the form of a text that belongs to a number."""
        if isinstance(text, str):
            return text
        # the form belongs to the number that is read: 1.04 days are written as 1 day
        number = float(written(value).replace(",", ""))
        if number == 0 and "zero" in text:
            return text["zero"]
        return text.get(PLURALS[self.plural](number)) or text["other"]

    @classmethod
    def read(cls, text: str) -> Wording:
        """Read a file of ``locales/``."""
        data: dict[str, Any] = tomllib.loads(text)
        return cls(**data)


def written(value: float) -> str:
    """Return a number as reasons show it in English: whole, or with one decimal if small.

    >>> written(1234.4), written(5.55), written(3.02), written(9.97)
    ('1,234', '5.5', '3', '10')
    """
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}".removesuffix(".0")


@cache
def wording(language: str = "en") -> Wording:
    """Return the wording of a language.

    Raises
    ------
    UsageError
        There is none.
    """
    known = languages()
    if language not in known:
        raise UsageError(
            f"language '{language[:20]}' has no wording of reasons; there are {', '.join(known)}."
            f"{did_you_mean(language[:20], known)}"
        )
    return Wording.read((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that reasons can be said in."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))

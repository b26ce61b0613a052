"""How a reader sees numbers, money, shares and days: a language, its digits and its calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal, get_args

from babel.core import get_locale_identifier, parse_locale
from babel.numbers import get_currency_symbol

from stagecast.features.shop.money import (
    NOTHING,
    SIGNS,
    amount_text,
    exact_money,
    in_currency,
    precise_text,
)
from stagecast.serving.languages.jalali import jalali
from stagecast.training.reasons.wordings import Forms, Wording, wording

Language = Literal["en", "ru", "fa"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES: Mapping[Language, str] = {"en": "English", "ru": "Русский", "fa": "فارسی"}
"""Each language as its speakers call it."""
RIGHT_TO_LEFT: frozenset[str] = frozenset({"fa"})
Digits = Literal["latin", "persian"]
Calendar = Literal["gregorian", "jalali"]

_LATIN_MARKS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٬٫٪", "0123456789,.%")
_ISOLATE, _END = "\u2066", "\u2069"
_NBSP = "\u00a0"


@dataclass(frozen=True)
class Display:
    """What a reader has chosen.

    Parameters
    ----------
    language
        Of the texts.
    digits, calendar
        Of numbers and days where the language is Persian; other languages have one way each.
    """

    language: Language = "en"
    digits: Digits = "persian"
    calendar: Calendar = "jalali"

    @property
    def direction(self) -> str:
        """``rtl`` or ``ltr``, as HTML has it."""
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"

    @property
    def locale(self) -> str:
        """The language and the digits as a script in the browser knows them."""
        latin = self.language == "fa" and self.digits == "latin"
        return "fa-u-nu-latn" if latin else self.language

    @property
    def wording(self) -> Wording:
        """The wording of reasons in the language."""
        return wording(self.language)

    def said(self, text: str) -> str:
        """Return a text whose numbers are in the digits of the language in the chosen digits."""
        if self.language == "fa" and self.digits == "latin":
            return text.translate(_LATIN_MARKS)
        return text

    def written(self, english: str) -> str:
        """Return a number that is written in English as the language writes it.

        >>> Display("ru").written("1,234.5"), Display("fa").written("1,234.5")
        ('1\\xa0234,5', '۱٬۲۳۴٫۵')
        """
        return self.said(self._isolated(self.wording.marked(english)))

    def _isolated(self, text: str) -> str:
        """Keep a sign on the left of its number among words that run from right to left."""
        if self.direction == "rtl" and text[:1] in ("−", "-", "+", "<", ">"):
            return f"{_ISOLATE}{text}{_END}"
        return text

    def number(self, value: float | None) -> str:
        """Return a count or a measure, with two decimals at most.

        >>> Display().number(1234567), Display().number(0.256), Display().number(-3.0)
        ('1,234,567', '0.26', '−3')
        """
        if value is None:
            return NOTHING
        text = f"{value:,.2f}".rstrip("0").rstrip(".")
        return self.written("0" if text in ("-0", "0") else text.replace("-", "−"))

    def expected_count(self, value: float) -> str:
        """Return a number of customers that was expected, which is seldom whole; never "1".

        >>> Display().expected_count(0.04), Display("ru").expected_count(1.2)
        ('0.04', '1,2')
        """
        return self.written(f"{value:,.{0 if value >= 9.95 else 1 if value >= 0.1 else 2}f}")

    def places(self, value: float | None, places: int, sign: str = "") -> str:
        """Return a measure with so many decimals; with ``+`` its sign is written always.

        >>> Display().places(0.56874, 4), Display("ru").places(0.5, 1, "+")
        ('0.5687', '+0,5')
        >>> Display().places(-0.5, 1), Display().places(-0.01, 1)
        ('−0.5', '0.0')
        """
        if value is None:
            return NOTHING
        return self.written(f"{value:{sign}z.{places}f}".replace("-", "−"))

    def percent(self, value: float | None) -> str:
        """Return a probability in per cent; one that is nearly 0 or 1 is not rounded to it.

        >>> Display().percent(0.0004), Display("ru").percent(0.794), Display("fa").percent(0.9996)
        ('<1%', '79\\xa0%', '\\u2066>۹۹٪\\u2069')
        """
        if value is None:
            return NOTHING
        if 0 < value < 0.005:
            text, sign = "1", "<"
        elif 0.995 <= value < 1:
            text, sign = "99", ">"
        else:
            text, sign = f"{100 * value:.0f}", ""
        share = self.wording.percent.format(number=self.wording.marked(text))
        return self.said(self._isolated(sign + share))

    def share(self, value: float, places: int) -> str:
        """Return a share in per cent with so many decimals, as parts of a sum need them.

        >>> Display().share(0.1237, 1), Display("ru").share(0.5, 1)
        ('12.4%', '50,0\\xa0%')
        """
        number = self.wording.marked(f"{100 * value:z.{places}f}")
        return self.said(self._isolated(self.wording.percent.format(number=number)))

    def money(
        self, value: float | None, currency: str | None = None, *, signed: bool = False
    ) -> str:
        """Return an amount in its currency, if that is known; ``signed``: with a plus, too.

        >>> Display().money(1234.5, "GBP"), Display("ru").money(1234.5, "RUB")
        ('£1,234', '1\\xa0234\\xa0₽')
        """
        if value is None:
            return NOTHING
        plus = "+" if signed and value >= 0 else ""
        return self._amount(amount_text(value, currency), currency, plus)

    def precise_money(self, value: float, currency: str | None = None) -> str:
        """Return an amount with cents, where its currency has any.

        >>> Display().precise_money(12.5, "GBP"), Display("ru").precise_money(12.5, "RUB")
        ('£12.50', '12,50\\xa0₽')
        """
        return self._amount(precise_text(value, currency), currency)

    def limit(self, value: float, currency: str | None = None) -> str:
        """Return a limit that amounts are compared with: with cents wherever it has some.

        >>> Display().limit(53.76, "USD"), Display("ru").limit(54.0, "RUB")
        ('$53.76', '54\\xa0₽')
        """
        return self._amount(exact_money(value), currency)

    def _amount(self, english: str, currency: str | None, plus: str = "") -> str:
        """Return an amount that is written in English, without its currency, in the language."""
        if self.language == "en":
            return plus + in_currency(english, currency)
        text = self.written(plus + english)
        return text if currency is None else f"{text}{_NBSP}{sign_of(currency, self.language)}"

    def day(self, iso_day: str | None) -> str:
        """Return a day as the language writes it.

        Parameters
        ----------
        iso_day
            ISO 8601; what follows the day is left out. None: not known.

        >>> Display().day("2024-03-20"), Display("ru").day("2024-03-20")
        ('2024-03-20', '20.03.2024')
        >>> Display("fa").day("2024-03-20"), Display("fa", "latin", "gregorian").day("2024-03-20")
        ('۱۴۰۳/۰۱/۰۱', '2024/03/20')
        """
        if iso_day is None:
            return NOTHING
        if self.language == "en":
            return iso_day[:10]
        when = date.fromisoformat(iso_day[:10])
        if self.language == "ru":
            return f"{when:%d.%m.%Y}"
        year, month, day = when.year, when.month, when.day
        if self.calendar == "jalali":
            year, month, day = jalali(when)
        return self._digits(f"{year:04d}/{month:02d}/{day:02d}")

    def month(self, iso_day: str) -> str:
        """Return the month of a day of the Gregorian calendar.

        >>> Display().month("2024-03-01"), Display("ru").month("2024-03-01")
        ('2024-03', '03.2024')
        """
        year, month = iso_day[:4], iso_day[5:7]
        if self.language == "ru":
            return f"{month}.{year}"
        return f"{year}-{month}" if self.language == "en" else self._digits(f"{year}/{month}")

    def _digits(self, text: str) -> str:
        """Return a text of digits in the digits of the language."""
        return self.said(self.wording.marked(text))

    def counted(self, value: float, forms: Forms, **values: Any) -> str:
        """Return a text in the form that its number asks for; the number is ``n`` in it."""
        return self.wording.form(forms, value).format(n=self.number(value), **values)

    def change(self, value: float, kind: str, currency: str | None = None) -> str:
        """Return a difference with its sign, as ``money``, ``points`` (one decimal) or ``number``.

        >>> Display().change(3.0, "number"), Display().change(-0.25, "points")
        ('+3', '−0.2')
        >>> Display().change(-0.01, "points"), Display().change(0.0, "number")
        ('0.0', '0')
        """
        size = abs(value)
        if kind == "money":
            text = amount_text(size, currency)
        else:
            text = f"{size:,.1f}" if kind == "points" else ENGLISH.number(size)
        if not text.strip("0.,"):  # what rounds to nothing has no sign
            return self.money(0.0, currency) if kind == "money" else self.written(text)
        if kind == "money":
            return self.money(value, currency, signed=True)
        return self.written(("+" if value > 0 else "−") + text)

    def days(self, value: float | None) -> str:
        """Return a span in whole days.

        >>> Display().days(1.0), Display().days(1234.4), Display("ru").days(22)
        ('1 day', '1,234 days', '22 дня')
        """
        if value is None:
            return NOTHING
        whole = float(f"{value:.0f}")
        return self.said(self.wording.form(self.wording.days, whole)).format(
            n=self.written(f"{whole:,.0f}")
        )


ENGLISH = Display()


@lru_cache(maxsize=256)
def sign_of(currency: str, language: str) -> str:
    """Return the sign of a currency, else what the language calls it, else its code.

    >>> sign_of("EUR", "ru"), sign_of("IRR", "fa"), sign_of("XXQ", "fa")
    ('€', 'ریال', 'XXQ')
    """
    sign = wording(language).signs.get(currency) or SIGNS.get(currency)
    if sign is not None:
        return sign
    symbol = get_currency_symbol(currency, locale=language)
    return symbol.strip("\u200e\u200f")


def language_named(tag: str) -> Language | None:
    """Return the language of a tag like ``ru-RU``; None where it is none of ours.

    >>> language_named("fa-IR"), language_named("de"), language_named("?")
    ('fa', None, None)
    """
    try:
        base = parse_locale(get_locale_identifier((tag.strip(),)), sep="-")[0].lower()
    except ValueError:
        return None
    return next((language for language in LANGUAGES if language == base), None)

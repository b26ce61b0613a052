"""Options for reading an event log, checked before the first byte is read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from stagecast.features.clock import parse_duration
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.presets import PRESETS
from stagecast.features.intake.reasons import FLAGS, HINTS
from stagecast.features.intake.zones import find_zone

SEPARATOR_NAMES = {",": ",", ";": ";", "\t": "\t", "tab": "\t", "|": "|"}
THOUSANDS = {"none": "", ",": ",", ".": ".", "'": "'", "space": " "}
NUMERIC_TIME_FORMATS = ("excel", "excel-1904", "unix", "unix-ms", "unix-us", "unix-ns")
"""Time formats of numbers: days since 1899-12-30 or 1904-01-01; s, ms, us or ns since 1970, UTC."""

_NOT_FOR_FILES = (
    "punycode",
    "idna",
    "unicode_escape",
    "raw_unicode_escape",
    "unicode-escape",
    "raw-unicode-escape",
)
"""Codecs that Python calls encodings of text, but in which no text file is written."""
_YEAR_DIRECTIVES = ("%Y", "%y", "%-y", "%G", "%g", "%c", "%x")

_RULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
CURRENCY_SIGN = re.compile(r"(?![eE]$)[^\d\s.,'+\-()]{1,5}")
"""What ``currency_sign`` may be; a single E stands in numbers such as 1e5."""
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class ReadOptions:
    """How an event log is read.

    Parameters
    ----------
    mapping
        Which column is which.
    time_format
        ``strptime`` format of the times, such as ``%d/%m/%Y``, or one of
        :data:`NUMERIC_TIME_FORMATS`; None: ISO 8601.
    duplicates
        ``drop`` keeps the first of several rows that are equal in every source column; ``keep``
        keeps all. Of rows with the same event_id, only the one that was known first is kept in
        either case.
    negative_amounts
        A purchase with a negative amount is refused, or read as an event of type ``refund``.
    memory
        Memory limit of DuckDB, such as ``2GB``; beyond it, DuckDB spills to a temporary folder.
    spill
        Size limit of that folder, such as ``50GB``.
    zone
        Time zone of times without one: ``Europe/London``, or an offset such as ``+02:00``. A local
        time that is skipped or happens twice when the clocks change is loaded and flagged. Days
        are those of this zone, see ``day_zone``.
    day_zone
        Zone whose days are counted; None: that of the times, ``zone``.
    encoding
        Encoding of text files, by Python's name: ``utf-8``, ``utf-16``, ``cp1251``, ``latin-1``,
        ...
    separator
        Separator of the fields of text files; None: the one of ``, ; tab |`` that splits the
        header.
    header_line
        Line of text files that names the columns, counted from 1; the lines above it are not read.
    decimal
        Decimal sign of numbers in text columns: ``.`` or ``,``.
    thousands
        Thousands separator of numbers in text columns: ``,``, ``.``, ``'``, ``space`` or ``none``.
    currency_sign
        Sign that stands before or behind numbers in text columns, such as ``$`` or ``kr``; None:
        numbers are plain.
    report_currency
        Currency of the report, needed if the log holds several currencies.
    rates
        Currency code -> value of one unit in the ``report_currency``.
    where
        Condition on source columns; rows for which it does not hold are skipped and counted.
    refuse
        Name -> condition on source columns; rows for which it holds are refused for that reason.
    flag
        Name -> condition on source columns; rows for which it holds are loaded and counted.
    test_customers
        Regular expression (RE2) that matches the whole id of a test customer; their rows are
        refused.
    not_products
        Regular expression (RE2) that matches a whole value of the mapped product; such rows are
        refused.
    as_of
        The as_of, from which the latest allowed time follows; see ``skew``.
    skew
        Allowed error of a clock, such as ``2h`` or ``1d``; None: one day. A row is refused if its
        time is more than this later than the as_of; if ``as_of`` or ``skew`` is None, than the
        later of now and the as_of.
    preset
        Name of a preset of :mod:`stagecast.features.intake.presets`, which declares what is not
        declared here; None: none.
    max_rejected
        Largest allowed number of refused rows, such as ``1000``, or share, such as ``50%``.
    temp_dir
        Folder in which the temporary folder is made; None: the system's default.

    Raises
    ------
    UsageError
        An option has a value that does not exist, or two options contradict each other.
    """

    mapping: EventMapping = field(default_factory=EventMapping)
    time_format: str | None = None
    duplicates: Literal["drop", "keep"] = "drop"
    negative_amounts: Literal["refuse", "refund"] = "refuse"
    memory: str = "2GB"
    spill: str = "50GB"
    zone: str = "UTC"
    day_zone: str | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    header_line: int = 1
    decimal: str = "."
    thousands: str = "none"
    currency_sign: str | None = None
    report_currency: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    where: str | None = None
    refuse: Mapping[str, str] = field(default_factory=dict)
    flag: Mapping[str, str] = field(default_factory=dict)
    test_customers: str | None = None
    not_products: str | None = None
    as_of: datetime | None = None
    skew: str | None = None
    max_rejected: str | None = None
    preset: str | None = None
    temp_dir: str | None = None

    def __post_init__(self) -> None:
        """Check every option."""
        _check_choice("--duplicates", self.duplicates, ("drop", "keep"))
        _check_choice("--negative-amounts", self.negative_amounts, ("refuse", "refund"))
        _check_choice("--decimal", self.decimal, (".", ","))
        _check_choice("--thousands", self.thousands, tuple(THOUSANDS))
        if self.separator is not None:
            _check_choice("--separator", self.separator, tuple(SEPARATOR_NAMES))
        if self.preset is not None:
            _check_choice("--preset", self.preset, tuple(PRESETS))
        if self.header_line < 1:
            raise UsageError(
                f"--header-line {self.header_line} is no line; the first line of a file is 1"
            )
        if self.thousands == self.decimal:
            raise UsageError(
                f"--decimal and --thousands are both {self.decimal!r}; a number could not be read"
            )
        if (
            self.time_format is not None
            and "%" not in self.time_format
            and self.time_format not in NUMERIC_TIME_FORMATS
        ):
            raise UsageError(
                f"--time-format {self.time_format!r} holds no % sign; write it like "
                "'%d/%m/%Y %H:%M', or one of "
                f"{', '.join(NUMERIC_TIME_FORMATS)}."
                f"{did_you_mean(self.time_format, NUMERIC_TIME_FORMATS)}"
            )
        if (
            self.time_format is not None
            and "%" in self.time_format
            and not any(directive in self.time_format for directive in _YEAR_DIRECTIVES)
        ):
            raise UsageError(
                f"--time-format {self.time_format!r} holds no year; write it like '%d/%m/%Y %H:%M'"
            )
        find_zone(self.zone)
        if self.day_zone is not None:
            find_zone(self.day_zone)
        _check_encoding(self.encoding)
        self._check_money()
        if self.not_products is not None and self.mapping.product is None:
            raise UsageError("--not-products needs --product COL: the column that it looks at")
        for option, rules in (("--refuse", self.refuse), ("--flag", self.flag)):
            for name in rules:
                _check_rule_name(option, name)
        if repeated := sorted(set(self.refuse) & set(self.flag)):
            raise UsageError(
                f"'{repeated[0]}' stands both in --refuse and in --flag; give the two rules "
                "different names"
            )
        if self.skew is not None:
            parse_duration(self.skew, "--skew")
        if self.max_rejected is not None:
            self.max_rejected_rows(1)

    def _check_money(self) -> None:
        sign = self.currency_sign
        if sign is not None and not CURRENCY_SIGN.fullmatch(sign):
            raise UsageError(
                f"--currency-sign {sign!r} is no sign of a currency: one to five characters "
                "without digits, blanks and signs of numbers, like $ or kr"
            )
        for code, rate in self.rates.items():
            if not _CURRENCY.fullmatch(code):
                raise UsageError(
                    f"--rates: {code!r} is not a currency code of three capital letters, like USD"
                )
            if not 1e-6 <= rate <= 1e6:
                raise UsageError(
                    f"--rates: the rate {rate!r} of {code} is not a number above 0, up to a million"
                )
        if self.rates and self.report_currency is None:
            raise UsageError(
                "--rates needs --report-currency: the currency that the rates lead to, like EUR"
            )
        if self.report_currency is not None:
            if not _CURRENCY.fullmatch(self.report_currency):
                raise UsageError(
                    f"--report-currency {self.report_currency!r} is not three capital "
                    "letters, like EUR"
                )
            if self.rates.get(self.report_currency, 1.0) != 1.0:
                raise UsageError(
                    f"--rates: {self.report_currency} is the --report-currency, so its rate is 1"
                )

    def max_rejected_rows(self, row_count: int) -> int:
        """Return how many of ``row_count`` rows may be refused.

        Raises
        ------
        UsageError
            ``max_rejected`` is neither a share nor a number of rows.

        >>> ReadOptions(max_rejected="50%").max_rejected_rows(9)
        4
        """
        if self.max_rejected is None:
            return row_count
        text = self.max_rejected.strip()
        share = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", text)
        if share is not None and float(share[1]) <= 100:
            return int(row_count * float(share[1]) / 100)
        if re.fullmatch(r"\d{1,15}", text):
            return int(text)
        raise UsageError(
            f"--max-rejected {self.max_rejected!r}: write a share like 5% or a number of "
            "rows like 1000"
        )

    @property
    def field_separator(self) -> str | None:
        """The separator of fields as a character; None: to be detected from the header."""
        return None if self.separator is None else SEPARATOR_NAMES[self.separator]

    def latest_time(self, now: datetime) -> datetime:
        """Return the latest allowed time of an event; later ones are refused."""
        from stagecast.features.shop.clock import clock_named  # NumPy is slow to import

        as_of = self.as_of
        if as_of is not None:
            as_of = clock_named(self.day_zone or self.zone).instant(as_of)
        if as_of is None or self.skew is None:
            start = now if as_of is None else max(now, as_of)
        else:
            start = as_of
        skew = timedelta(days=1) if self.skew is None else parse_duration(self.skew, "--skew")
        try:
            return start + skew
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        choice_list = ", ".join(repr(choice) if len(choice) == 1 else choice for choice in choices)
        raise UsageError(
            f"{option} {value!r} is not one of {choice_list}.{did_you_mean(str(value), choices)}"
        )


def _check_encoding(name: str) -> None:
    try:
        codec = codecs.lookup(name)
        if codec.name in _NOT_FOR_FILES:
            raise LookupError(name)
        "".encode(codec.name)  # raises for codecs from bytes to bytes, such as base64
    except (LookupError, UnicodeError, ValueError):
        usual_names = ("utf-8", "utf-16", "cp1251", "cp1252", "latin-1")
        raise UsageError(
            f"--encoding {name!r} is not known; usual ones are "
            f"{', '.join(usual_names)}.{did_you_mean(name, usual_names)}"
        ) from None


def _check_rule_name(option: str, name: str) -> None:
    if not _RULE_NAME.fullmatch(name):
        raise UsageError(
            f"{option}: {name!r} is no name of a rule; write small letters, digits and _"
        )
    if name in HINTS or name in FLAGS:
        raise UsageError(
            f"{option}: '{name}' is a reason of stagecast's own; give the rule another name"
        )

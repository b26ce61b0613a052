"""How an event log is read: every choice that is declared or asked for, checked before the first
byte is read.
"""

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
from stagecast.features.intake.reasons import FLAGS, HINTS
from stagecast.features.intake.zones import find_zone

SEPARATOR_NAMES = {",": ",", ";": ";", "\t": "\t", "tab": "\t", "|": "|"}
THOUSANDS = {"none": "", ",": ",", ".": ".", "'": "'", "space": " "}
NUMBER_TIMES = ("excel", "excel-1904", "unix", "unix-ms", "unix-us")
"""Time formats that are numbers: days since 1899-12-30 or 1904-01-01; seconds, ms or us since
1970-01-01 UTC.
"""

_NO_ENCODINGS = (
    "punycode",
    "idna",
    "unicode_escape",
    "raw_unicode_escape",
    "unicode-escape",
    "raw-unicode-escape",
)
"""What Python calls an encoding, and no file of text is written in."""
_YEARS = ("%Y", "%y", "%-y", "%G", "%g", "%c", "%x")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class ReadOptions:
    """How an event log is read.

    Parameters
    ----------
    mapping
        Which column is which.
    time_format
        ``strptime`` format of the times, such as ``%d/%m/%Y``, or one of :data:`NUMBER_TIMES`;
        None: ISO 8601.
    zone
        Zone of times that name none: ``Europe/London``, or an offset such as ``+02:00``. A time
        that the change to summer time skipped, or that the change back made twice, is loaded and
        flagged.
    duplicates
        ``drop`` keeps the first of several rows that are the same in every source column; ``keep``
        keeps all. Rows with the same event_id are one event in either case: the one that was known
        first.
    negative_amounts
        A purchase with a negative amount is refused, or read as an event of type ``refund``.
    encoding
        Of text files, by Python's name: ``utf-8``, ``utf-16``, ``cp1251``, ``latin-1``, ...
    separator
        Between the fields of text files; None: whichever of ``, ; tab |`` cuts the header.
    decimal, thousands
        Signs within numbers of text columns: ``.`` or ``,``; and ``,``, ``.``, ``'``, ``space`` or
        ``none``.
    report_currency, rates
        Where the log holds several currencies: the one to count in, and what a unit of each other
        is worth in it.
    where
        Condition on source columns; rows for which it does not hold are counted apart and not read.
    refuse, flag
        Name -> condition on source columns. A row for which it holds is refused for that reason, or
        is loaded and counted.
    test_customers, not_products
        Regular expressions (RE2) that match a whole customer id, or a whole value of the mapped
        product.
    as_of, skew
        A time later than the as_of (where both are given), else later than now and than the as_of,
        by more than the skew is refused: its clock was wrong. The skew is a span such as ``2h`` or
        ``1d``; None: one day.
    max_rejected
        Stop when more rows are refused than this: ``50%``, or a number of rows.
    memory
        What DuckDB may hold in memory, such as ``2GB``; beyond it, it spills to a private temporary
        folder.
    spill
        What that folder may hold, such as ``50GB``.
    temp_dir
        Where that folder is made; None: the system's place for temporary files.

    Raises
    ------
    UsageError
        A choice that does not exist.
    """

    mapping: EventMapping = field(default_factory=EventMapping)
    time_format: str | None = None
    duplicates: Literal["drop", "keep"] = "drop"
    negative_amounts: Literal["refuse", "refund"] = "refuse"
    memory: str = "2GB"
    spill: str = "50GB"
    zone: str = "UTC"
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: str = "."
    thousands: str = "none"
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
    temp_dir: str | None = None

    def __post_init__(self) -> None:
        """Check the choices."""
        _choice("--duplicates", self.duplicates, ("drop", "keep"))
        _choice("--negative-amounts", self.negative_amounts, ("refuse", "refund"))
        _choice("--decimal", self.decimal, (".", ","))
        _choice("--thousands", self.thousands, tuple(THOUSANDS))
        if self.separator is not None:
            _choice("--separator", self.separator, tuple(SEPARATOR_NAMES))
        if self.thousands == self.decimal:
            raise UsageError(
                f"--decimal and --thousands are both {self.decimal!r}; a number could not be read"
            )
        if (
            self.time_format is not None
            and "%" not in self.time_format
            and self.time_format not in NUMBER_TIMES
        ):
            raise UsageError(
                f"--time-format {self.time_format!r} holds no % sign; write it like "
                "'%d/%m/%Y %H:%M', or one of "
                f"{', '.join(NUMBER_TIMES)}.{did_you_mean(self.time_format, NUMBER_TIMES)}"
            )
        if (
            self.time_format is not None
            and "%" in self.time_format
            and not any(y in self.time_format for y in _YEARS)
        ):
            raise UsageError(
                f"--time-format {self.time_format!r} holds no year; write it like '%d/%m/%Y %H:%M'"
            )
        find_zone(self.zone)
        _check_encoding(self.encoding)
        self._check_money()
        if self.not_products is not None and self.mapping.product is None:
            raise UsageError("--not-products needs --product COL: the column that it looks at")
        for option, rules in (("--refuse", self.refuse), ("--flag", self.flag)):
            for name in rules:
                _check_name(option, name)
        if both := sorted(set(self.refuse) & set(self.flag)):
            raise UsageError(
                f"'{both[0]}' stands both in --refuse and in --flag; give the two rules "
                "different names"
            )
        if self.skew is not None:
            parse_duration(self.skew, "--skew")
        if self.max_rejected is not None:
            self.most_rejected(1)

    def _check_money(self) -> None:
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

    def most_rejected(self, rows: int) -> int:
        """Return how many of so many rows may be refused.

        >>> ReadOptions(max_rejected="50%").most_rejected(9)
        4
        """
        if self.max_rejected is None:
            return rows
        text = self.max_rejected.strip()
        share = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", text)
        if share is not None and float(share[1]) <= 100:
            return int(rows * float(share[1]) / 100)
        if re.fullmatch(r"\d{1,15}", text):
            return int(text)
        raise UsageError(
            f"--max-rejected {self.max_rejected!r}: write a share like 5% or a number of "
            "rows like 1000"
        )

    @property
    def field_separator(self) -> str | None:
        """The sign between fields, None where the header is to tell."""
        return None if self.separator is None else SEPARATOR_NAMES[self.separator]

    def latest(self, now: datetime) -> datetime:
        """Return the instant beyond which a time cannot be right."""
        if self.as_of is None or self.skew is None:
            start = now if self.as_of is None else max(now, self.as_of)
        else:
            start = self.as_of
        skew = timedelta(days=1) if self.skew is None else parse_duration(self.skew, "--skew")
        try:
            return start + skew
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


def _choice(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        shown = ", ".join(repr(one) if len(one) == 1 else one for one in known)
        raise UsageError(
            f"{option} {value!r} is not one of {shown}.{did_you_mean(str(value), known)}"
        )


def _check_encoding(name: str) -> None:
    try:
        known = codecs.lookup(name)
        if known.name in _NO_ENCODINGS:
            raise LookupError(name)
        "".encode(known.name)  # refuses codecs from bytes to bytes, such as base64
    except (LookupError, UnicodeError, ValueError):
        names = ("utf-8", "utf-16", "cp1251", "cp1252", "latin-1")
        raise UsageError(
            f"--encoding {name!r} is not known; usual ones are "
            f"{', '.join(names)}.{did_you_mean(name, names)}"
        ) from None


def _check_name(option: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{option}: {name!r} is no name of a rule; write small letters, digits and _"
        )
    if name in HINTS or name in FLAGS:
        raise UsageError(
            f"{option}: '{name}' is a reason of stagecast's own; give the rule another name"
        )

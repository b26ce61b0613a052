"""What to try for amounts that could not be read: a hint that is made from the refused values.

Nothing is read by it. Options are proposed only where nearly all of the values fit them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stagecast.features.intake.options import CURRENCY_SIGN, THOUSANDS

_SHARE = 0.9
"""Share of the values that the proposed options must read."""
_SPACES = " \u00a0\u202f"
_ORDERS = ((".", ","), (",", "."), (",", "space"), (".", "space"), (".", "'"), (",", "'"))
"""Decimal sign and thousands separator, the usual ones first."""
_IN_BRACKETS = re.compile(r"\(([^()]*\d[^()]*)\)")
"""Below 0 as bookkeepers write it; read as such where what is within is a number."""
_CODE = re.compile(r"[A-Z]{3}")


def amount_hint(values: Sequence[str]) -> str | None:
    """Return what to try for refused amounts; None where no option reads them.

    Parameters
    ----------
    values
        Refused texts of amounts.

    >>> amount_hint(["$1,234.50"])
    "'$1,234.50' is read by --currency-sign '$' --thousands ,"
    >>> amount_hint(["1.250,50", "49,00"])
    "'1.250,50' is read by --decimal , --thousands ."
    >>> amount_hint(["($20.00)"])
    "'($20.00)' is read by --currency-sign '$'"
    """
    texts = list(dict.fromkeys(value.strip() for value in values if value.strip()))
    if not texts:
        return None
    codes = list(dict.fromkeys(code for text in texts for code in _CODE.findall(text)))
    if len(codes) > 1:
        return (
            f"amounts are in {' and '.join(codes[:3])}, such as {texts[0]!r}: write the code into "
            "a column of its own, and name it with --currency COL"
        )
    plain = [_IN_BRACKETS.sub(r"-\1", text) for text in texts]
    for sign in (None, *_signs(plain)):
        for decimal, thousands in _ORDERS:
            if _read_share(plain, decimal, thousands, sign) >= _SHARE:
                options = _options(plain, decimal, thousands, sign)
                return f"{texts[0]!r} is read by {options}" if options else None
    return None


def _signs(texts: Sequence[str]) -> list[str]:
    """Return what stands before or behind the numbers and may be a sign of a currency."""
    around = (re.sub(rf"[\d.,'+\-{_SPACES}]", "", text) for text in texts)
    return [text for text in dict.fromkeys(around) if CURRENCY_SIGN.fullmatch(text)][:3]


def _read_share(texts: Sequence[str], decimal: str, thousands: str, sign: str | None) -> float:
    between = _SPACES if thousands == "space" else re.escape(THOUSANDS[thousands])
    number = re.compile(
        rf"[+-]?(\d{{1,3}}([{between}]\d{{3}})+|\d+)({re.escape(decimal)}\d*)?", re.ASCII
    )
    plain = [text if sign is None else text.replace(sign, "").strip() for text in texts]
    return sum(bool(number.fullmatch(text)) for text in plain) / len(texts)


def _options(texts: Sequence[str], decimal: str, thousands: str, sign: str | None) -> str:
    """Return the options that differ from their defaults, without separators that no text has."""
    separators = _SPACES if thousands == "space" else THOUSANDS[thousands]
    plain = [text.replace(sign, "").strip() if sign else text for text in texts]
    options = []
    if sign:
        options.append(f"--currency-sign '{sign}'")
    if decimal != ".":
        options.append(f"--decimal {decimal}")
    if any(separator in text for text in plain for separator in separators):
        options.append("--thousands " + ('"\'"' if thousands == "'" else thousands))
    return " ".join(options)

"""Amounts as people read them: thousands separated, in the currency of the log."""

from __future__ import annotations

NOTHING = "–"
SIGNS = {
    "EUR": "€",
    "GBP": "£",
    "ILS": "₪",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "NGN": "₦",
    "PHP": "₱",
    "RUB": "₽",
    "TRY": "₺",
    "UAH": "₴",
    "USD": "$",
    "VND": "₫",
}
"""Signs that mean one currency; of several dollars and yuan, which share theirs, one has it."""
_WITHOUT_CENTS = frozenset({"IDR", "IRR", "JPY", "KRW", "VND"})


def in_currency(text: str, currency: str | None) -> str:
    """Return an amount that is written already with the sign or the code of its currency.

    Parameters
    ----------
    text
        The amount, with a minus in front where it is below 0.
    currency
        Code of three capital letters; None: not known, and the text stays as it is.

    >>> in_currency("1,234", "GBP"), in_currency("−3", "EUR"), in_currency("1,234", "PLN")
    ('£1,234', '−€3', '1,234 PLN')
    """
    if currency is None:
        return text
    sign = SIGNS.get(currency)
    if sign is None:
        return f"{text} {currency}"
    minus = text[:1] if text[:1] in ("−", "-") else ""
    return f"{minus}{sign}{text.removeprefix(minus)}"


def exact_money(value: float, currency: str | None = None) -> str:
    """Return a limit that amounts are compared with: with cents wherever it has some.

    Parameters
    ----------
    value
        The limit.
    currency
        Code of its currency; None: not known.

    >>> exact_money(53.76, "USD"), exact_money(54.0, "USD"), exact_money(1961523.0, "IRR")
    ('$53.76', '$54', '1,961,523 IRR')
    """
    text = f"{abs(value):,.2f}".removesuffix(".00")
    return in_currency(_below_0(text) if value < 0 else text, currency)


def precise_money(value: float, currency: str | None = None) -> str:
    """Return an amount as a receipt states it: with cents, where its currency has any.

    Parameters
    ----------
    value
        The amount.
    currency
        Code of its currency; None: not known.

    >>> precise_money(1234.5, "EUR"), precise_money(1234.5), precise_money(2468321.0, "IRR")
    ('€1,234.50', '1,234.50', '2,468,321 IRR')
    """
    return in_currency(precise_text(value, currency), currency)


def precise_text(value: float, currency: str | None = None) -> str:
    """Return an amount as :func:`precise_money` writes it, without its currency.

    >>> precise_text(-1234.5), precise_text(9.5, "JPY")
    ('−1,234.50', '10')
    """
    decimals = 0 if currency in _WITHOUT_CENTS else 2
    text = f"{abs(value):,.{decimals}f}"
    return _below_0(text) if value < 0 else text


def money(value: float | None, currency: str | None = None) -> str:
    """Return an amount with thousands separators; cents below 10 only, where there are cents.

    Parameters
    ----------
    value
        The amount; None: not known.
    currency
        Code of its currency; None: not known.

    >>> money(1234567.8), money(9.5), money(-3), money(0), money(None)
    ('1,234,568', '9.50', '−3.00', '0', '–')
    >>> money(1234.5, "GBP"), money(-3, "USD"), money(9.5, "JPY"), money(None, "GBP")
    ('£1,234', '−$3.00', '¥10', '–')
    """
    return NOTHING if value is None else in_currency(amount_text(value, currency), currency)


def amount_text(value: float, currency: str | None = None) -> str:
    """Return an amount as :func:`money` writes it, without its currency.

    >>> amount_text(-3), amount_text(9.5, "JPY")
    ('−3.00', '10')
    >>> amount_text(-0.001), amount_text(-0.4, "JPY")
    ('0.00', '0')
    """
    has_cents = abs(value) < 9.995 and value != 0 and currency not in _WITHOUT_CENTS
    text = f"{abs(value):,.2f}" if has_cents else f"{abs(value):,.0f}"
    return _below_0(text) if value < 0 else text


def _below_0(size: str) -> str:
    """Return the text of an amount below 0; one that rounds to nothing has no minus."""
    return f"−{size}" if size.strip("0.,") else size

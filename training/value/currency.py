"""What a bundle knows of the money of the log that it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagecast.features.errors import UsageError

_CODE = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class LogMoney:
    """The money of a training's log.

    Parameters
    ----------
    currency
        Code of three capital letters; None: the log did not state it, or the bundle was written
        before this was stored.
    amounts
        Whether purchases had amounts; None: the bundle was written before this was stored.

    Raises
    ------
    UsageError
        The currency is not a code of three capital letters.
    """

    currency: str | None = None
    amounts: bool | None = None

    def __post_init__(self) -> None:
        if self.currency is not None and not _CODE.fullmatch(self.currency):
            raise UsageError(
                f"the currency {self.currency!r} is not three capital letters, like EUR"
            )

    def check(self, currency: str | None, hint: str) -> None:
        """Check that amounts to score are in the currency of the training.

        Where one of the two is not stated, nothing can be compared and nothing is refused.

        Parameters
        ----------
        currency
            Currency of the amounts; None: it is not stated.
        hint
            What to try next, for the error.

        Raises
        ------
        UsageError
            The amounts are in another currency.

        >>> LogMoney("EUR").check("EUR", ""), LogMoney("EUR").check(None, "")
        (None, None)
        """
        if currency is not None and self.currency is not None and currency != self.currency:
            raise UsageError(
                f"the amounts are in {currency}, and this model was trained on amounts in "
                f"{self.currency}; {hint}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"currency": self.currency, "amounts": self.amounts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LogMoney:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        ValueError
            A value is of another type.
        """
        currency, amounts = data.get("currency"), data.get("amounts")
        if not isinstance(currency, str | None) or not isinstance(amounts, bool | None):
            raise ValueError(f"money {dict(data)!r} is not a currency and a yes or no")
        return cls(currency, amounts)


NOT_STATED = LogMoney()
"""The money of a log that states neither currency nor amounts."""

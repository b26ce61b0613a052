"""What may be asked of a published list: filters, order, and the cursor that leads to its next
page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.store.tables import scores

DEFAULT_SORT = "-value_at_risk"
LIMIT_DEFAULT, LIMIT_MAX = 50, 1000
SORTS = (
    "value_at_risk",
    "churn_probability",
    "churn_percentile",
    "p_inactive",
    "clv",
    "expected_spend",
    "expected_orders",
    "next_order_date",
    "recency_days",
    "tenure_days",
    "orders",
    "spend",
    "stage",
    "customer_id",
)


@dataclass(frozen=True)
class Filters:
    """Which customers a list is about; what is not given filters nothing.

    Parameters
    ----------
    stages
        stage ids; a customer on any of them.
    band
        ``low``, ``medium`` or ``high``.
    state
        ``prospect``, ``active`` or ``lapsed``.
    min_value
        least value at risk, in money.
    q
        how the customer's id begins.
    """

    stages: tuple[str, ...] = ()
    band: str | None = None
    state: str | None = None
    min_value: float | None = None
    q: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the SQL conditions on the table of scores."""
        c, out = scores.c, []
        if self.stages:
            out.append(
                c.stage.in_(self.stages) if len(self.stages) > 1 else c.stage == self.stages[0]
            )
        if self.band is not None:
            out.append(c.churn_band == self.band)
        if self.state is not None:
            out.append(c.state == self.state)
        if self.min_value is not None:
            out.append(c.value_at_risk >= self.min_value)
        if self.q:
            # a range, so that the index serves it; % and _ are plain characters here
            out.append(sa.and_(c.customer_id >= self.q, c.customer_id < self.q + "\U0010ffff"))
        return out


@dataclass(frozen=True)
class Order:
    """By what a list is ranked. Customers without a value stand last either way; ties go by
    customer id.
    """

    column: str
    descending: bool

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read ``-value_at_risk`` (largest first) or ``recency_days`` (smallest first).

        Raises
        ------
        UsageError
            A column that lists are not ranked by.

        >>> Order.parse("-clv")
        Order(column='clv', descending=True)
        """
        column = text.removeprefix("-")
        if column not in SORTS:
            raise UsageError(
                f"sort '{text[:100]}' is not known.{did_you_mean(column[:100], SORTS)} Give one of "
                f"{', '.join(SORTS)}, with a leading - for the largest first"
            )
        return cls(column, text.startswith("-"))

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.column


class _Token(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    run: int
    question: str
    seen: int
    value: float | str | None
    customer_id: str


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: where the next one goes on.

    It holds for one run, one order and one set of filters, and says how many rows came before.
    """

    seen: int
    value: Any
    customer_id: str

    def encode(self, run_id: int, filters: Filters, order: Order) -> str:
        """Return the cursor as text that callers hand back unread."""
        token = _Token(run_id, _question(filters, order), self.seen, self.value, self.customer_id)
        return base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, text: str, run_id: int, filters: Filters, order: Order) -> Cursor:
        """Read a cursor back.

        Raises
        ------
        UsageError
            It is damaged, or belongs to another run, order or set of filters.
        """
        try:
            raw = base64.b64decode(
                text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
            )
            token = msgspec.json.decode(raw, type=_Token)
        except (binascii.Error, UnicodeError, msgspec.MsgspecError, RecursionError):
            raise UsageError(
                "the cursor is damaged; take next_cursor as it is, or ask again without one"
            ) from None
        if token.run != run_id:
            raise UsageError(
                "new scores were published since this cursor was given; ask again without a cursor"
            )
        if token.question != _question(filters, order):
            raise UsageError(
                "the cursor belongs to other filters or another order; ask again without a cursor"
            )
        kind = scores.c[order.column].type.python_type
        if token.value is not None and isinstance(token.value, str) != (kind is str):
            raise UsageError(
                "the cursor is damaged; take next_cursor as it is, or ask again without one"
            )
        return cls(token.seen, token.value, token.customer_id)


def _question(filters: Filters, order: Order) -> str:
    asked = msgspec.json.encode(
        [sorted(filters.stages), filters.band, filters.state, filters.min_value, filters.q]
    )
    return hashlib.sha256(asked + str(order).encode("utf-8")).hexdigest()[:16]

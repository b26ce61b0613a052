"""Queries of a published list: filters, order, and the cursor of the next page."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.store.changed import has_changed
from stagecast.serving.store.tables import scores

DEFAULT_SORT = "-value_at_risk"
LAPSED_SORT = "-win_back"
"""Order of a list of the lapsed: the value gone times the chance to return."""
RISKIEST_SORT, LIKELIEST_TO_RETURN = "-churn_probability", "p_inactive"
"""Orders of the active and of the lapsed where no money ranks them."""
LIKELIEST_TO_BUY = "-expected_orders"
"""Order of a list of prospects."""
LIMIT_DEFAULT, LIMIT_MAX = 50, 1000
PREFIX_END = "\U0010ffff"
"""Behind a beginning of ids, it is beyond all ids that begin so."""
SORTS = (
    "value_at_risk",
    "value_gone",
    "win_back",
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
    "loss_per_week",
    "window_closes",
    "days_overdue",
    "stage",
    "customer_id",
)


CursorKind = Literal["damaged", "expired", "of-another-query"]


class CursorError(UsageError):
    """A cursor that does not lead to a next page.

    Parameters
    ----------
    kind
        ``damaged``, ``expired`` (of another run than the one that is read), or of other filters or
        another order.
    message
        What to try next.
    """

    def __init__(self, kind: CursorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _damaged() -> CursorError:
    return CursorError(
        "damaged", "the cursor is damaged; take next_cursor as it is, or ask again without one"
    )


@dataclass(frozen=True)
class Filters:
    """Filters of a list; a filter at its default has no effect.

    Parameters
    ----------
    stages
        Stage ids; a customer passes who is on any of them.
    band
        Churn band: ``low``, ``medium`` or ``high``.
    state
        ``prospect``, ``active`` or ``lapsed``.
    min_value
        Minimum value at risk, in money.
    q
        Prefix of the customer's id.
    play
        Play of the scheme.
    changed
        What changed since the run before: a name of
        :data:`stagecast.serving.store.changed.CHANGES`.
    clv_above, clv_at_most
        Limits of the value to come, in money: more than the first, and no more than the second.
    """

    stages: tuple[str, ...] = ()
    band: str | None = None
    state: str | None = None
    min_value: float | None = None
    q: str | None = None
    play: str | None = None
    changed: str | None = None
    clv_above: float | None = None
    clv_at_most: float | None = None

    @property
    def need_scores(self) -> bool:
        """Whether the list of a run, which has no such column, cannot answer them."""
        return (self.changed, self.clv_above, self.clv_at_most) != (None, None, None)

    def conditions(self, run_id: int) -> list[sa.ColumnElement[bool]]:
        """Return the SQL conditions on the table of scores, of a run that is read."""
        c, conditions = scores.c, []
        if self.stages:
            conditions.append(
                c.stage.in_(self.stages) if len(self.stages) > 1 else c.stage == self.stages[0]
            )
        if self.band is not None:
            conditions.append(c.churn_band == self.band)
        if self.state is not None:
            conditions.append(c.state == self.state)
        if self.play is not None:
            conditions.append(c.play == self.play)
        if self.min_value is not None:
            conditions.append(c.value_at_risk >= self.min_value)
        if self.q:
            # a range uses the index, and needs no escape of % and _ as LIKE would
            conditions.append(sa.and_(c.customer_id >= self.q, c.customer_id < self.q + PREFIX_END))
        if self.changed is not None:
            conditions.append(has_changed(self.changed, run_id))
        if self.clv_above is not None:
            conditions.append(c.clv > self.clv_above)
        if self.clv_at_most is not None:
            conditions.append(c.clv <= self.clv_at_most)
        return conditions


@dataclass(frozen=True)
class Order:
    """Order of a list.

    Customers without a value come last in both directions; ties are ordered by customer id.

    Parameters
    ----------
    column
        One of :data:`SORTS`.
    descending
        Whether the largest value comes first.
    """

    column: str
    descending: bool

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read ``-value_at_risk`` (largest first) or ``recency_days`` (smallest first).

        Raises
        ------
        UsageError
            The column is not one of :data:`SORTS`.

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
    query_digest: str
    offset: int
    value: float | str | None
    customer_id: str


@dataclass(frozen=True)
class Cursor:
    """The last row of a page, after which the next page begins.

    A cursor is valid for one run, one order and one set of filters.

    Parameters
    ----------
    offset
        Number of rows on the pages up to and with this one.
    value
        The row's value in the column by which the list is ordered.
    customer_id
        The row's customer.
    """

    offset: int
    value: Any
    customer_id: str

    def encode(self, run_id: int, filters: Filters, order: Order) -> str:
        """Return the cursor as opaque text for callers."""
        digest = _query_digest(filters, order)
        token = _Token(run_id, digest, self.offset, self.value, self.customer_id)
        return base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, text: str, run_id: int, filters: Filters, order: Order) -> Cursor:
        """Return the cursor that :meth:`encode` turned into this text.

        Raises
        ------
        CursorError
            The text is damaged, or belongs to another run, order or set of filters.
        """
        try:
            raw = base64.b64decode(
                text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
            )
            token = msgspec.json.decode(raw, type=_Token)
        except (binascii.Error, UnicodeError, msgspec.MsgspecError, RecursionError):
            raise _damaged() from None
        if token.run != run_id:
            raise CursorError(
                "expired",
                "new scores were published since this cursor was given; ask again without a "
                "cursor, or stay on the scores of before with run=",
            )
        if token.query_digest != _query_digest(filters, order):
            raise CursorError(
                "of-another-query",
                "the cursor belongs to other filters or another order; ask again without a cursor",
            )
        value_type = scores.c[order.column].type.python_type
        if token.value is not None and isinstance(token.value, str) != (value_type is str):
            raise _damaged()
        return cls(token.offset, token.value, token.customer_id)


def _query_digest(filters: Filters, order: Order) -> str:
    values: list[Any] = [
        sorted(filters.stages),
        filters.band,
        filters.state,
        filters.min_value,
        filters.q,
        filters.play,
        filters.changed,
    ]
    if (filters.clv_above, filters.clv_at_most) != (None, None):
        # without them, cursors of earlier versions stay valid
        values += [filters.clv_above, filters.clv_at_most]
    filters_json = msgspec.json.encode(values)
    return hashlib.sha256(filters_json + str(order).encode("utf-8")).hexdigest()[:16]

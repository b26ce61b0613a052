"""Purchase days as known at the anchor or at a date before it, net of the refunds known then."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stagecast.features.clock import DAY_MICROSECONDS, day_number
from stagecast.features.engines import known_days, sql
from stagecast.features.engines.duckdb.known_events import KnownEvents
from stagecast.features.engines.known_days import KnownDays
from stagecast.features.record import PurchaseDays


class Purchases:
    """Purchase days of the known events, as known at the anchor and at dates before it.

    Parameters
    ----------
    known
        The events known at the anchor.
    """

    def __init__(self, known: KnownEvents) -> None:
        self._known = known
        self._may_differ: dict[int, bool] = {}

    def days(self, back: int = 0) -> PurchaseDays:
        """Return the purchase days known ``back`` days before the anchor.

        Parameters
        ----------
        back
            Whole days before the anchor; events recorded later are ignored.
        """
        if self._held_days is not None:
            return self._held_days.before(back)
        return self._purchase_days(f"known < {-back}")

    @cached_property
    def _held_days(self) -> KnownDays | None:
        """The money of each day, held in memory where that is little; None: SQL is asked.

        Without refunds and late records, the query is a filter.
        """
        if self._known.shape.plain or self._known.shape.wide:
            return None
        counted = "select count(*) from daily where purchases > 0 or refund > 0"
        if self._known.connection.execute(counted).fetchall()[0][0] > known_days.MOST_ROWS:
            return None
        columns = self._known.query([sql.Step("money", known_days.QUERY)])
        return KnownDays(**{name: values.astype(np.int64) for name, values in columns.items()})

    def _purchase_days(self, where: str) -> PurchaseDays:
        last = sql.Step(
            "ordered",
            "select customer, day, cast(spend as double) / 1.0e6 as spend, first_purchase "
            "from purchase_days order by 1, 2",
        )
        columns = self._known.query([*sql.purchase_day_steps(where, self._known.shape), last])
        return PurchaseDays(
            columns["customer"].astype(np.int64),
            columns["day"].astype(np.int64),
            columns["spend"],
            columns["first_purchase"].astype(np.int64),
        )

    def may_differ(self, back: int) -> bool:
        """Tell whether purchase days known at a past date may differ from those at the anchor.

        Only days before the date are compared. They may differ if an event was recorded late, if
        the date is not at midnight UTC, or if a refund since the date reversed an earlier purchase.

        Parameters
        ----------
        back
            The date, as whole days before the anchor.
        """
        if self._known.at % DAY_MICROSECONDS:
            return True
        if back not in self._may_differ:
            self._may_differ[back] = (
                self._known.shape.late
                and self._known.exists("daily", f"happened < {-back} and known >= {-back}")
            ) or self._has_later_refunds(back)
        return self._may_differ[back]

    def _has_later_refunds(self, back: int) -> bool:
        """Tell whether refunds since a date changed the purchase days known at it.

        The date, ``back`` days before the anchor, must be at midnight UTC.
        """
        if not self._known.shape.refunds:
            return False
        if self._held_days is not None:
            at_date, at_anchor = self.days(back), self.days()
        else:
            has_refund = (
                f"customer in (select customer from daily where refund > 0 and happened >= {-back})"
            )
            at_date = self._purchase_days(f"known < {-back} and {has_refund}")
            at_anchor = self._purchase_days(f"known < 0 and {has_refund}")
        is_before_date = at_anchor.day < day_number(self._known.anchor) - back
        # refunds do not change the first purchase of a day, so it is not compared
        return not all(
            np.array_equal(getattr(at_date, column), getattr(at_anchor, column)[is_before_date])
            for column in ("customer", "day", "spend")
        )

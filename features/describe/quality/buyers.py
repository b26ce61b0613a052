"""Buyers and their purchase days, and customers with more events than a customer can have."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from stagecast.features.describe.quality.histograms import quantile

# A customer is absurd with this many times the events of the 99th percentile, and with this many at
# least.
ABSURD_TIMES, ABSURD_EVENTS = 50, 100
MOST_HEAVY = 5


@dataclass(frozen=True)
class Heavy:
    """A customer with absurdly many events: a till, a test account, an agency."""

    customer_id: str
    events: int


@dataclass(frozen=True)
class Buyers:
    """Customers with a purchase, and the UTC days on which they bought.

    ``one_day`` is the share of buyers with purchases on one day only; ``days_*`` are quantiles of
    purchase days per buyer; all None without buyers. ``events_99`` is the 99th percentile of events
    per customer, buyer or not.
    """

    buyers: int
    one_day: float | None
    days_median: int | None
    days_90: int | None
    days_max: int | None
    events_99: int
    heavy: tuple[Heavy, ...]

    def lines(self) -> list[str]:
        """Return the buyers as lines for people."""
        lines = []
        if self.one_day is not None:
            lines.append(
                f"{self.buyers:,} buyers, {self.one_day:.1%} of them on one day only; "
                "purchase days per buyer: median "
                f"{self.days_median:,}, 90 % up to {self.days_90:,}, most {self.days_max:,}"
            )
        lines += [
            f"customer {one.customer_id} has {one.events:,} events, 99 % of the customers "
            f"at most {self.events_99:,}: "
            "a till, a test account or an agency?"
            for one in self.heavy
        ]
        return lines


def describe_buyers(con: duckdb.DuckDBPyConnection) -> Buyers:
    """Describe the customers of the tables ``events`` and ``customer_days``."""
    per_customer = con.execute(
        """SELECT events, count(*)
            FROM (SELECT sum(events) AS events FROM customer_days GROUP BY customer)
        GROUP BY events ORDER BY events"""
    ).fetchall()
    events_99 = int(quantile(per_customer, 0.99))
    days = con.execute(
        """SELECT days, count(*)
            FROM (SELECT count(*) AS days FROM customer_days WHERE purchases > 0 GROUP BY customer)
        GROUP BY days ORDER BY days"""
    ).fetchall()
    limit = max(ABSURD_EVENTS, ABSURD_TIMES * events_99)
    heavy = _heavy(con, limit) if per_customer[-1][0] > limit else ()
    if not days:
        return Buyers(0, None, None, None, None, events_99, heavy)
    buyers = sum(count for _, count in days)
    once = days[0][1] if days[0][0] == 1 else 0
    median, most_90, most = (int(quantile(days, share)) for share in (0.5, 0.9, 1.0))
    return Buyers(buyers, once / buyers, median, most_90, most, events_99, heavy)


def _heavy(con: duckdb.DuckDBPyConnection, above: int) -> tuple[Heavy, ...]:
    rows = con.execute(
        f"""SELECT customer_id, count(*) AS events FROM events WHERE hash(customer_id) IN
        (SELECT customer FROM (SELECT customer, sum(events) AS n FROM customer_days
        GROUP BY customer)
         WHERE n > {above} ORDER BY n DESC, customer LIMIT {MOST_HEAVY})
        GROUP BY customer_id ORDER BY events DESC, customer_id"""
    ).fetchall()
    return tuple(Heavy(customer_id, events) for customer_id, events in rows)

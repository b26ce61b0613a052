"""Buyers and their purchase days, and customers with more events than a person can have."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from stagecast.features.counted import counted
from stagecast.features.describe.quality.histograms import covering, quantile

# A customer is reported with more than this many times the events of the 99th percentile, and more
# than this many events.
HEAVY_TIMES, HEAVY_EVENTS = 50, 100
MOST_HEAVY = 5


@dataclass(frozen=True)
class HeavyCustomer:
    """A customer with far too many events: a till, a test account, an agency."""

    customer_id: str
    events: int


@dataclass(frozen=True)
class Buyers:
    """Customers with a purchase, and the UTC days on which they bought.

    Parameters
    ----------
    buyers
        Number of customers with a purchase.
    one_day
        Share of buyers with purchases on one day only, 0 to 1; None without buyers.
    days_median, days_90, days_max
        Quantiles of purchase days per buyer; None without buyers.
    events_99
        99th percentile of events per customer, buyer or not.
    heavy
        Customers with far too many events, the most first.
    """

    buyers: int
    one_day: float | None
    days_median: int | None
    days_90: int | None
    days_max: int | None
    events_99: int
    heavy: tuple[HeavyCustomer, ...]

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        lines = []
        if self.one_day is not None:
            lines.append(
                f"{counted(self.buyers, 'buyer')}, {self.one_day:.1%} of them on one day only; "
                "purchase days per buyer: median "
                f"{self.days_median:,}, 90 % up to {self.days_90:,}, most {self.days_max:,}"
            )
        lines += [
            f"customer {customer.customer_id} has {customer.events:,} events, "
            f"99 % of the customers at most {self.events_99:,}: "
            "a till, a test account or an agency?"
            for customer in self.heavy
        ]
        return lines


def describe_buyers(con: duckdb.DuckDBPyConnection) -> Buyers:
    """Return a description of the customers in the tables ``events`` and ``customer_days``."""
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
    limit = max(HEAVY_EVENTS, HEAVY_TIMES * events_99)
    heavy = _heavy_customers(con, limit) if per_customer[-1][0] > limit else ()
    if not days:
        return Buyers(0, None, None, None, None, events_99, heavy)
    buyers = sum(count for _, count in days)
    one_day = days[0][1] if days[0][0] == 1 else 0
    days_median, days_90, days_max = (
        int(value) for value in (quantile(days, 0.5), covering(days, 0.9), days[-1][0])
    )
    return Buyers(buyers, one_day / buyers, days_median, days_90, days_max, events_99, heavy)


def _heavy_customers(con: duckdb.DuckDBPyConnection, above: int) -> tuple[HeavyCustomer, ...]:
    """Return the customers with more than ``above`` events, at most ``MOST_HEAVY``."""
    rows = con.execute(
        f"""SELECT customer_id, count(*) AS events FROM events WHERE hash(customer_id) IN
        (SELECT customer FROM (SELECT customer, sum(events) AS n FROM customer_days
        GROUP BY customer)
         WHERE n > {above} ORDER BY n DESC, customer LIMIT {MOST_HEAVY})
        GROUP BY customer_id ORDER BY events DESC, customer_id"""
    ).fetchall()
    return tuple(HeavyCustomer(customer_id, events) for customer_id, events in rows)

"""Length and regularity of the gaps between customers' purchase days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
from scipy.optimize import brentq

from stagecast.features.describe.quality.histograms import usual_gap

# Customers with three purchase days from which the regularity is estimated: its standard error is
# then about 0.2.
FEWEST_PAIRS = 50
LEAST_K, LARGEST_K = 0.05, 100.0
# Sums of two gaps, in days, above which days are treated as continuous time.
LONG_DAYS = 400
RANDOM_K = (0.8, 1.25)
SHORTEST_GAP_DAYS = 3.0
"""Usual gap from which the regularity of gaps in whole days says something."""


@dataclass(frozen=True)
class Rhythm:
    """The gaps between purchase days.

    Parameters
    ----------
    gap_days
        Median over repeat buyers of their mean gap, the ``shop_gap_days`` of the stages; None with
        too few gaps.
    k
        Regularity of Wheat and Morrison: 1 is random, more is regular, less is in bouts; None with
        too few customers.
    pairs
        Number of customers on whom ``k`` rests.
    """

    gap_days: float | None
    k: float | None
    pairs: int

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        lines = []
        if self.gap_days is not None:
            lines.append(
                "the usual gap between purchase days of a customer is "
                f"{self.gap_days:,.1f} days (median)"
            )
        # gaps of whole days say nothing of the regularity of who buys every day or two
        if self.k is not None and (self.gap_days or SHORTEST_GAP_DAYS) >= SHORTEST_GAP_DAYS:
            low, high = RANDOM_K
            word = "in bouts" if self.k < low else "regular" if self.k > high else "random"
            least = " or more" if self.k >= LARGEST_K else ""
            lines.append(
                f"regularity of the gaps k = {self.k:.2f}{least} ({word}; 1 is random, "
                "more is regular), "
                f"from the first two gaps of {self.pairs:,} customers"
            )
        return lines


def describe_rhythm(con: duckdb.DuckDBPyConnection) -> Rhythm:
    """Return a description of the purchase days in the table ``customer_days``."""
    spans = """(SELECT count(*) AS orders, min(day) AS first_day, max(day) AS last_day
        FROM customer_days
        WHERE purchases > 0 GROUP BY customer)"""
    # a window, since DuckDB cannot spill lists of each customer's first three days to disk; whole
    # numbers, so that the sum does not depend on the order of the rows
    pairs = con.execute(
        """SELECT third - first AS total, count(*),
            CAST(sum(CAST(2 * second - first - third AS BIGINT) * CAST(2 * second - first - third
            AS BIGINT)) AS DOUBLE)
                / (4.0 * (third - first) * (third - first))
        FROM (SELECT lag(day, 2) OVER past AS first, lag(day) OVER past AS second, day AS third,
            lag(day, 3) OVER past AS before FROM customer_days WHERE purchases > 0
            WINDOW past AS (PARTITION BY customer ORDER BY day))
        WHERE first IS NOT NULL AND before IS NULL GROUP BY total ORDER BY total"""
    ).fetchall()
    customers = sum(row[1] for row in pairs if row[0] > 2)
    return Rhythm(
        usual_gap(con, spans),
        regularity(pairs) if customers >= FEWEST_PAIRS else None,
        customers,
    )


def regularity(pairs: Sequence[tuple[int, int, float]]) -> float:
    """Return the regularity k of gaps: 1 is random (Poisson), more is regular, less is in bouts.

    For Erlang-k gaps the share M = g1 / (g1 + g2) of the first of two gaps has the variance 1 / (4
    (2 k + 1)) around one half, hence k = (1 - 4 v) / (8 v). Gaps are whole days of at least one,
    though, which narrows the distribution of M: random gaps of 10 days on average would give k =
    1.4. So M takes only the values that are possible given the sum of the two gaps, with the same
    density; for k = 1 that is exact.

    Parameters
    ----------
    pairs
        Sum of two gaps in days; the number of customers with that sum; their sum of (M - 1/2)^2.
        Entries with a sum of two days, for which M can only be one half, are ignored.

    Returns
    -------
    float
        Between ``LEAST_K`` and ``LARGEST_K``.

    Source: Wheat and Morrison (1990), "Estimating purchase regularity with two interpurchase
    times", Journal of Marketing Research 27.

    >>> round(regularity([(1000, 60, 60 / 12)]), 6)
    1.0
    """
    total, customers, squares = np.array(
        [pair for pair in pairs if pair[0] > 2], dtype=np.float64
    ).T
    is_short = total <= LONG_DAYS
    first_gap = np.arange(1.0, LONG_DAYS)
    second_gap = total[is_short, None] - first_gap
    log_product = np.log(np.where(second_gap > 0, second_gap, 1.0) * first_gap)
    distance = (first_gap / total[is_short, None] - 0.5) ** 2

    def excess(log_k: float) -> float:
        k = float(np.exp(log_k))
        log_weight = np.where(second_gap > 0, (k - 1.0) * log_product, -np.inf)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True, initial=-np.inf))
        expected = np.full(len(total), 1.0 / (4.0 * (2.0 * k + 1.0)))
        expected[is_short] = (weight * distance).sum(axis=1) / weight.sum(axis=1)
        return float(customers @ expected - squares.sum())

    low, high = float(np.log(LEAST_K)), float(np.log(LARGEST_K))
    if excess(low) <= 0:
        return LEAST_K
    if excess(high) >= 0:
        return LARGEST_K
    return float(np.exp(brentq(excess, low, high)))

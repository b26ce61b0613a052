"""Quantiles of histograms that are counted inside DuckDB."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np

from stagecast.features.engines.shop_gap import FEWEST_GAPS, MeanGaps


def quantile(histogram: Sequence[tuple[float, int]], share: float) -> float:
    """Return the value of rank ``floor(share * (n - 1))``, from 0, of a histogram.

    Parameters
    ----------
    histogram
        Pairs of a value and its count, in ascending order of the values; not empty.
    share
        0 to 1.

    >>> quantile([(1.0, 3), (5.0, 1)], 0.5), quantile([(1.0, 3), (5.0, 1)], 1.0)
    (1.0, 5.0)
    """
    values, counts = zip(*histogram, strict=True)
    cumulative = np.cumsum(counts)
    rank = int(np.floor(share * (cumulative[-1] - 1) + 1e-9))
    return float(values[int(np.searchsorted(cumulative, rank, side="right"))])


def covering(histogram: Sequence[tuple[float, int]], share: float) -> float:
    """Return the smallest value that at least this share of a histogram does not exceed.

    Parameters
    ----------
    histogram
        As of :func:`quantile`.
    share
        Above 0, at most 1.

    >>> covering([(1.0, 1), (2.0, 1)], 0.9), covering([(1.0, 9), (2.0, 1)], 0.9)
    (2.0, 1.0)
    """
    values, counts = zip(*histogram, strict=True)
    cumulative = np.cumsum(counts)
    rank = int(np.ceil(share * cumulative[-1] - 1e-9))
    return float(values[int(np.searchsorted(cumulative, rank, side="left"))])


def usual_gap_of(gaps: MeanGaps) -> float | None:
    """Return what :func:`usual_gap` returns, from the mean gaps of the customers.

    >>> usual_gap_of(MeanGaps(np.array([7.0, 30.0, 90.5, 91.0]), 40))
    30.0
    """
    if gaps.gaps < FEWEST_GAPS:
        return None
    values, counts = np.unique(np.round(gaps.mean, 2), return_counts=True)
    return quantile(list(zip(values.tolist(), counts.tolist(), strict=True)), 0.5)


def usual_gap(con: duckdb.DuckDBPyConnection, spans: str) -> float | None:
    """Return the median over customers of their mean gap, in days to two decimals.

    Parameters
    ----------
    con
        Connection that can read ``spans``.
    spans
        A table, or a query in brackets: a row per customer with ``orders``, ``first_day`` and
        ``last_day``.

    Returns
    -------
    float or None
        None if there are fewer than ``FEWEST_GAPS`` gaps.
    """
    rows = con.execute(
        f"""SELECT gap, count(*), sum(gaps)
            FROM (SELECT round((last_day - first_day) / (orders - 1), 2) AS gap,
        orders - 1 AS gaps FROM {spans} WHERE orders > 1) GROUP BY gap ORDER BY gap"""
    ).fetchall()
    has_enough = sum(gaps for _, _, gaps in rows) >= FEWEST_GAPS
    return quantile([(gap, count) for gap, count, _ in rows], 0.5) if has_enough else None

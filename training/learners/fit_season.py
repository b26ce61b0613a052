"""Fitting of a season of purchases, and how well the years agree about it."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.features.record import PurchaseDays
from stagecast.training.learners.agreement import UNKNOWN, Agreement
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.season_of_purchases import BINS, Season

LEAST_YEARS: Final = 2
"""Whole years before the as_of that tell a season from chance."""
LEAST_SPREAD: Final = 0.15
"""Least standard deviation, in logs, of the parts of a year that is worth to be called a season."""
PRIOR_ORDERS: Final = 10.0
"""Orders of a part of one year that are added to what came and to what was expected."""
PRIOR_OF_YEARS: Final = 3.0
"""The same for the years together, of which their agreement says how much is chance."""


def season_of(days: PurchaseDays, as_of_day: float, history_days: float, model: Model) -> Season:
    """Return the season of the repeat purchases of a log; even where there is none.

    What came in a part of a year is compared with what customers of those ages usually order, by
    the model. The logs of these ratios are shrunk to 0 as the mean of a normal posterior: the
    variance of the season is the covariance of two halves of the years, and what they do not have
    in common is chance, more of it in parts of fewer orders.

    Parameters
    ----------
    days
        The purchase days, ordered by customer and day.
    as_of_day
        The as_of as a day number (days since 1970).
    history_days
        Days of the log before the as_of.
    model
        Model of the purchases of these customers with random gaps.
    """
    even = Season((1.0,) * BINS, as_of_day)
    counts = _came_and_usual(days, as_of_day, history_days, model)
    if counts is None:
        return even
    came, usual = counts
    by_year = _log_pace(came, usual, PRIOR_ORDERS)
    odd, rest = by_year[::2].mean(axis=0), by_year[1::2].mean(axis=0)
    signal, halves = float(odd @ rest) / BINS, float(odd @ odd + rest @ rest) / BINS / 2.0
    shared = float(np.clip(signal / max(halves, 1e-9), 0.0, 1.0))
    orders, expected = came.sum(axis=0), usual.sum(axis=0)
    of_all = _log_pace(orders[None], expected[None], PRIOR_OF_YEARS)[0]
    if (of_all * shared).std() < LEAST_SPREAD:
        return even
    # the mean of both halves has half of the chance of each, and a part of few orders more of it
    # (of a part without orders, where many are usual, there is little doubt)
    per_order = 1.0 / (np.maximum(orders, expected) + PRIOR_OF_YEARS)
    chance = max(halves - signal, 0.0) / 2.0 * per_order / per_order.mean()
    mean = of_all * signal / (signal + chance)
    pace = np.exp(mean)[::-1]
    return Season(tuple(map(float, pace / pace.mean())), as_of_day)


def agreement_of_years(
    days: PurchaseDays, as_of_day: float, history_days: float, model: Model, horizon_days: int
) -> Agreement:
    """Return how well the years of a log agree about the season, over spans of a horizon.

    Parameters
    ----------
    days, as_of_day, history_days, model
        As in :func:`season_of`.
    horizon_days
        Length of the spans whose purchases are compared.

    Notes
    -----
    An analysis of variance of the log pace of each span in each year, with the mean of each year
    taken out: what differs between the years at the same time of the year, over what the times of
    the year differ by. A year has about ``YEAR_DAYS / horizon_days`` spans that do not overlap.
    """
    spans = YEAR_DAYS / horizon_days - 1.0
    counts = _came_and_usual(days, as_of_day, history_days, model) if spans > 0 else None
    if counts is None:
        return UNKNOWN
    parts = max(1, round(horizon_days / YEAR_DAYS * BINS))
    came, usual = (_with_parts_before(values, parts) for values in counts)
    by_year = _log_pace(came, usual, PRIOR_ORDERS)
    years = len(by_year)
    mean = by_year.mean(axis=0)
    within = float(((by_year - mean) ** 2).sum()) / (BINS * (years - 1))
    season = float((mean**2).mean()) - within / years
    return Agreement(within / season, spans * (years - 1)) if season > 0 else UNKNOWN


def _came_and_usual(
    days: PurchaseDays, as_of_day: float, history_days: float, model: Model
) -> tuple[Array, Array] | None:
    """Return the repeat purchases of each part of each year, and those usual at these ages.

    Years and parts are counted back from the as_of, shape (years, ``BINS``) each. None where the
    log has fewer than ``LEAST_YEARS`` years.
    """
    years = int(history_days // YEAR_DAYS)
    if years < LEAST_YEARS:
        return None
    observed, expected = came_and_usual(days, as_of_day, years * BINS, model)
    return observed.reshape(years, BINS), expected.reshape(years, BINS)


def came_and_usual(
    days: PurchaseDays, as_of_day: float, parts: int, model: Model
) -> tuple[Array, Array]:
    """Return the repeat purchases of each part before the as_of, and those usual at these ages.

    The newest part comes first, shape (parts,) each; a part is a year over ``BINS`` long.
    """
    first_of_customer = np.r_[True, days.customer[1:] != days.customer[:-1]]
    before = as_of_day - days.day.astype(np.float64)
    width = YEAR_DAYS / BINS
    part = np.floor((before - 0.5) / width).astype(np.int64)
    repeat = ~first_of_customer & (part >= 0) & (part < parts)
    observed = np.bincount(part[repeat], minlength=parts).astype(np.float64)
    age = before[first_of_customer]
    # ages of all customers at the edges of the parts, in whole parts; orders so far by the model
    edges = np.arange(parts + 1.0) * width
    grid = np.linspace(0.0, float(age.max(initial=1.0)), 200)
    usual = model.expected_orders_new(grid)
    so_far = np.array([np.interp(np.maximum(age - edge, 0.0), grid, usual).sum() for edge in edges])
    return observed, so_far[:-1] - so_far[1:]


def _with_parts_before(values: Array, parts: int) -> Array:
    """Return each part of a year with the ``parts - 1`` before it, the year being a circle."""
    return np.asarray(sum(np.roll(values, shift, axis=1) for shift in range(parts)))


def _log_pace(came: Array, usual: Array, prior: float) -> Array:
    """Return the log of the pace by year and part of the year, of mean 0 in each year."""
    logs = np.log((came + prior) / (usual + prior))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))

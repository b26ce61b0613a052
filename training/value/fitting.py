"""Fitting of :class:`stagecast.training.value.model.ValueModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.unseen import Unseen
from stagecast.training.learners.agreement import UNKNOWN, Agreement
from stagecast.training.learners.blend import SEASON_SPREAD
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import (
    LEVEL_SPREAD,
    Rows,
    fit_factor_and_before,
    shrunk_level,
)
from stagecast.training.learners.fit_leaving import fit_leaving
from stagecast.training.learners.fit_season import season_of
from stagecast.training.learners.leaving import Leaving
from stagecast.training.learners.pace_of_log import Pace
from stagecast.training.panel import Frame
from stagecast.training.peaks.peak import Peak
from stagecast.training.value.bought import earlier_dates, rows_of, those_who_bought, with_purchases
from stagecast.training.value.fit_base_share import (
    Customers,
    learned_share,
    sampled,
    with_base_share,
)
from stagecast.training.value.fit_first_orders import fit_first_orders
from stagecast.training.value.fit_prices import fit_prices
from stagecast.training.value.fit_reactivation import fit_reactivation
from stagecast.training.value.fit_spend import SpendTeaching, fit_spend
from stagecast.training.value.model import ValueModel, repeat_if_any
from stagecast.training.value.orders_of_season import towards_season
from stagecast.training.value.own_regressors import with_own_regressors
from stagecast.training.value.rest import ON_DATES_SPREAD, Rest, fit_rest
from stagecast.training.value.rest_of_season import at_season
from stagecast.training.value.spans import Purchases
from stagecast.training.value.times import Times

FEWEST_REPEATS: Final = 30


@dataclass(frozen=True)
class Teaching:
    """What the value model learns from.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    bases
        Days before the as_of -> customer base of that date.
    purchases
        Every purchase day known at the as_of.
    has_amounts
        Whether the log has amounts.
    history_days
        Days from the first event to the as_of.
    now
        Features of the buyers at the as_of, shape (n_buyers,) each.
    as_of
        First instant of the horizon.
    seasons
        The dates of the same season in past years, newest first; empty where there is none.
    gaps
        Sums over the gaps of the buyers at the as_of; None where they are not known.
    unseen
        P(no purchase) at the newest date, by members that had not seen what came; None where there
        is none.
    years
        How well the years of the log agree about the season of its purchases.
    current
        Columns of the buyers at the as_of or of a sample of them, and their P(no purchase), shape
        (rows,) each; empty where there are none.
    peak
        A peak of a young log that is over, of which the dates have the ordinary days alone; None
        where there is none.
    leaving
        How customers leave, see :func:`leaving_of_log`; None where the customer base tells it.
    on_dates
        Whether customers pay a price at regular gaps, or buy in a season that is known.
    """

    dates: Sequence[Frame]
    bases: Mapping[int, CustomerBase]
    purchases: Purchases
    has_amounts: bool
    history_days: float
    now: Mapping[str, Array]
    as_of: datetime
    seasons: Sequence[Frame] = ()
    gaps: LogGaps | None = None
    unseen: Unseen | None = None
    years: Agreement = UNKNOWN
    current: tuple[Mapping[str, Array], Array] = field(default_factory=lambda: ({}, np.zeros(0)))
    peak: Peak | None = None
    leaving: Leaving | None = None
    on_dates: bool = False


def fit_value(teaching: Teaching, config: TrainConfig) -> ValueModel:
    """Fit the value model: the spend so far, and the factors that past dates teach."""
    model = ValueModel(
        _mean_spend(teaching.now) if teaching.has_amounts else None,
        _p_paid(teaching.now) if teaching.has_amounts else 0.5,
        teaching.history_days,
    )
    base = teaching.bases.get(0)
    if teaching.has_amounts and base is not None:
        model = replace(model, leaving=teaching.leaving)
        reactivation = fit_reactivation(
            teaching.dates, teaching.bases, model.leaving, teaching.purchases, config
        )
        prices = fit_prices(
            teaching.purchases, base, teaching.now, teaching.history_days, config.horizon_days
        )
        first_orders = fit_first_orders(base.spend, teaching.now)
        model = replace(model, reactivation=reactivation, prices=prices, first_orders=first_orders)
    dates = with_purchases(teaching.dates)
    if not dates:
        return model
    off, ahead = _off_by_peak(teaching)
    repeats_off = {back: repeats for back, (repeats, _) in off.items()}
    orders, orders_before = _fit_orders(dates, teaching, config, repeats_off, ahead[0])
    model = replace(model, orders=orders)
    rest_off = {back: rest for back, (_, rest) in off.items()}
    rest = _fit_rest(teaching, model.leaving, config, rest_off, ahead[1])
    model = replace(model, rest=rest.factor, rest_season=rest.season)
    spend_before = Factor()
    if model.mean_spend is not None:
        of_spend = SpendTeaching(
            teaching.dates, teaching.seasons, base, teaching.purchases, teaching.as_of
        )
        spend = fit_spend(of_spend, model, config)
        model = replace(model, spend=spend.within, later_spend=spend.later)
        spend_before = spend.before
    return _mixed(model, replace(model, orders=orders_before, spend=spend_before), teaching)


def _off_by_peak(
    teaching: Teaching,
) -> tuple[Mapping[int, tuple[float, float]], tuple[float, float]]:
    """Return what the repeats and the rest of a customer base are off by, where it knows no peak.

    Of each past date by days before the as_of, and of the as_of; nothing, and 1, without a peak.
    """
    peak, newest = teaching.peak, teaching.bases.get(0)
    if peak is None or newest is None:
        return {}, (1.0, 1.0)
    return peak.off(teaching.dates, teaching.bases), peak.ratios(teaching.now, newest)


def _fit_rest(
    teaching: Teaching,
    leaving: Leaving | None,
    config: TrainConfig,
    off: Mapping[int, float],
    ahead: float,
) -> Rest:
    """Return the factor of the rest; with a season at its level, with a peak at the pace ahead.

    ``off`` and ``ahead`` are those of the rest by :func:`_off_by_peak`.
    """
    peak, newest, (columns, _) = teaching.peak, teaching.bases.get(0), teaching.current
    if peak is None or newest is None:
        rest = fit_rest(
            teaching.dates,
            teaching.bases,
            teaching.purchases,
            config,
            teaching.seasons,
            spread=ON_DATES_SPREAD if teaching.on_dates else LEVEL_SPREAD,
        )
        if newest is None or not columns:
            return rest
        return at_season(rest, leaving, newest, columns, config)
    ordinary = Purchases(peak.ordinary, teaching.purchases.as_of_day)
    rest = fit_rest(teaching.dates, teaching.bases, ordinary, config, (), off)
    return replace(rest, factor=replace(rest.factor, level=rest.factor.level * ahead))


def _mixed(model: ValueModel, before: ValueModel, teaching: Teaching) -> ValueModel:
    """Return the model with the share of the customer base that the newest date teaches.

    ``before`` is the model with the factors that had not seen what came after that date.
    """
    unseen, (columns, p_inactive) = teaching.unseen, teaching.current
    if model.own:  # the regressors of the user have taken their share
        return model
    if unseen is None or "btyd_orders" not in unseen.frame.columns or not len(p_inactive):
        return model
    rows = sampled(len(unseen.frame))
    frame = unseen.frame.of(rows)
    base, newest = teaching.bases.get(frame.back), teaching.bases.get(0)
    base = None if base is None else base.with_spend_of(newest)
    customers = Customers.of(before, base, frame.columns, unseen.p_inactive[rows])
    outcome = frame.orders if model.mean_spend is None else np.maximum(frame.spend, 0.0)
    share = learned_share(customers, outcome)
    return with_base_share(model, newest, share, columns, p_inactive)


def leaving_of_log(
    base: CustomerBase,
    now: Mapping[str, Array],
    purchases: Purchases,
    history_days: float,
    gaps: LogGaps | None,
    peak: Peak | None,
) -> Leaving | None:
    """Return the models of leaving, in the time of the season where purchases have one.

    The parameters are those of :class:`Teaching`, and the customer base of the as_of.
    """
    random = base.models[-1]
    season: Pace | None = None
    if peak is not None:
        season = peak.pace
    elif random.regularity == 1:
        season = season_of(purchases.days, purchases.as_of_day, history_days, random)
    return fit_leaving(base, now, gaps, season)


def _mean_spend(now: Mapping[str, Array]) -> float:
    """Return the mean spend per purchase day of the buyers who paid; 0 where nobody did."""
    mean = np.nan_to_num(now["spend_mean"])
    return float(mean[mean > 0].mean()) if (mean > 0).any() else 0.0


def _p_paid(now: Mapping[str, Array]) -> float:
    """Return P(a repeat purchase brings money | the first brought none), shrunk to one half."""
    first_unpaid = (np.nan_to_num(now["spend_first"]) <= 0) & (now["frequency"] > 0)
    later = np.nan_to_num(now["monetary"][first_unpaid])
    return float(((later > 0).sum() + 0.5) / (len(later) + 1.0))


def _fit_orders(
    dates: Sequence[Frame],
    teaching: Teaching,
    config: TrainConfig,
    off: Mapping[int, float],
    ahead: float,
) -> tuple[Factor, Factor]:
    """Return the factor of the repeat orders of those who ordered, at the level of the season.

    Also the one that stood before the newest date, see :func:`fit_factor_and_before`. ``off`` and
    ``ahead`` are those of the repeats by :func:`_off_by_peak`.
    """

    def of_base(frame: Frame, rows: Integers) -> Array:
        repeats = repeat_if_any(frame.columns)[rows]
        return repeats * off[frame.back] if frame.back in off else repeats

    def rows_of_dates(frames: Sequence[Frame]) -> Rows:
        pairs = list(zip(frames, those_who_bought(frames), strict=True))
        outcome = [frame.orders[rows] - 1.0 for frame, rows in pairs]
        expected = [of_base(frame, rows) for frame, rows in pairs]
        return rows_of(frames, expected, outcome, np.ones(sum(len(values) for values in outcome)))

    rows, earlier = rows_of_dates(dates), earlier_dates(dates, config.horizon_days)
    if rows.outcome.sum() < FEWEST_REPEATS:
        few = Factor(float(np.clip(rows.ratio, 0.0, 1.0)) if rows.outcome.any() else 0.02)
        return few, few
    earlier_rows = rows_of_dates(earlier) if earlier else None
    later_rows = rows_of_dates(dates[:1]) if earlier else None
    factor, before = fit_factor_and_before(rows, earlier_rows, later_rows, "poisson", config.seed)
    factor = with_own_regressors(
        factor, config.members.orders, rows, earlier_rows, later_rows, "poisson", config.seed, 1.0
    )
    expected = factor.times(rows.start, rows.columns)
    of_all = float(np.clip(rows.outcome.sum() / expected.sum(), 0.02, 5.0))
    factor = replace(factor, level=of_all)

    def level(frames: Sequence[Frame], so_far: Factor, spread: float) -> float:
        part = rows_of_dates(frames)
        return shrunk_level(part.outcome, so_far.times(part.start, part.columns), spread)

    seasons = with_purchases(teaching.seasons)
    times = Times(level, dates, seasons, teaching.as_of, config, years=teaching.years)
    before = replace(before, level=of_all)
    carried, leaving = times.carried(factor), teaching.leaving
    if leaving is not None and leaving.seasonal is not None and teaching.peak is None:
        carried = _orders_of_season(carried, times, factor, leaving, teaching.current)
    return replace(factor, level=of_all * float(np.exp(carried)) * ahead), before


def _orders_of_season(
    carried: float,
    times: Times,
    factor: Factor,
    leaving: Leaving,
    current: tuple[Mapping[str, Array], Array],
) -> float:
    """Return the log of the level of the repeat orders, moved to the model of the season."""
    if not (times.seasons and len(current[1])) or times.config.calendar.occasions:
        return carried
    logs = [float(np.log(times.level([f], factor, SEASON_SPREAD))) for f in times.seasons]
    return towards_season(
        carried, logs, times.seasons, leaving, factor, current, times.config.horizon_days
    )

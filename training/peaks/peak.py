"""What the customer base expects where a peak of the log is taken for what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS, day_number
from stagecast.features.record import PurchaseDays
from stagecast.training.columns import rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import level_shift
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.fit_seasonal_pareto import fit_seasonal_pareto
from stagecast.training.learners.btyd.seasonal_pareto import Histories, SeasonalPareto
from stagecast.training.learners.customer_base import HISTORY, MODELS, CustomerBase, log_odds
from stagecast.training.learners.fit_pace import pace_of_log
from stagecast.training.learners.fit_season import LEAST_YEARS
from stagecast.training.learners.pace_of_log import PaceOfLog
from stagecast.training.learners.season_of_purchases import BINS
from stagecast.training.panel import Frame, Panel
from stagecast.training.peaks.ordinary import is_extra, ordinary_panel

MAX_CUSTOMERS: Final = 2_000
"""About how many customers the model is fitted on, and its totals are told of."""
LEAST, MOST = 0.2, 5.0
"""A ratio of two expectations is not believed beyond."""


@dataclass(frozen=True)
class Expected:
    """Totals that a model expects of customers.

    Parameters
    ----------
    none
        P(no purchase within the horizon), shape (rows,).
    repeats
        Orders within the horizon beyond the first of each who orders.
    rest
        Discounted orders after it, within the value horizon.
    """

    none: Array
    repeats: float
    rest: float


@dataclass(frozen=True)
class Peak:
    """A peak of a young log that is over.

    Parameters
    ----------
    model
        Pareto/NBD whose purchases run by the pace of the log.
    extra, ordinary
        The purchase days that ordinary days would not have had, and all others.
    config
        Horizons and discount.
    """

    model: SeasonalPareto
    extra: PurchaseDays
    ordinary: PurchaseDays
    config: TrainConfig

    @property
    def pace(self) -> PaceOfLog:
        """The pace of the log."""
        assert isinstance(self.model.season, PaceOfLog)
        return self.model.season

    @cached_property
    def calm_model(self) -> SeasonalPareto:
        """The model with nothing but ordinary days ahead."""
        return SeasonalPareto(self.model.params, PaceOfLog((), (1.0,) * BINS, self.pace.day))

    def without(self, panel: Panel) -> Panel:
        """Return the panel with the outcomes of its past dates as of ordinary days."""
        return ordinary_panel(panel, self.extra, self.config.horizon_days)

    def calm_none(self, columns: Mapping[str, Array]) -> Array:
        """Return P(no purchase) of buyers of a date if ordinary days follow it, of a sample.

        Parameters
        ----------
        columns
            Histories of the buyers, shape (rows,) each.
        """
        return self._by_pace(self.calm_model, _sampled(columns)).none

    def shift_ahead(self, columns: Mapping[str, Array]) -> float:
        """Return what the days that are expected add to the log odds of ordinary ones.

        The parameters are those of :meth:`calm_none`, at the as_of.
        """
        ahead = self._by_pace(self.model, _sampled(columns)).none
        return level_shift(log_odds(self.calm_none(columns)), ahead)

    def off(
        self, dates: Sequence[Frame], bases: Mapping[int, CustomerBase]
    ) -> dict[int, tuple[float, float]]:
        """Return days before the as_of -> :meth:`ratios` of that date, if ordinary days follow it.

        Parameters
        ----------
        dates
            Frames of buyers.
        bases
            Days before the as_of -> customer base of that date.
        """
        return {
            frame.back: self.ratios(frame.columns, bases[frame.back], calm=True)
            for frame in dates
            if frame.back in bases and len(frame)
        }

    def ratios(
        self, columns: Mapping[str, Array], base: CustomerBase, *, calm: bool = False
    ) -> tuple[float, float]:
        """Return the repeats and the rest that are expected, over those of the customer base.

        Parameters
        ----------
        columns
            Histories of the buyers of a date, shape (rows,) each.
        base
            The customer base of that date.
        calm
            Whether the days ahead are ordinary ones, instead of those that are expected.
        """
        sample = _sampled(columns)
        usual = self._by_base(base.models[-1], sample)
        paced = self._by_pace(self.calm_model if calm else self.model, sample)
        return _ratio(paced.repeats, usual.repeats), _ratio(paced.rest, usual.rest)

    def _by_base(self, model: Model, columns: Mapping[str, Array]) -> Expected:
        x, t_x, T = (columns[name] for name in HISTORY)
        near, far, rate = self._spans
        none, alive, orders = model.outlook(near, x, t_x, T)
        to_near, to_far = (
            model.expected_orders_discounted(days, x, t_x, T, rate, alive) for days in (near, far)
        )
        return _expected(none, orders, to_near, to_far)

    def _by_pace(self, model: SeasonalPareto, columns: Mapping[str, Array]) -> Expected:
        x, t_x, T = (columns[name] for name in HISTORY)
        as_of = round(float(columns["first_day"][0] + T[0]), 6) if len(T) else 0.0
        past = Histories.of(x, t_x, T, as_of, self.pace)
        near, far, rate = self._spans
        alive = model.alive(past)
        none = 1.0 - alive * (1.0 - model.none_if_alive(past, float(near)))
        orders, to_near, to_far = (
            alive * model.orders_ahead(past, float(days), of)[1]
            for days, of in ((near, 0.0), (near, rate), (far, rate))
        )
        return _expected(none, orders, to_near, to_far)

    @property
    def _spans(self) -> tuple[int, int, float]:
        config = self.config
        return config.horizon_days, config.value_horizon_days, config.annual_discount


def _expected(none: Array, orders: Array, to_near: Array, to_far: Array) -> Expected:
    repeats = float((orders - (1.0 - none)).sum())
    return Expected(none, repeats, float((to_far - to_near).sum()))


def _ratio(of: float, over: float) -> float:
    return float(np.clip(of / over, LEAST, MOST)) if of > 0 and over > 0 else 1.0


def _sampled(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return the histories of every k-th of the customers."""
    rows = slice(None, None, max(1, -(-len(columns["T_days"]) // MAX_CUSTOMERS)))
    return {name: columns[name][rows] for name in (*HISTORY, "first_day")}


def peaks_of(panel: Panel, days: PurchaseDays, config: TrainConfig) -> PaceOfLog | None:
    """Return the pace of a log of less than two whole years in which a peak is over, or None.

    Where a calendar of occasions is known, it tells which days were no ordinary ones. The
    parameters are those of :func:`find_peak`.
    """
    base = panel.base
    if (
        config.calendar.occasions
        or base is None
        or base.due is not None
        or panel.history_days >= LEAST_YEARS * YEAR_DAYS
        or base.is_regular
    ):
        return None
    if tuple(model.name for model in base.models) != MODELS:
        return None
    return pace_of_log(days, day_number(panel.as_of), panel.history_days, base.models[-1])


def find_peak(panel: Panel, days: PurchaseDays, config: TrainConfig) -> Peak | None:
    """Return the peak of a log of less than two whole years; None where there is none.

    Parameters
    ----------
    panel
        The snapshot, and the customer base.
    days
        The purchase days known at the as_of, ordered by customer and day.
    config
        Settings of the training.
    """
    base, pace, as_of_day = panel.base, peaks_of(panel, days, config), day_number(panel.as_of)
    if base is None or pace is None:
        return None
    sample = _sampled(rows_of(panel.now.features, np.flatnonzero(panel.now.buyers)))
    x, t_x, T = (sample[name] for name in HISTORY)
    past = Histories.of(x, t_x, T, as_of_day, pace)
    try:
        model, _ = fit_seasonal_pareto(past, pace, base.models[-1].params)
    except FitError:
        return None
    extra = is_extra(days, pace)
    return Peak(
        model,
        days.of(np.flatnonzero(extra)),
        days.of(np.flatnonzero(~extra)),
        config,
    )

"""Orders, spend and value of one buyer, by the formulas of :mod:`stagecast.training.value`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import (
    clip,
    exp,
    expit,
    exprel,
    logit,
    maximum,
    minimum,
    on_numbers,
)
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.leaving import LEAST_ALIVE, Leaving, regained_total
from stagecast.training.one_row.base import (
    ModelOfOne,
    SeveralOfOne,
    Spans,
    mean,
    mean_rows,
    model_of_one,
)
from stagecast.training.one_row.base_of_arrays import (
    BaseOfArrays,
    needs_arrays,
    one_row,
    spans_of,
)
from stagecast.training.one_row.predictions import BaseOutlook, MoneyOfOne
from stagecast.training.one_row.trees import factor_of_one
from stagecast.training.value import ahead, base_share, first_orders, prices, reactivation
from stagecast.training.value import model as value_model
from stagecast.training.value.kept import parts_of_buyers, still_customer, still_until_due
from stagecast.training.value.model import ValueModel, discounted_days
from stagecast.training.value.money import YEARS

_parts_of_buyers = on_numbers(parts_of_buyers)
_still_customer = on_numbers(still_customer)
_still_until_due = on_numbers(still_until_due)
_repeat_if_any = on_numbers(value_model.repeat_if_any)
_mixed_if_any = on_numbers(base_share.mixed_if_any)
_own_rate = on_numbers(ahead.own_rate)
_pulled_forward = on_numbers(ahead.pulled_forward)
_rest_within_own_rate = on_numbers(ahead.rest_within_own_rate)
_reactivated_orders = on_numbers(reactivation.reactivated_orders)
_to_mean_prices = on_numbers(prices.to_mean_prices)
_to_coming_prices = on_numbers(prices.to_coming_prices)
_mean_of_orders = on_numbers(first_orders.mean_of_orders)
_SMALLEST = 1e-9
_LEAST_CHANCE = 1e-300
_NULL = math.nan
Columns = Mapping[str, float]


class _LeavingOfOne(NamedTuple):
    """:class:`stagecast.training.learners.leaving.LeavingOutlook` of one buyer."""

    alive: float
    none: float
    orders_if_alive: float
    kept_orders: float
    regained_orders: float


class BaseOfOne:
    """A customer base whose models have random gaps, asked of one buyer after the other.

    Parameters
    ----------
    base
        The customer base.
    config
        Horizons and discount.
    tells_years
        Whether the value is told by year.
    """

    def __init__(self, base: CustomerBase, config: TrainConfig, *, tells_years: bool) -> None:
        horizon, days = config.horizon_days, config.value_horizon_days
        self.place = spans_of(config, tells_years=tells_years)
        spans = Spans(np.array(list(self.place), dtype=np.float64), config.annual_discount)
        self._base = base
        self.models: list[ModelOfOne] = [model_of_one(m, spans, days) for m in base.models]
        self._several = SeveralOfOne(self.models)
        self.names = [model.name for model in base.models]
        self.weights, self.horizon = list(base.weights), horizon
        daily = np.log1p(config.annual_discount) / 365.0
        self.length = float(days * exprel(float(-daily * days)))

    def of(self, columns: Columns) -> BaseOutlook:
        """Return what the customer base says of a buyer."""
        history = columns["frequency"], columns["t_x_days"], columns["T_days"]
        of_models = self._several.outlooks(self.horizon, *history)
        none = [logit(clip(own.p_none, 1e-6, 1 - 1e-6)) for own in of_models]
        named = {f"btyd_none_{name}": odds for name, odds in zip(self.names, none, strict=True)}
        means = {
            "btyd_none": mean(none, self.weights),
            "btyd_alive": mean([own.alive for own in of_models], self.weights),
            "btyd_orders": mean([own.orders for own in of_models], self.weights),
        }
        until = mean_rows([own.until for own in of_models], self.weights)
        alive = tuple(own.alive for own in of_models)
        return BaseOutlook(self._base, alive, of_models[0], history, {**named, **means}, until)

    def kept(self, said: BaseOutlook, leaving: Leaving | None) -> tuple[float, float]:
        """Return the discounted orders of who never leaves, and of who had left and is back."""
        x, t_x, T = said.history
        alive = said.alive
        staying = self._given(alive, [model.kept_orders(x, T) for model in self.models])
        back = [model.rate_if_left(x, t_x, T) * self.length for model in self.models]
        if leaving is None:
            return staying, self._given([1.0 - p for p in alive], back)
        gone, lost = regained_total(alive, back, self.weights, leaving.gone_weights)  # type: ignore[arg-type]
        return staying, float(lost) / maximum(float(gone), _SMALLEST)

    def _given(self, chances: Sequence[float], values: list[float]) -> float:
        """Return the mean of the models' values given an event of which each has a chance."""
        shares = [weight * p for weight, p in zip(self.weights, chances, strict=True)]
        total = shares[0]
        for share in shares[1:]:
            total += share
        known = total > _LEAST_CHANCE
        used = [share / total for share in shares] if known else self.weights
        result = used[0] * values[0]
        for share, value in zip(used[1:], values[1:], strict=True):
            result += share * value
        return result


class ValueOfOne:
    """The value model, asked of one buyer after the other.

    Parameters
    ----------
    model
        The value model.
    base
        The customer base.
    config
        Horizons, discount and margin.
    season_log_odds
        Part of the log odds of no purchase that is due to the season of the horizon.
    """

    def __init__(
        self, model: ValueModel, base: CustomerBase, config: TrainConfig, season_log_odds: float
    ) -> None:
        self.model, self.config, self.season_log_odds = model, config, season_log_odds
        self._base = base
        horizon, days = config.horizon_days, config.value_horizon_days
        self.tells_years = not model.is_far(days)
        kind = BaseOfArrays if needs_arrays(base) else BaseOfOne
        self.base: BaseOfOne | BaseOfArrays = kind(base, config, tells_years=self.tells_years)
        self.orders = factor_of_one(model.orders)
        self.rest = factor_of_one(model.rest)
        self.spend = factor_of_one(model.spend)
        self.later_spend = None if model.later_spend is None else factor_of_one(model.later_spend)
        self.spend_model = base.spend
        self.price_after = model.prices.after_horizon(days)
        near, _ = discounted_days(
            np.array([horizon, days], dtype=np.float64), config.annual_discount
        )
        of_end = [
            discounted_days(np.array([horizon, end], dtype=np.float64), config.annual_discount)
            for end in self.base.place
        ]
        self.near_share = float(near / horizon)
        self.after = {
            end: float(far - near) for end, (near, far) in zip(self.base.place, of_end, strict=True)
        }
        self.to_end = (1.0 + config.annual_discount) ** (days / 365.0)
        self.span = float(discounted_days(np.array([float(days)]), config.annual_discount)[0])

    def money(self, columns: Columns, said: BaseOutlook, p_inactive: float) -> MoneyOfOne:
        """Return the orders and money of a buyer, see
        :func:`stagecast.training.value.money_of_buyers.money_of_buyers`.
        """
        config = self.config
        horizon, days = config.horizon_days, config.value_horizon_days
        repeat = _repeat_if_any(columns)
        if_any = 1.0 + repeat * self.orders(columns)
        mixed = self.model.base_share
        if mixed.share != 0.0:
            if_any = _mixed_if_any(
                if_any,
                1.0 + repeat,
                columns["btyd_orders"],
                p_inactive,
                mixed.share,
                mixed.level,
            )
        if_any = min(if_any, float(horizon))
        expected_orders = float((1.0 - p_inactive) * if_any)
        if self.model.mean_spend is None:
            alive = _still_until_due(self._alive(columns, said), self._ended(columns))
            return MoneyOfOne(expected_orders, float(if_any), p_alive=alive)
        per_order = self._spend_so_far(columns) * self.spend(columns)
        prices, stays = self._of_price_list(columns, per_order)
        per_order = prices.get(horizon, per_order)
        until, priced, share_of_all = self._until(columns, said, expected_orders, stays)
        if prices:
            base = maximum(per_order, _SMALLEST)
            priced = {end: until[end] * (prices[end] / base) for end in until}
        orders = until[days]
        of_horizon = earned = per_order * config.margin
        clv = priced[days] * earned
        if self.model.has_later_prices:
            earned = clv / maximum(orders, _SMALLEST)
        outlook, ended = self._leaving(columns, said), self._ended(columns)
        of_season = 0.0 if self.model.knows_season else self.season_log_odds
        odds = logit(clip(p_inactive, 1e-6, 1 - 1e-6)) - of_season
        by_season = 0.0 if self.model.leaving is None else self.model.leaving.by_season
        if by_season:
            odds = odds + by_season * (outlook.none - odds)
        alive = _still_customer(expit(odds), outlook.none, outlook.alive)
        if by_season:
            alive = maximum(alive, 1.0 - p_inactive)
        gone = minimum(1.0 - alive, p_inactive)
        later = outlook.kept_orders * max(0.0, 1.0 - horizon / days)
        p_none = gone + (p_inactive - gone) * exp(-later)
        parts = _parts_of_buyers(
            clv,
            alive,
            outlook.orders_if_alive * share_of_all,
            outlook.kept_orders,
            self._reactivated(outlook.regained_orders),
            earned,
            ended,
            self.model.payments is not None and self._base.regular_model is not None,
        )
        p_alive = outlook.alive if self.model.knows_season else self._alive(columns, said)
        by_year, residual = self._by_year(priced, of_horizon, clv, parts.clv)
        p_any = orders * self.to_end
        p_none = clip(maximum(p_none, 1.0 - p_any), 0.0, p_inactive)
        return MoneyOfOne(
            expected_orders,
            if_any,
            expected_orders * per_order,
            parts.clv,
            p_none,
            maximum(orders / maximum(1.0 - p_none, _SMALLEST), 1.0),
            by_year,
            residual,
            parts.at_risk,
            parts.gone,
            _still_until_due(p_alive, ended),
            *self._ranges(
                columns,
                (p_none, parts.clv, earned),
                (p_inactive, expected_orders * per_order, per_order),
            ),
        )

    def _ranges(
        self,
        columns: Columns,
        of_value: tuple[float, float, float],
        of_horizon: tuple[float, float, float],
    ) -> tuple[float, float, float, float]:
        """Return the ends of the ranges of regular payments, of the value and of the horizon, see
        :class:`stagecast.training.value.payments.RegularPayments`.

        Each span is told by P(no payment), its money, and the price of a payment.
        """
        own, config = self.model.payments, self.config
        if own is None:
            return _NULL, _NULL, _NULL, _NULL
        names = (*HISTORY, "orders", *((LAST_PRICE,) if LAST_PRICE in columns else ()))
        rows = one_row(columns, names)

        def ends(days: int, rate: float, span: tuple[float, ...], margin: float) -> list[float]:
            p_none, money, price = (np.array([value]) for value in span)
            range_ends = own.ends(self._base, rows, days, rate, p_none, money, price, margin)
            return [float(range_ends.low[0]), float(range_ends.high[0])]

        rate, margin = config.annual_discount, config.margin
        low, high = ends(config.value_horizon_days, rate, of_value, margin)
        spend_low, spend_high = ends(config.horizon_days, 0.0, of_horizon, 1.0)
        return low, high, spend_low, spend_high

    def _reactivated(self, as_before: float) -> float:
        """Return the orders of a customer who is back, see
        :class:`stagecast.training.value.reactivation.Reactivation`.
        """
        own = self.model.reactivation
        if own.is_none:
            return as_before
        usual_orders = own.usual_rate * self.span
        return float(_reactivated_orders(as_before, usual_orders, own.level, own.power))

    def _alive(self, columns: Columns, said: BaseOutlook) -> float:
        """Return P(still a customer), see :meth:`ValueModel.p_alive`."""
        leaving = self.model.leaving
        if leaving is None or leaving.seasonal is None:
            return float(said.columns["btyd_alive"])
        alive = leaving.alive(one_row(columns, (*HISTORY, "first_day")))
        assert alive is not None
        return float(alive[0])

    def _ended(self, columns: Columns) -> float:
        if self.model.payments is None:
            return 1.0
        return float(np.asarray(self.ended(one_row(columns, HISTORY))).item())

    def ended(self, columns: Mapping[str, Array]) -> Array | float:
        """Return P(the next payment has fallen due), see :meth:`ValueModel.ended`."""
        return self.model.ended(self._base, columns)

    def _leaving(self, columns: Columns, said: BaseOutlook) -> _LeavingOfOne:
        """Return what leaving does to the orders, see :mod:`stagecast.training.value.money`."""
        config, leaving = self.config, self.model.leaving
        horizon, days = config.horizon_days, config.value_horizon_days
        if leaving is not None and leaving.has_models:
            rows = one_row(
                columns, HISTORY if leaving.seasonal is None else (*HISTORY, "first_day")
            )
            outlook = leaving.outlook(horizon, days, rows, config.annual_discount)
            return _LeavingOfOne(*(float(getattr(outlook, f.name)[0]) for f in fields(outlook)))
        base_alive = said.columns["btyd_alive"]
        kept_orders, regained = self.base.kept(said, leaving)
        orders_if_alive = kept_orders
        if base_alive > LEAST_ALIVE:
            orders_if_alive = float(said.until[self.base.place[days]]) / base_alive
        none = said.columns["btyd_none"]
        return _LeavingOfOne(base_alive, none, orders_if_alive, kept_orders, regained)

    def _until(
        self,
        columns: Columns,
        said: BaseOutlook,
        expected_orders: float,
        stays: Mapping[int, float],
    ) -> tuple[dict[int, float], dict[int, float], float]:
        """Return the discounted orders within each span, and at the prices of the horizon, and
        those of the value horizon over the ones of all prices, see
        :class:`stagecast.training.value.ahead.OrdersAhead`.
        """
        horizon, by_base = self.config.horizon_days, said.until.tolist()
        in_horizon = expected_orders * self.near_share
        at_horizon = by_base[self.base.place[horizon]]
        factor = self.rest(columns)
        price_after = self.price_after
        if self.later_spend is not None:
            price_after = self.later_spend(columns) / self.spend(columns)
        rate = _own_rate(columns["orders"], columns["T_days"], expected_orders, horizon)
        left, value = 1.0, self.config.value_horizon_days
        if said.if_silent is not None:
            rest = maximum(by_base[self.base.place[value]] - at_horizon, 0.0)
            none = columns["btyd_none"]
            left = float(_pulled_forward(rest, said.if_silent, none, expected_orders))
        orders, priced, share_of_all = {}, {}, 1.0
        for end, position in self.base.place.items():
            if end < horizon:
                share = by_base[position] / maximum(at_horizon, _SMALLEST)
                orders[end] = priced[end] = in_horizon * minimum(share, 1.0)
            else:
                rest = maximum(by_base[position] - at_horizon, 0.0)
                rest = _rest_within_own_rate(
                    rest, factor, rate, self.after[end], self.model.rest_season
                )
                most = left
                if end > value > horizon:
                    most = 1.0 - (1.0 - left) * ((value - horizon) / (end - horizon))
                rest *= most
                if stays:
                    rest *= stays[end]
                    if end == value:
                        of_all = in_horizon + rest / maximum(stays[end], _SMALLEST)
                        share_of_all = (in_horizon + rest) / maximum(of_all, _SMALLEST)
                orders[end] = in_horizon + rest
                priced[end] = in_horizon + rest * price_after
        return orders, priced, share_of_all

    def _of_price_list(
        self, columns: Columns, otherwise: float
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Return what a payment within each span brings, and how much longer such customers stay.

        Empty where customers keep their prices, see
        :class:`stagecast.training.billing.price_list.PriceList`.
        """
        listed, horizon = self.model.price_list, self.config.horizon_days
        if listed is None:
            return {}, {}
        last, of_others = np.array([columns[LAST_PRICE]]), np.array([otherwise])
        ends = self.base.place
        prices = {end: float(listed.per_order(last, of_others, end)[0]) for end in ends}
        return prices, {end: float(listed.stays(last, horizon, end)[0]) for end in ends}

    def _by_year(
        self, priced: dict[int, float], earned: float, clv: float, clv_of_parts: float
    ) -> tuple[tuple[float, ...], float]:
        if not self.tells_years:
            return (_NULL,) * len(YEARS), _NULL
        scale = clv_of_parts / maximum(clv, _SMALLEST)
        values = [priced[end] * earned * scale for end in YEARS]
        by_year = tuple(b - a for a, b in zip([0.0, *values], values, strict=False))
        return by_year, maximum(values[-1] - clv_of_parts, 0.0)

    def _spend_so_far(self, columns: Columns) -> float:
        """Return E[spend per purchase day], see
        :func:`stagecast.training.value.model.spend_so_far`.
        """
        orders, mean_spend = columns["orders"], columns["spend_mean"]
        first_order = self.model.first_orders
        if not first_order.is_usual:
            spend_first = columns["spend_first"]
            spend_first = spend_first if spend_first == spend_first else 0.0
            mean_spend = _mean_of_orders(
                first_order.level, first_order.power, mean_spend, spend_first, orders
            )
        paid = 0.0 if mean_spend != mean_spend else maximum(mean_spend, 0.0)
        trend = self.model.prices
        if not trend.is_none:
            first, t_x, T = (columns[name] for name in ("first_day", "t_x_days", "T_days"))
            paid = paid * _to_mean_prices(trend.yearly, trend.mean_day, first, t_x, T)
        gamma = self.spend_model
        if gamma is None:
            assert self.model.mean_spend is not None
            per_order = (self.model.mean_spend + paid * orders) / (1.0 + orders)
        else:
            x = orders if paid > 0 else 0.0
            denominator = gamma.p * x + gamma.q - 1.0
            spent = x * paid if x > 0 else 0.0
            per_order = (
                gamma.p * (gamma.v + spent) / denominator if denominator > 0 else gamma.mean_spend
            )
        if not trend.is_none:
            per_order = per_order * _to_coming_prices(
                trend.yearly, trend.mean_day, trend.ahead_days, first, T
            )
        if paid > 0:
            return per_order
        return per_order * (self.model.p_paid * 2.0 / (1.0 + max(orders, 1.0)))

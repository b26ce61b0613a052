"""From the events of one customer to the JSON object of the score, without arrays of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from stagecast.features.attributes import CHANNEL, Texts, request_attribute_texts
from stagecast.features.clock import day_number, from_microseconds
from stagecast.features.one_customer.numbers import maximum
from stagecast.features.one_customer.of_catalog import EvaluatorOfOne
from stagecast.features.one_customer.past import Past
from stagecast.features.one_customer.stages import StagesOfOne, StandingOfOne
from stagecast.features.requests import CustomerEvents
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.one_row.columns import (
    IntervalOfOne,
    PlaysOfOne,
    RfmOfOne,
    percentile_of_one,
)
from stagecast.serving.scoring.one_row.reasons import ReasonsOfScore
from stagecast.serving.scoring.rhythm_columns import has_rhythm
from stagecast.serving.scoring.without_amounts import MONEY_COLUMNS, has_amounts_of
from stagecast.training.bundle import Bundle
from stagecast.training.one_row.predict import ModelsOfOne
from stagecast.training.one_row.predictions import PredictionsOfOne
from stagecast.training.one_row.waiting import waiting_of_one
from stagecast.training.usual_gap import LEAST_GAPS

_DAY_ZERO = date(1970, 1, 1)
_NULL = math.nan
_FACTS = ("recency_days", "tenure_days", "frequency", "orders", "monetary", "spend", "gap_mean")
_BANDS = ("low", "medium", "high")


class OneRow:
    """The score of one customer, compiled from a bundle.

    Parameters
    ----------
    bundle
        The bundle.
    told_apart
        Whether the training could tell the active customers apart by their risk.

    Raises
    ------
    NotImplementedError
        The bundle has no form for one row: its rules or its churn read contracts, or it has no
        customer base of random gaps.
    """

    def __init__(self, bundle: Bundle, *, told_apart: bool) -> None:
        models, scheme = bundle.models, bundle.models.scheme
        plan, config, reference = models.plan, models.config, models.reference
        if scheme.reads_contracts:
            raise NotImplementedError("the rules of the scheme read contracts")
        self._clock, self._scheme = bundle.clock, scheme
        self._config, self._told_apart = config, told_apart
        self._stages = StagesOfOne(scheme, plan.vocabulary, plan.counted, plan.horizon_days)
        self._models = ModelsOfOne(models)
        names = {*self._models.columns, *_FACTS}.intersection(plan.catalog.names)
        self._evaluator = EvaluatorOfOne(plan.catalog.needed_for(sorted(names)))
        self._known_at_start = plan.known_at_start
        self._waiting = waiting_of_one(
            self._models.value,
            config.horizon_days,
            config.value_horizon_days,
        )
        self._spend_interval = IntervalOfOne(models.spend_interval)
        self._value_interval = IntervalOfOne(models.value_interval)
        self._percentile = percentile_of_one(reference)
        self._rfm = RfmOfOne(reference.rfm)
        self._plays = PlaysOfOne(scheme, reference.play_bounds)
        self._with_money = models.value.mean_spend is not None
        self._reasons = ReasonsOfScore(bundle)
        self._has_rhythm = has_rhythm(models)
        self._constants = {
            "horizon_days": config.horizon_days,
            "model_version": bundle.model_version,
            "reasons": [],
            "risk_base": _NULL,
            "risk_rest": _NULL,
            "churn": config.churn,
        }
        conversion = models.conversion
        of_leads = "rule" if conversion.hazard is None else "blend"
        few_leads = of_leads == "rule" or conversion.low_data
        self._method: dict[bool, dict[str, Any]] = {
            True: {
                "method": models.churn.method,
                "low_data": models.churn.low_data or models.value_is_far,
            },
            False: {"method": of_leads, "low_data": few_leads or models.value_is_far},
        }
        self._layout = _layout(scheme.ids)

    def score(
        self, customer: CustomerEvents, as_of: datetime, *, with_reasons: bool = False
    ) -> dict[str, Any] | None:
        """Return the JSON object of the score; None where a number overflows in plain Python.

        Arrays have to score such a customer.

        Parameters
        ----------
        customer
            The customer with their events.
        as_of
            Instant of the score.
        with_reasons
            Whether to compute the reasons of a buyer.

        Raises
        ------
        NotEnoughDataError
            The customer has no event before the as_of.
        """
        (in_shop_time,) = self._clock.events([customer])
        try:
            with np.errstate(all="ignore"):
                past = Past(in_shop_time, self._clock.shop(as_of))
                return self._score(past, with_reasons=with_reasons)
        except ArithmeticError:
            return None

    def _score(self, past: Past, *, with_reasons: bool) -> dict[str, Any]:
        # the categories of buyers are read too: a value that is no text is refused of everybody
        categories = self._categories(past)
        features = self._evaluator.features(past)
        standing = self._stages.standing(past)
        is_buyer = features["orders"] > 0
        if is_buyer:
            predicted = self._models.predict(features, standing)
        else:
            signals = {name: standing.facts[name] for name in self._scheme.signals}
            facts = {**features, **signals}
            predicted = self._models.predict_prospect(facts, standing, categories)
        state = self._scheme.stages[standing.stage].state
        has_amounts = has_amounts_of(past.customer)
        columns: dict[str, Any] = {
            **self._constants,
            **self._method[is_buyer],
            **self._identity(past, standing, state),
            "next_stage": self._scheme.ids[predicted.p_stage.index(max(predicted.p_stage))],
            **self._risk(predicted, state),
            **self._value(past.as_of, predicted),
            **self._wait(past.as_of, predicted, state),
            **self._facts(features, has_amounts=has_amounts and self._with_money),
            **self._rhythm(features),
        }
        if with_reasons and is_buyer:
            explanation = self._models.reasons.explanation(predicted, features, standing.stage)
            columns.update(self._reasons.columns(explanation, has_amounts=has_amounts))
        if not has_amounts:
            columns.update(dict.fromkeys(MONEY_COLUMNS, _NULL), clv_by_year=(_NULL,))
        columns["play"], columns["action"] = self._plays.of(columns, standing.stage)
        return self._object(columns, predicted.p_stage)

    def _categories(self, past: Past) -> dict[str, Texts]:
        texts = request_attribute_texts([past.customer.attributes], self._known_at_start)
        if past.net_days or not self._models.prospects.reads_categories:
            return texts
        return {CHANNEL: np.array([past.first_channel], dtype=object), **texts}

    def _identity(self, past: Past, standing: StandingOfOne, state: str) -> dict[str, Any]:
        clock = self._clock
        return {
            "customer_id": past.customer.customer_id,
            "as_of": _instant(clock.instant(past.as_of)),
            "data_cutoff": self._shop_instant(past.last_event),
            "state": state,
            "stage": self._scheme.ids[standing.stage],
            "stage_since": self._shop_instant(standing.since),
            "stage_rule": self._stages.explain(standing.stage, standing.facts),
        }

    def _shop_instant(self, at: int) -> str:
        if not self._clock.is_utc:
            at = int(self._clock.instant_microseconds(np.array([at]))[0])
        return _instant(from_microseconds(at))

    def _risk(self, predicted: PredictionsOfOne, state: str) -> dict[str, Any]:
        config, p_inactive = self._config, predicted.p_silent
        is_active, p_purchase = state == "active", predicted.p_purchase
        band = (p_inactive >= config.medium_risk) + (p_inactive >= config.high_risk)
        ranked = is_active and self._told_apart
        return {
            "p_inactive": _NULL if state == "prospect" else p_inactive,
            "churn_probability": p_inactive if is_active else _NULL,
            "churn_percentile": self._percentile(p_inactive) if ranked else _NULL,
            "churn_band": _BANDS[band] if is_active else None,
            "p_return": p_purchase if state == "lapsed" else _NULL,
            "p_convert": _NULL if state in ("active", "lapsed") else p_purchase,
            "p_alive": predicted.p_alive,
        }

    def _value(self, as_of: datetime, predicted: PredictionsOfOne) -> dict[str, Any]:
        money, p_inactive = predicted.money, predicted.p_silent
        past = predicted.columns.get("orders", 0.0)
        spend_low, spend_high = self._spend_interval.around(
            money.expected_spend,
            p_inactive,
            money.orders_if_any,
            past,
            (money.known_spend_low, money.known_spend_high),
        )
        clv_low, clv_high = self._value_interval.around(
            money.clv,
            money.value_p_none,
            money.value_orders_if_any,
            past,
            (money.known_low, money.known_high),
        )
        return {
            "expected_orders": money.expected_orders,
            "next_order_date": day_number(as_of) + predicted.days_to_order,
            "expected_spend": money.expected_spend,
            "expected_spend_low": spend_low,
            "expected_spend_high": spend_high,
            "clv": money.clv,
            "clv_low": clv_low,
            "clv_high": clv_high,
            "clv_residual": money.clv_residual,
            "clv_by_year": money.clv_by_year,
            "value_at_risk": money.value_at_risk,
            "value_gone": money.value_gone,
            "value_if_kept": money.clv + money.value_at_risk + money.value_gone,
        }

    def _wait(self, as_of: datetime, predicted: PredictionsOfOne, state: str) -> dict[str, Any]:
        if predicted.base is None:
            return {"loss_per_week": _NULL, "window_closes": _NULL}
        at_risk = _NULL if state == "lapsed" else predicted.money.value_at_risk
        loss, closes = self._waiting.price(predicted.base, predicted.p_silent, at_risk)
        day = math.floor(day_number(as_of))
        return {"loss_per_week": loss, "window_closes": day + closes}

    def _facts(self, features: Mapping[str, float], *, has_amounts: bool) -> dict[str, Any]:
        recency_days, orders, spend = (
            features[name] for name in ("recency_days", "orders", "spend")
        )
        rfm: str | None = None
        segment: str | None = None
        if orders > 0:
            rfm, segment = self._rfm.of(recency_days, orders, spend, has_amounts=has_amounts)
        return {
            "recency_days": recency_days,
            "tenure_days": features["tenure_days"],
            "frequency": features["frequency"],
            "orders": orders,
            "monetary": features["monetary"] if has_amounts else _NULL,
            "spend": spend if has_amounts else _NULL,
            "rfm": rfm,
            "rfm_segment": segment,
        }

    def _rhythm(self, features: Mapping[str, float]) -> dict[str, float]:
        gap = _NULL
        if self._has_rhythm and features["frequency"] >= LEAST_GAPS:
            gap = features.get("gap_mean", _NULL)
        overdue = maximum(features["recency_days"] - gap, 0.0)
        return {"usual_gap_days": gap, "days_overdue": overdue}

    def _object(self, columns: Mapping[str, Any], p_stage: list[float]) -> dict[str, Any]:
        """Return the columns as :func:`stagecast.serving.scoring.score_objects.score_objects`."""
        score: dict[str, Any] = {}
        for name, convert, nullable in self._layout:
            if name == "next_stage":
                score["next_stage"] = dict(zip(self._scheme.ids, p_stage, strict=True))
                score["next_stage_likeliest"] = columns["next_stage"]
                continue
            value = convert(columns[name])
            if value is None and not nullable:
                raise ArithmeticError(name)  # arrays say what is wrong
            score[name] = value
        return score


def _layout(stages: tuple[str, ...]) -> list[tuple[str, Callable[[Any], Any], bool]]:
    """Return each field of a score but the probabilities of stages, in order."""
    return [
        (column.name, _CONVERTERS.get(score_schema.kind(column), _same), column.nullable)
        for column in score_schema.columns(stages)
        if not column.name.startswith("p_stage_")
    ]


def _same(value: Any) -> Any:
    return value


def _number(value: float) -> float | None:
    return None if value != value else value


def _count(value: float) -> int | None:
    return None if value != value else int(value)


def _date(day: float) -> str | None:
    return None if day != day else (_DAY_ZERO + timedelta(days=math.floor(day))).isoformat()


def _years(values: tuple[float, ...]) -> list[float] | None:
    return None if math.isnan(sum(values)) else list(values)


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "number": _number,
    "count": _count,
    "date": _date,
    "numbers": _years,
}

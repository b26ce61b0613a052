"""The compiled score of one customer has the bytes of the score that arrays give."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.scoring.one_row.plan import OneRow
from stagecast.serving.scoring.rehearsal import rehearse
from stagecast.serving.scoring.scorer import ONE_BY_ONE, Scorer
from stagecast.training.billing.calendar import DueDate
from stagecast.training.billing.month_dates import MonthDates
from stagecast.training.billing.months import MONTH
from stagecast.training.billing.price_list import PriceList
from stagecast.training.learners import boosted, single_row
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import MIDDLES, DatedModel
from stagecast.training.learners.btyd.once_a_season import PARTS, OnceASeason
from stagecast.training.learners.btyd.seasonal_pareto import SeasonalPareto
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.leaving import Leaving
from stagecast.training.learners.regularities import RegularityBase
from stagecast.training.learners.season_of_purchases import Season
from stagecast.training.learners.seasonal_buyers import Season as SeasonOfBuyers
from stagecast.training.learners.seasonal_buyers import SeasonalBase
from stagecast.training.one_row.next_order import halved
from stagecast.training.value.base_share import BaseShare
from stagecast.training.value.first_orders import FirstOrders
from stagecast.training.value.payments import RegularPayments
from stagecast.training.value.prices import PriceTrend
from stagecast.training.value.reactivation import Reactivation
from tests.serving.scoring.test_one_score import DAYS, customers, day, scorer
from tests.training.conftest import shop

__all__ = ["scorer", "shop"]
AS_OFS = (float(DAYS), DAYS / 2 + 0.37)


def odd_customers() -> list[CustomerEvents]:
    """Return customers with what customers drawn at random rarely have."""
    noon = day(DAYS - 40.5)
    buys = [Event(day(20.0 + 30 * k), amount=10.0 + k) for k in range(15)]
    cases = {
        "one purchase": [Event(noon, amount=5.0)],
        "one instant": [Event(noon, amount=5.0), Event(noon, "visit"), Event(noon, amount=7.0)],
        "equal events": [Event(noon, amount=5.0)] * 3,
        "today": [*buys, Event(day(DAYS) - timedelta(microseconds=1), amount=3.0)],
        "free": [Event(day(50.0 * k), amount=0.0) for k in range(1, 6)],
        "all refunded but one": [
            *buys[:3],
            Event(day(300.0), "refund", 12.0),
            Event(day(310.0), "refund", 11.0),
        ],
        "refund before": [Event(day(1.0), "refund", 50.0), *buys],
        "partly without amount": [*buys, Event(day(500.2))],
        "without amounts": [Event(event.timestamp) for event in buys],
        "large": [Event(event.timestamp, amount=9e8 + event.timestamp.day) for event in buys],
        "tiny": [Event(event.timestamp, amount=1e-6 * event.timestamp.day) for event in buys],
        "halves": [Event(event.timestamp, amount=0.0000005) for event in buys],
        "every day": [Event(day(100.0 + k / 2), amount=2.0) for k in range(700)],
        "long ago": [Event(day(-2500.0 + 9 * k), amount=20.0) for k in range(9)],
        "recorded late": [replace_record(event, day(DAYS + 3.0)) for event in buys[::2]]
        + buys[1::2],
        "texts": [
            Event(event.timestamp, amount=4.0, channel="web", category="a", discount=1.5)
            for event in buys
        ],
        "marketer": [*buys, *(Event(day(7.0 * k), "email_sent") for k in range(1, 60))],
    }
    attributes = {"plan": "pro", "age": 31}
    return [CustomerEvents(name, tuple(events), attributes) for name, events in cases.items()]


def replace_record(event: Event, recorded_at: object) -> Event:
    return msgspec.structs.replace(event, recorded_at=recorded_at)


def compared(scorer: Scorer, asked: list[CustomerEvents]) -> Counter[str]:
    """Compare both ways of each customer, and count how they went."""
    one_row = scorer.one_row
    assert one_row is not None
    counts: Counter[str] = Counter()
    for as_of in map(day, AS_OFS):
        known = [c for c in asked if any(event.is_known_before(as_of) for event in c.events)]
        of_arrays = scorer._of_arrays(known, as_of, with_reasons=True)
        for customer, expected in zip(known, of_arrays, strict=True):
            score = one_row.score(customer, as_of, with_reasons=True)
            if score is None:
                counts["left to arrays"] += 1
                continue
            assert msgspec.json.encode(score) == msgspec.json.encode(expected)
            counts[score["stage"]] += 1
            counts["with reasons"] += bool(score["reasons"])
            counts["prospects"] += score["state"] == "prospect"
    return counts


@pytest.mark.slow
def test_hundreds_of_customers_of_all_sorts_have_the_same_bytes(scorer: Scorer) -> None:
    counts = compared(scorer, customers(300, seed=31))
    assert counts["left to arrays"] == 0
    assert counts["with reasons"] > 300
    assert counts["prospects"] > 40
    assert len(counts) >= 8  # of the stages all but few


def test_odd_customers_have_the_same_bytes(scorer: Scorer) -> None:
    counts = compared(scorer, odd_customers())
    assert counts["left to arrays"] == 0
    assert counts["with reasons"] > 25


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "+05:45"])
def test_days_of_a_zone_have_the_same_bytes(scorer: Scorer, zone: str) -> None:
    models = scorer.bundle.models
    models = replace(models, config=replace(models.config, zone=zone))
    in_zone = Scorer(replace(scorer.bundle, models=models))
    assert in_zone.bundle.clock == ShopClock(zone)
    counts = compared(in_zone, [*customers(40, seed=8), *odd_customers()])
    assert counts["with reasons"] > 80


SEASON = Season((0.5, *(1.0,) * 24, 1.5), 18_000.0)


@pytest.mark.parametrize(("season", "by_season"), [(None, 0.0), (SEASON, 0.0), (SEASON, 0.7)])
def test_models_of_leaving_have_the_same_bytes(
    scorer: Scorer, season: Season | None, by_season: float
) -> None:
    models = scorer.bundle.models
    assert models.base is not None
    any_time = Model("pareto_nbd", (1.2, 40.0, 1.5, 600.0), 0.0, 100, 4)
    at_purchase = Model("mbg_nbd", (1.2, 40.0, 0.6, 5.0), 0.0, 100, 4)
    leaving = Leaving((0.4, 0.6), (at_purchase, any_time), (0.3, 0.7))
    if season:
        of_season = SeasonalPareto((1.2, 40.0, 1.5, 600.0), season)
        leaving = Leaving((0.4, 0.6), seasonal=of_season, by_season=by_season)
    models = replace(models, value=replace(models.value, leaving=leaving))
    counts = compared(Scorer(replace(scorer.bundle, models=models)), customers(20, seed=9))
    assert counts["left to arrays"] == 0
    assert counts["with reasons"] > 10


def test_a_share_of_the_customer_base_has_the_same_bytes(scorer: Scorer) -> None:
    models = scorer.bundle.models
    # past dates say twice the repeat orders of the customer base
    value = replace(models.value, orders=Factor(2.0))
    alone, mixing = (
        Scorer(replace(scorer.bundle, models=replace(models, value=replace(value, base_share=s))))
        for s in (BaseShare(), BaseShare(0.6, 1.1))
    )
    asked = customers(20, seed=12)
    assert compared(mixing, asked)["left to arrays"] == 0
    assert not np.allclose(*said_by(alone, mixing, asked), rtol=0.01, equal_nan=True)


def test_orders_of_who_is_back_have_the_same_bytes(scorer: Scorer) -> None:
    models = scorer.bundle.models
    as_before, by_rate = (
        Scorer(
            replace(scorer.bundle, models=replace(models, value=replace(models.value, **changed)))
        )
        for changed in ({}, {"reactivation": Reactivation(0.7, 0.4, 0.011)})
    )
    asked = customers(20, seed=14)
    assert compared(by_rate, asked)["left to arrays"] == 0
    of_before, of_rate = said_by(as_before, by_rate, asked, "value_gone")
    assert (of_rate < 0.8 * of_before).any()
    for column in ("clv", "value_at_risk"):
        np.testing.assert_array_equal(*said_by(as_before, by_rate, asked, column))


@pytest.mark.parametrize("yearly", [0.21, -0.34])
def test_a_trend_of_the_prices_has_the_same_bytes(scorer: Scorer, yearly: float) -> None:
    models = scorer.bundle.models
    mean_day = day(DAYS * 0.6).timestamp() / 86_400
    steady, moving = (
        Scorer(replace(scorer.bundle, models=replace(models, value=value)))
        for value in (
            models.value,
            replace(models.value, prices=PriceTrend(yearly, mean_day, 45.0)),
        )
    )
    asked = [*customers(30, seed=15), *odd_customers()]
    assert compared(moving, asked)["left to arrays"] == 0
    for column in ("expected_spend", "clv", "value_at_risk", "value_gone"):
        of_steady, of_moving = said_by(steady, moving, asked, column)
        paid = of_steady > 0
        assert (np.sign(np.log(of_moving[paid] / of_steady[paid])) == np.sign(yearly)).mean() > 0.8


@pytest.mark.parametrize("counted", [FirstOrders(np.log(9.0), 0.0), FirstOrders(-0.4, 0.625)])
def test_first_orders_that_count_otherwise_have_the_same_bytes(
    scorer: Scorer, counted: FirstOrders
) -> None:
    models = scorer.bundle.models
    other = Scorer(
        replace(
            scorer.bundle,
            models=replace(models, value=replace(models.value, first_orders=counted)),
        )
    )
    asked = [*customers(30, seed=17), *odd_customers()]
    assert compared(other, asked)["left to arrays"] == 0
    usual, less = said_by(scorer, other, asked, "expected_spend")
    bought = usual > 0
    assert (less <= usual)[bought].mean() > 0.8
    assert (less < usual)[bought].mean() > 0.5


def test_a_spend_of_its_own_after_the_horizon_has_the_same_bytes(scorer: Scorer) -> None:
    models = scorer.bundle.models
    prices = PriceTrend(0.2, 18_300.0, 45.0)
    alike, dearer = (
        Scorer(replace(scorer.bundle, models=replace(models, value=value)))
        for value in (
            replace(models.value, prices=prices),
            replace(models.value, prices=prices, later_spend=Factor(9.0)),
        )
    )
    asked = [*customers(30, seed=16), *odd_customers()]
    assert compared(dearer, asked)["left to arrays"] == 0
    np.testing.assert_array_equal(*said_by(alike, dearer, asked, "expected_spend"))
    of_alike, of_dearer = said_by(alike, dearer, asked, "clv")
    bought = of_alike > 0
    assert (of_dearer >= of_alike)[bought].all()
    assert (of_dearer > 2.0 * of_alike)[bought].mean() > 0.5


def test_the_rest_within_the_own_rate_has_the_same_bytes(scorer: Scorer) -> None:
    models = scorer.bundle.models
    held, free = (
        Scorer(replace(scorer.bundle, models=replace(models, value=value)))
        for value in (
            replace(models.value, rest=Factor(5.0)),
            replace(models.value, rest=Factor(5.0), rest_season=9.0),
        )
    )
    asked = customers(20, seed=13)
    for scorer_of_it in (held, free):
        assert compared(scorer_of_it, asked)["left to arrays"] == 0
    of_held, of_free = said_by(held, free, asked, "clv")
    bought = np.isfinite(of_held)
    assert (of_held <= of_free)[bought].all()
    assert (of_held < 0.9 * of_free).any()


def said_by(
    first: Scorer, second: Scorer, asked: list[CustomerEvents], column: str = "expected_orders"
) -> list[Array]:
    """Return what two scorers say of the customers who are known."""
    at = day(AS_OFS[0])
    known = [c for c in asked if any(event.is_known_before(at) for event in c.events)]
    return [s.score_customers(known, at)[column].to_numpy() for s in (first, second)]


def test_few_customers_of_a_request_are_scored_by_it(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = CustomerEvents("buyer", (Event(day(10), amount=5.0), Event(day(200), amount=5.0)))
    lead = CustomerEvents("lead", (Event(day(10), "visit"),))
    others = [CustomerEvents(f"other {k}", buyer.events) for k in range(ONE_BY_ONE - 2)]
    asked = [buyer, lead, *others]
    expected = scorer._of_arrays(asked, day(DAYS), with_reasons=True)
    of_arrays = []
    score_arrays = Scorer._of_arrays

    def spied(
        self: Scorer, customers: list[CustomerEvents], *rest: object, **named: bool
    ) -> object:
        of_arrays.extend(customer.customer_id for customer in customers)
        return score_arrays(self, customers, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Scorer, "_of_arrays", spied)
    scores = scorer.score_objects(asked, day(DAYS))
    assert msgspec.json.encode(scores) == msgspec.json.encode(expected)
    assert of_arrays == []
    scorer.score_objects([*asked, buyer], day(DAYS))
    names = [customer.customer_id for customer in asked]
    assert of_arrays == [*names, "buyer"]


def test_a_customer_without_a_known_event_is_named(scorer: Scorer) -> None:
    later = CustomerEvents("later", (Event(day(DAYS) + DAY, amount=5.0),))
    with pytest.raises(NotEnoughDataError, match="'later' has no event before the as_of"):
        scorer.score_objects([later], day(DAYS), with_reasons=False)


def test_without_a_customer_base_arrays_score_everybody(scorer: Scorer) -> None:
    bundle = replace(scorer.bundle, models=replace(scorer.bundle.models, base=None))
    with pytest.raises(NotImplementedError):
        OneRow(bundle, told_apart=True)
    assert Scorer(bundle).one_row is None


def test_sums_that_are_no_64_bit_integers_are_left_to_arrays(scorer: Scorer) -> None:
    huge = [Event(day(10.0 + k), amount=1e12) for k in range(6)]
    one_row = scorer.one_row
    assert one_row is not None
    assert one_row.score(CustomerEvents("huge", tuple(huge)), day(DAYS)) is None
    assert np.isfinite(
        scorer.score_objects([CustomerEvents("huge", tuple(huge))], day(DAYS), with_reasons=False)[
            0
        ]["spend"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "regular gaps",
        "regular payments",
        "payments on dates",
        "Pareto/NBD first",
        "on a date of the year",
        "on a day of the month",
        "a price list",
    ],
)
def test_other_customer_bases_have_the_same_bytes(scorer: Scorer, kind: str) -> None:
    models = scorer.bundle.models
    assert models.base is not None
    by_name = {model.name: model for model in models.base.models}
    mbg, pareto = by_name["mbg_nbd"], by_name["pareto_nbd"]
    chosen = {
        "regular gaps": (replace(mbg, regularity=3), pareto),
        "regular payments": (replace(mbg, regularity=24), pareto),
        "payments on dates": (
            DatedModel.of(replace(mbg, regularity=96), tuple(0.02 * MIDDLES), 0.01, 40.0, 0.2),
            pareto,
        ),
        "on a day of the month": (
            DatedModel.of(replace(mbg, regularity=96), tuple(0.02 * MIDDLES), 0.01, MONTH, 0.2),
            pareto,
        ),
        "a price list": (replace(mbg, regularity=24), pareto),
        "Pareto/NBD first": (pareto, mbg),
        "on a date of the year": (mbg, pareto),
    }[kind]
    due = DueDate(40.0, 10.5) if kind == "on a date of the year" else None
    months = MonthDates(1) if kind == "on a day of the month" else None
    base = replace(models.base, models=chosen, weights=(0.7, 0.3), due=due, months=months)
    value = models.value
    if kind in ("regular payments", "payments on dates", "on a day of the month"):
        value = replace(value, payments=RegularPayments(0.1, (0.97, 1.04)))
    if kind == "a price list":
        changes = ((0.8, 0.1, 0.0), (0.05, 0.7, 0.2), (0.0, 0.1, 0.85))
        listed = PriceList(30.0, (0.0, 5.0, 20.0), changes, (0.2, 0.5, 0.3))
        value = replace(value, payments=RegularPayments(0.1, (0.97, 1.04), price_list=listed))
    other = Scorer(replace(scorer.bundle, models=replace(models, base=base, value=value)))
    counts = compared(other, [*customers(25, seed=17), *odd_customers()[:6]])
    assert counts["left to arrays"] == 0
    assert counts["with reasons"] > 25


@pytest.mark.parametrize("name", ["mbg_nbd", "pareto_nbd"])
def test_a_regularity_of_each_customer_has_the_same_bytes(scorer: Scorer, name: str) -> None:
    models = scorer.bundle.models
    assert models.base is not None
    r, alpha, *leaving = next(m for m in models.base.models if m.name == name).params
    rhythms = tuple(
        Model(name, (r, alpha / k, *leaving), 0.0, 100, regularity=k)  # type: ignore[arg-type]
        for k in (1, 4, 16)
    )
    base = RegularityBase(
        models.base.models,
        models.base.spend,
        models.base.weights,
        rhythms=rhythms,
        shares=(0.5, 0.3, 0.2),
        groups=((0.6, 0.1, 0.0, 0.2, 0.1), (0.1, 0.6, 0.0, 0.2, 0.1), (0.0, 0.1, 0.6, 0.2, 0.1)),
    )
    value = replace(models.value, leaving=None)
    other = Scorer(replace(scorer.bundle, models=replace(models, base=base, value=value)))
    asked = [*customers(25, seed=18), *odd_customers()[:6]]
    counts = compared(other, asked)
    assert counts["left to arrays"] == 0
    assert counts["with reasons"] > 25
    # and they are not those of the models of all customers
    alike = Scorer(replace(scorer.bundle, models=replace(models, value=value)))
    assert not np.allclose(*said_by(alike, other, asked, "p_alive"), rtol=0.01, equal_nan=True)


def test_customers_of_a_season_have_the_same_bytes(scorer: Scorer) -> None:
    models = scorer.bundle.models
    assert models.base is not None
    ends = tuple(np.linspace(0.0, 360.0, PARTS + 1).tolist())
    base = SeasonalBase(
        models.base.models,
        models.base.spend,
        models.base.weights,
        season=SeasonOfBuyers(0.0, 360.0),
        once=OnceASeason.of((4.0, 2.0, 2.0, 10.0), ends, 0.0, 100),
    )
    value = replace(models.value, leaving=None)
    other = Scorer(replace(scorer.bundle, models=replace(models, base=base, value=value)))
    asked = [*customers(60, seed=19), *odd_customers()[:6]]
    counts = compared(other, asked)
    assert counts["left to arrays"] == 0
    alike = Scorer(replace(scorer.bundle, models=replace(models, value=value)))
    assert not np.allclose(*said_by(alike, other, asked, "p_alive"), rtol=0.01, equal_nan=True)


def test_the_median_day_is_that_of_a_bisection_whatever_the_function() -> None:
    """Also of a function that crosses one half several times, where the steps decide."""
    draw = np.random.default_rng(4)
    for _ in range(40):
        edges = np.sort(draw.uniform(0, 1_900, int(draw.integers(1, 9))))

        def still_none(days: Array, edges: Array = edges) -> NDArray[np.bool_]:
            return np.searchsorted(edges, days) % 2 == 0

        low, high = 0.0, 1825.0
        for _ in range(24):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if still_none(np.array([middle]))[0] else (low, middle)
        expected = np.nan if still_none(np.array([1825.0]))[0] else 0.5 * (low + high)
        np.testing.assert_equal(halved(still_none), expected)


def test_a_rehearsed_scorer_compiles_and_loads_nothing_at_the_first_request(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Scorer(scorer.bundle)
    rehearse(fresh, "the model")
    assert "one_row" in vars(fresh)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("compiled at a request")

    monkeypatch.setattr(OneRow, "__init__", refused)
    monkeypatch.setattr(single_row, "SingleRow", refused)
    monkeypatch.setattr(boosted, "LoadedTrees", refused)
    for with_reasons in (False, True):
        fresh.score_objects(customers(3, seed=2), day(DAYS), with_reasons=with_reasons)


def test_a_bundle_that_cannot_score_is_refused_before_the_first_request(scorer: Scorer) -> None:
    models = scorer.bundle.models
    reference = replace(models.reference, rfm=None)  # type: ignore[arg-type]
    broken = Scorer(replace(scorer.bundle, models=replace(models, reference=reference)))
    with pytest.raises(DataRefusedError, match=r"cannot score a customer: .*train it again"):
        rehearse(broken, "the model")

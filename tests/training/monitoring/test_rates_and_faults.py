"""Rates of events and faults of a log, on days that are simulated with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stagecast.training.monitoring.faults import (
    TypeDays,
    level_fell,
    missing_customers,
    other_unit,
    renamed_types,
    shorter_history,
    silent_types,
)
from stagecast.training.monitoring.rates import changed_since, rate_change

TRAINING, DAYS = 200, 290


def daily(random, rate, days=DAYS):
    """Return counts whose weeks vary by a fifth beyond Poisson."""
    weeks = random.gamma(25.0, 1 / 25.0, -(-days // 7))
    return random.poisson(rate * np.repeat(weeks, 7)[:days]).astype(float)


def test_a_rate_that_does_not_change_is_quiet_and_one_that_does_is_told():
    quiet = moved = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        days = daily(random, 6.0, 182)
        quiet += not rate_change(days[:91], days[91:], 0.05).beyond_chance
        halved = np.r_[days[:91], daily(random, 3.0, 91)]
        change = rate_change(halved[:91], halved[91:], 0.05)
        moved += change.beyond_chance and change.low <= 0.5 <= change.high
    assert quiet >= 180
    assert moved >= 180
    assert rate_change(np.ones(91), np.ones(9), 0.05) is None


def test_the_first_day_of_an_abrupt_change_is_named_and_a_slow_one_has_none():
    random = np.random.default_rng(4)
    days = [changed_since(np.r_[daily(random, 20.0, 60), daily(random, 9.0, 40)]) for _ in range(9)]
    assert all(day is not None and abs(day - 60) <= 3 for day in days)
    assert changed_since(random.poisson(np.linspace(20, 9, 180)).astype(float)) is None
    assert changed_since(random.poisson(20.0, 100).astype(float)) is None


def split(counts, day):
    return np.where(np.arange(DAYS) < day, counts, 0.0), np.where(
        np.arange(DAYS) < day, 0.0, counts
    )


def test_a_renamed_type_is_named_with_its_first_day():
    random = np.random.default_rng(5)
    before, after = split(daily(random, 8.0) + 1, 240)
    visits = TypeDays("visit", daily(random, 30.0))
    types = [TypeDays("purchase", before), TypeDays("purchases", after), visits]
    (fault,) = renamed_types(types, TRAINING)
    assert (fault.subject, fault.before, fault.since) == ("purchases", "purchase", 240)
    assert "Map 'purchases' to 'purchase'" in fault.sentence
    # by its rate alone, where the names have nothing in common
    (fault,) = renamed_types([types[0], TypeDays("kauf", after), visits], TRAINING)
    assert fault.before == "purchase"
    # a new type is no renaming while the others go on
    assert renamed_types([TypeDays("purchase", before + after), types[1], visits], TRAINING) == []


def test_a_type_that_stops_is_silent_only_if_chance_does_not_explain_it():
    random = np.random.default_rng(6)
    stopped, _ = split(daily(random, 8.0) + 1, 270)
    rare = np.zeros(DAYS)
    rare[[20, 90, 150, 230]] = 1
    types = [TypeDays("purchase", stopped), TypeDays("complaint", rare)]
    (fault,) = silent_types(types, TRAINING, set())
    assert (fault.subject, fault.since) == ("purchase", 270)
    assert silent_types(types, TRAINING, {"purchase"}) == []
    assert silent_types([TypeDays("email_sent", stopped, uses=False)], TRAINING, set()) == []


@pytest.mark.parametrize("factor", [100.0, 0.01, 7.2])
def test_amounts_in_another_unit_are_named_with_factor_and_day(factor):
    random = np.random.default_rng(7)
    before = random.lognormal(3.0, 0.8, 3_000)
    days = np.sort(random.integers(TRAINING, DAYS, 1_500))
    amounts = random.lognormal(3.0, 0.8, 1_500)
    assert other_unit("purchase", before, days, amounts, TRAINING, DAYS) is None
    wrong = np.where(days >= 250, factor * amounts, amounts)
    fault = other_unit("purchase", before, days, wrong, TRAINING, DAYS)
    assert fault is not None
    assert abs(fault.since - 250) <= 1
    number = float(fault.sentence.split(" are ")[1].split(" times")[0])
    assert number == pytest.approx(max(factor, 1 / factor), rel=0.15)
    assert ("hundredths" in fault.sentence) == (factor != 7.2)


def test_dearer_goods_are_no_other_unit():
    random = np.random.default_rng(8)
    before = random.lognormal(3.0, 0.8, 3_000)
    days = np.sort(random.integers(TRAINING, DAYS, 1_500))
    dearer = random.lognormal(3.0 + math.log(1.5), 0.8, 1_500)
    assert other_unit("purchase", before, days, dearer, TRAINING, DAYS) is None


def regulars(random, rates, factor, lost=0.0):
    """Return buyers by day, and orders expected and come of each customer since day 240."""
    present = random.random(len(rates)) >= lost
    before = random.poisson(rates * 90)
    came = random.poisson(factor * rates * (DAYS - 240)) * present
    keep = before > 0
    share = factor * present.mean()
    buyers = random.poisson(
        np.where(np.arange(DAYS) < 240, rates.sum(), share * rates.sum())
    ).astype(float)
    return buyers, before[keep] * (DAYS - 240) / 90, came[keep].astype(float)


def test_lost_customers_are_told_from_fallen_demand():
    alarms = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        rates = random.gamma(2.0, 0.05, 400)
        buyers, expected, came = regulars(random, rates, 1.0, lost=0.5)
        since = level_fell(buyers, TRAINING)
        assert since is not None
        assert abs(since - 240) <= 3
        alarms += missing_customers(buyers, expected, came, since) is not None
        buyers, expected, came = regulars(random, rates, 0.5)
        assert level_fell(buyers, TRAINING) is not None
        assert missing_customers(buyers, expected, came, 240) is None
    assert alarms == 20


def test_a_history_that_became_shorter_is_named():
    assert shorter_history(1_000, 950, "2020-01-01", "the training") is None
    assert shorter_history(0, 0, "2020-01-01", "the training") is None
    fault = shorter_history(1_000, 500, "2020-01-01", "the training")
    assert "1,000" in fault.sentence
    assert "500" in fault.sentence

"""Customers who buy at most once a year, in the same weeks: donors before Christmas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR
from stagecast.training.billing.payments import Payments
from stagecast.training.config import TrainConfig
from stagecast.training.learners.fit_seasonal_buyers import find_season, pays_prices
from stagecast.training.learners.seasonal_buyers import Season, SeasonalBase
from stagecast.training.learners.stored_base import base_from_json
from tests.training.made import Row, check_contract, day, trained

MIDDLE, SPREAD = 345.0, 10.0
STAYS, GIVES = 0.85, 0.7


@dataclass(frozen=True)
class Donors:
    """A log of donors, and what a donor who has not left gives within the days ahead."""

    rows: list[Row]
    given: dict[str, list[float]]


def donors(seed: int, number: int, until: float, *, others: int = 0) -> Donors:
    """Return donors who join over the years; and others, who buy at random."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    given: dict[str, list[float]] = {}
    for k in range(number):
        name, first = f"d{k:04d}", int(random.integers(0, int(until / YEAR) + 1))
        at = [first * YEAR + random.normal(MIDDLE, SPREAD)]
        year = first + 1
        while year * YEAR + MIDDLE < until and random.random() < STAYS:
            if random.random() < GIVES:
                at.append(year * YEAR + random.normal(MIDDLE, SPREAD))
            year += 1
        at = [d for d in at if d < until]
        if at:
            given[name] = at
            rows += [(name, day(d), "purchase", float(random.lognormal(3.5, 0.6))) for d in at]
    for k in range(others):
        at_day = float(random.uniform(0, until))
        while at_day < until:
            rows.append((f"o{k:04d}", day(at_day), "purchase", float(random.lognormal(3.0, 0.5))))
            at_day += float(random.exponential(60.0)) + (1e9 if random.random() < 0.1 else 0.0)
    return Donors(sorted(rows, key=lambda row: row[1]), given)


def truth(given: list[float], until: float) -> float:
    """Return P(a donor gives in the coming season), by Bayes, before it begins."""
    first, last = (int((d - MIDDLE + 180.0) / YEAR) for d in (given[0], given[-1]))
    seasons = int((until - MIDDLE + 60.0) / YEAR)  # the newest one that is over
    silent = seasons - last
    stay = (STAYS * (1.0 - GIVES)) ** silent
    left = sum((STAYS * (1.0 - GIVES)) ** k * (1.0 - STAYS) for k in range(silent))
    assert first <= last <= seasons
    return STAYS * GIVES * stay / (stay + left)


@pytest.mark.slow
@pytest.mark.parametrize("others", [0, 120])
def test_donors_are_expected_in_their_season_and_not_before(tmp_path: Path, others: int) -> None:
    until = 5 * YEAR + 273.0  # in autumn
    made = donors(3, 700, until, others=others)
    done = trained(made.rows, tmp_path / "m", day(until), TrainConfig(horizon_days=90, max_dates=6))
    base = done.bundle.models.base
    assert isinstance(base, SeasonalBase)
    assert isinstance(base_from_json(json.loads(json.dumps(base.to_json()))), SeasonalBase)
    table = done.scores()
    check_contract(table)
    scores = table.to_pandas().set_index("customer_id")
    own = scores.loc[list(made.given)]
    expected = np.array([truth(given, until) for given in made.given.values()])
    p = 1.0 - own["p_inactive"].astype(float)
    # a twentieth of the donors gave outside of the weeks of most, and count as others
    assert p.sum() == pytest.approx(expected.sum(), rel=0.08)
    assert float(np.abs(p - expected).mean()) < 0.06
    assert not (own["stage"] == "lost").any()
    loyal = [name for name, given in made.given.items() if given[-1] > until - YEAR]
    assert (own.loc[loyal, "p_alive"] > 0.99).mean() > 0.9
    assert own.loc[loyal, "value_gone"].sum() < 0.02 * own["value_if_kept"].sum()
    # the next gift comes before Christmas or not at all for now
    due = own.loc[loyal, "next_order_date"].dropna()
    assert len(due) > 100
    assert due.map(lambda at: (at.month, at.day)).between((11, 1), (12, 31)).mean() > 0.9
    if others:
        of_others = scores.drop(index=list(made.given))
        assert (of_others["recency_days"] < 30).sum() > 5
        recent = of_others[of_others["recency_days"] < 30]
        assert (1.0 - recent["p_inactive"].astype(float)).mean() > 0.4


@pytest.mark.slow
def test_in_spring_nobody_is_expected_and_nobody_has_left(tmp_path: Path) -> None:
    until = 4 * YEAR + 80.0
    made = donors(4, 500, until)
    done = trained(made.rows, tmp_path / "m", day(until), TrainConfig(horizon_days=90, max_dates=6))
    scores = done.scores().to_pandas()
    assert (1.0 - scores["p_inactive"].astype(float)).sum() < 5.0
    newest = scores[scores["recency_days"] < 120]
    assert (newest["p_alive"] > 0.99).mean() > 0.95
    per_order = newest["spend"] / newest["orders"]
    stays = STAYS * GIVES * 1.1 ** (-0.72)
    assert newest["clv"].sum() == pytest.approx((per_order * stays).sum(), rel=0.15)
    assert newest["value_at_risk"].sum() == pytest.approx(
        (per_order * stays).sum() * (1.0 / STAYS - 1.0), rel=0.4
    )


def payments(days: list[list[float]], price: float | None = None) -> Payments:
    return Payments.of_customers(bought(days, price))


def bought(days: list[list[float]], price: float | None = None) -> PurchaseDays:
    random = np.random.default_rng(1)
    rows = [(k, int(d)) for k, own in enumerate(days) for d in own]
    customer, at = (np.array(values) for values in zip(*rows, strict=True))
    spend = random.lognormal(3.0, 0.5, len(at)) if price is None else np.full(len(at), price)
    return PurchaseDays(customer, at, spend, at * 86_400_000_000)


def yearly(number: int, spread: float) -> list[list[float]]:
    random = np.random.default_rng(2)
    return [[k * YEAR + random.normal(345.0, spread) for k in range(4)] for _ in range(number)]


def test_a_season_is_found_across_new_year_and_only_where_there_is_one() -> None:
    late = [[d + 15.0 for d in own] for own in yearly(100, 8.0)]  # around the last of December
    season = find_season(payments(late))
    assert season is not None
    assert 330.0 < season.begins < 350.0
    assert 30.0 < season.length < 60.0
    assert find_season(payments(yearly(20, 8.0))) is None  # too few
    assert find_season(payments(yearly(200, 80.0))) is None  # all the year round
    random = np.random.default_rng(3)
    weekly = [np.cumsum(random.exponential(30.0, 12)).tolist() for _ in range(300)]
    assert find_season(payments([*late, *weekly])) is None
    assert pays_prices(bought(late, 49.0))
    assert not pays_prices(bought(late))


def test_who_buys_twice_in_a_season_or_outside_of_it_is_another() -> None:
    season = Season(320.0, 50.0)

    def features(first: float, last: float, repeats: float) -> dict[str, Array]:
        values = {"first_day": first, "last_day": last, "frequency": repeats}
        own = {**values, "t_x_days": last - first, "T_days": 3 * YEAR - first}
        return {name: np.array([value]) for name, value in own.items()}

    for first, last, repeats, seasonal in (
        (330.0, 330.0, 0.0, True),
        (330.0, YEAR + 350.0, 1.0, True),
        (330.0, 2 * YEAR + 350.0, 1.0, True),
        (330.0, YEAR + 350.0, 2.0, False),
        (330.0, 340.0, 1.0, False),
        (200.0, YEAR + 350.0, 1.0, False),
        (330.0, YEAR + 100.0, 1.0, False),
    ):
        assert season.is_seasonal(features(first, last, repeats)).tolist() == [seasonal]
    own = season.histories(features(330.0, YEAR + 350.0, 1.0))
    assert own["t_x_days"][0] == pytest.approx(YEAR)
    assert own["T_days"][0] == pytest.approx(3 * YEAR - 320.0)

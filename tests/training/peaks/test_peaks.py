"""A peak of a log of less than two years: found where there is one, and not carried on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import stagecast as sc
from stagecast.features.record import PurchaseDays
from stagecast.serving.languages.display import Display
from stagecast.serving.languages.sentences import in_language
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.seasonal_pareto import SeasonalPareto
from stagecast.training.learners.fit_pace import pace_of_log
from stagecast.training.learners.pace_of_log import PART_DAYS, PaceOfLog, read_pace
from stagecast.training.learners.season_of_purchases import BINS
from stagecast.training.peaks.note import UNSEEN, peak_sentences, unseen_sentences
from stagecast.training.peaks.ordinary import is_extra

START, DAYS, CUSTOMERS, LIFE = pd.Timestamp("2024-01-01"), 440, 700, 500.0
AS_OF = START + pd.Timedelta(days=DAYS)
RATES = Model("pareto_nbd", (1.2, 72.0, 2.0, LIFE), 0.0, CUSTOMERS)


def a_shop(
    peak: tuple[int, int] | None, seed: int = 1, pace: float = 3.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a log in which all buy faster from one day to another, and its customers."""
    random = np.random.default_rng(seed)
    by_day = np.ones(DAYS)
    if peak is not None:
        by_day[slice(*peak)] = pace
    first = random.uniform(0, DAYS, CUSTOMERS)
    rate, leaves = random.gamma(1.2, 1 / 72.0, CUSTOMERS), random.gamma(2.0, 1 / LIFE, CUSTOMERS)
    end = np.minimum(first + random.exponential(1 / leaves), DAYS)
    count = random.poisson(rate * pace * (end - first))
    customer = np.repeat(np.arange(CUSTOMERS), count)
    at = random.uniform(first[customer], end[customer])
    kept = random.uniform(size=len(at)) * pace < by_day[at.astype(int)]
    customer, at = np.r_[np.arange(CUSTOMERS), customer[kept]], np.r_[first, at[kept]]
    log = pd.DataFrame(
        {
            "customer_id": customer,
            "timestamp": (START + pd.to_timedelta(at, unit="D")).floor("s"),
            "amount": random.gamma(3.0, 10.0, len(at)).round(2),
        }
    )
    people = pd.DataFrame({"rate": rate, "leaves": leaves, "here": end >= DAYS})
    return log.sort_values("timestamp", ignore_index=True), people.set_index(people.index.map(str))


def days_of(log: pd.DataFrame) -> tuple[PurchaseDays, float]:
    """Return the purchase days of a log, and the day number of the as_of."""
    epoch = pd.Timestamp("1970-01-01")
    day = (log["timestamp"] - epoch).dt.days
    each = log.assign(day=day).groupby(["customer_id", "day"])["amount"].sum().reset_index()
    at = each["day"].to_numpy()
    return (
        PurchaseDays(
            each["customer_id"].to_numpy(), at, each["amount"].to_numpy(), at * 86_400_000_000
        ),
        float((AS_OF - epoch).days),
    )


def pace_found(log: pd.DataFrame) -> PaceOfLog | None:
    days, as_of_day = days_of(log)
    return pace_of_log(days, as_of_day, float(DAYS), RATES)


def expected_within(people: pd.DataFrame, days: int) -> float:
    """Return the orders of ordinary days ahead, the expectation over lives to come."""
    here = people[people["here"]]
    return float((here["rate"] * -np.expm1(-here["leaves"] * days) / here["leaves"]).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shop_without_a_peak_has_none(seed: int) -> None:
    assert pace_found(a_shop(None, seed)[0]) is None


@pytest.mark.parametrize("back", [30, 150])
def test_a_peak_that_is_over_is_found_where_it_was_and_partly_expected_again(back: int) -> None:
    pace = pace_found(a_shop((DAYS - back - 42, DAYS - back))[0])
    assert pace is not None
    middle = round((back + 21) / PART_DAYS - 0.5)
    assert pace.past[middle] == pytest.approx(3.0, rel=0.3)
    assert {k for k, value in enumerate(pace.past) if value > 1} <= set(
        range(middle - 3, middle + 4)
    )
    again = pace.ahead[BINS - 1 - middle]
    assert 1.0 < again < pace.past[middle]
    assert pace.ahead[(BINS - 1 - middle + 13) % BINS] == 1.0


def test_a_peak_that_lasts_up_to_the_as_of_may_go_on_and_is_none() -> None:
    assert pace_found(a_shop((DAYS - 42, DAYS))[0]) is None


def test_a_shop_that_has_grown_has_no_peak() -> None:
    assert pace_found(a_shop((DAYS - 220, DAYS - 20))[0]) is None


def test_time_runs_by_the_pace_before_and_as_expected_after() -> None:
    pace = PaceOfLog((1.0, 3.0), (2.0,) + (1.0,) * (BINS - 1), 1000.0)
    ends = np.array([1000.0 - 3 * PART_DAYS, 1000.0 - 2 * PART_DAYS, 1000.0 - PART_DAYS, 1000.0])
    assert np.diff(pace.time_at(ends)) / PART_DAYS == pytest.approx([1.0, 3.0, 1.0])
    ahead = np.array([1000.0, 1000.0 + PART_DAYS, 1365.0, 1365.0 + PART_DAYS])
    assert np.diff(pace.time_at(ahead)) / PART_DAYS == pytest.approx([2.0, BINS - 1.0, 2.0])


def test_a_model_in_the_time_of_a_log_is_read_as_it_was_written() -> None:
    pace = PaceOfLog((1.0, 2.5), (1.5,) + (1.0,) * (BINS - 1), 19_000.0)
    model = SeasonalPareto((1.0, 50.0, 2.0, 900.0), pace)
    assert SeasonalPareto.from_json(model.to_json()) == model
    with pytest.raises(ValueError, match=r"26 of them ahead; got .* and \[1\.0\]"):
        read_pace({**pace.to_json(), "ahead": [1.0]})


def test_of_a_peak_as_many_purchases_are_left_as_on_ordinary_days() -> None:
    days, as_of_day = days_of(a_shop((DAYS - 100, DAYS - 58))[0])
    pace = pace_of_log(days, as_of_day, float(DAYS), RATES)
    assert pace is not None
    left = days.of(np.flatnonzero(~is_extra(days, pace)))
    back = as_of_day - left.day
    in_peak = ((back > 58) & (back <= 100)).sum()
    beside = ((back > 16) & (back <= 58)).sum()
    assert in_peak == pytest.approx(beside, rel=0.25)
    assert len(left.day) < len(days.day)
    outside = (as_of_day - days.day <= 28) | (as_of_day - days.day > 140)
    assert not is_extra(days, pace)[outside].any()


def test_a_month_after_a_promotion_ordinary_orders_are_expected_and_the_card_says_it() -> None:
    log, people = a_shop((DAYS - 72, DAYS - 30))
    model = sc.Lifecycle(horizon="90d").fit(sc.read_events(log), as_of=AS_OF)
    scores = model.scores
    truth = expected_within(people.loc[scores.index], 90)
    assert scores["expected_orders"].sum() / truth == pytest.approx(1.0, abs=0.25)
    assert scores["p_alive"].mean() == pytest.approx(people["here"].mean(), abs=0.08)
    notes = " ".join(model.card["notes"])
    assert "holds a peak of purchases" in notes
    assert "A part of it is expected again within the year ahead" in notes


@pytest.mark.parametrize("language", ["ru", "fa"])
def test_the_notes_are_said_in_each_language(language: str) -> None:
    early = PaceOfLog(
        (1.0,) * 20 + (3.0, 2.0) + (1.0,) * 6, (1.0,) * 4 + (1.5, 1.9) + (1.0,) * 20, 20_000.0
    )
    sentences = [*peak_sentences(early, 90), UNSEEN]
    assert len(sentences) == 4
    for sentence in sentences:
        assert 'lang="en"' not in in_language(sentence, Display(language))  # type: ignore[arg-type]


def test_a_peak_whose_weeks_are_far_off_is_not_said_to_lie_in_the_horizon() -> None:
    pace = PaceOfLog((1.0, 3.0) + (1.0,) * 26, (1.0,) * 24 + (1.9, 1.0), 20_000.0)
    assert len(peak_sentences(pace, 90)) == 2
    assert "3.0 times the usual" in peak_sentences(pace, 90)[0]
    assert peak_sentences(replace(pace, past=(1.0,)), 90) == []
    assert peak_sentences(None, 90) == []
    assert unseen_sentences(300.0) == [UNSEEN]

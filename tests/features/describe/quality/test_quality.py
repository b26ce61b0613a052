"""Description of a log: times of day, buyers, rhythm and delays; see also ``test_quality_days``."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.describe.quality import describe
from stagecast.features.describe.quality.rhythm import (
    FEWEST_PAIRS,
    LARGEST_K,
    LEAST_K,
    Rhythm,
    regularity,
)
from stagecast.features.errors import NotEnoughDataError
from tests.features.describe.quality.made import CLEAN, date, day, described, on, shop, table_of
from tests.profiles import examples


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"closed": (5, 6)},
        {"closed": ()},
        {"growth": 20.0},
        {"growth": 0.05},
        {"december": 6.0},
        {"per_day": 4.0},
        {"per_day": 0.3},
        {"lines": 12.0},
        {"per_day": 2.0, "lines": 20.0, "growth": 0.1},
        {"days": 40},
        {"days": 9, "per_day": 3.0},
    ],
    ids=str,
)
def test_a_clean_log_has_no_findings(options: dict[str, object]) -> None:
    quality = described(shop(seed=7, **options))  # type: ignore[arg-type]
    assert quality.gaps == ()
    assert quality.odd_days == ()
    assert quality.buyers.heavy == ()
    assert quality.times.lines() == []
    assert quality.delay is None


def test_span_and_empty_days_are_counted() -> None:
    quality = described(CLEAN)
    assert (quality.first_day, quality.last_day) == (date(0), date(499))
    assert quality.days == 500
    assert quality.empty_days == 71 / 500  # Sundays
    per_day = (
        CLEAN.groupby(CLEAN["timestamp"].dt.floor("D"))
        .size()
        .reindex(pd.date_range(day(0), day(499)))
    )
    assert quality.events_per_day == per_day.fillna(0).median()


@pytest.mark.parametrize(
    ("hours", "midnight", "all_midnight", "shifted"),
    [(0, 1.0, True, False), (22, 0.0, False, True), (None, 0.0, False, False)],
)
def test_dates_without_times_are_recognised(
    hours: int | None, midnight: float, all_midnight: bool, shifted: bool
) -> None:
    dates = CLEAN["timestamp"].dt.floor("D")
    frame = CLEAN if hours is None else CLEAN.assign(timestamp=dates + timedelta(hours=hours))
    quality = described(frame)
    assert (quality.times.midnight, quality.times.all_midnight, quality.times.shifted_dates) == (
        midnight,
        all_midnight,
        shifted,
    )
    assert bool(quality.times.lines()) == (hours is not None)
    assert quality.odd_days == ()


def test_the_share_at_midnight_is_counted() -> None:
    rows = [
        ("a", day(0)),
        ("b", day(0) + timedelta(microseconds=1)),
        ("c", day(1)),
        ("d", day(2) + timedelta(hours=5)),
    ]
    assert (
        described(
            pd.DataFrame(rows, columns=["customer_id", "timestamp"]).assign(event="visit")
        ).times.midnight
        == 0.5
    )


def test_buyers_and_their_purchase_days_by_hand() -> None:
    days = {"a": [0], "b": [0, 0, 0], "c": [1, 4], "d": [2, 5, 9], "e": [1, 2, 3, 4, 5]}
    rows = [
        (name, day(number) + timedelta(hours=hour), "purchase")
        for name, day_numbers in days.items()
        for hour, number in enumerate(day_numbers)
    ]
    rows += [("visitor", day(3), "visit")] * 4
    buyers = described(pd.DataFrame(rows, columns=["customer_id", "timestamp", "event"])).buyers
    assert (buyers.buyers, buyers.one_day) == (5, 0.4)
    # four of five have at most three days: not yet 90 %
    assert (buyers.days_median, buyers.days_90, buyers.days_max) == (2, 5, 5)
    assert buyers.heavy == ()


def test_a_till_is_found_among_the_customers() -> None:
    tills = {"till": 3_000, "agency": 2_500}
    random = np.random.default_rng(1)
    rows = [
        pd.DataFrame(
            {
                "customer_id": name,
                "timestamp": day(0) + pd.to_timedelta(random.uniform(0, 500, count), unit="D"),
            }
        )
        for name, count in tills.items()
    ]
    quality = described(pd.concat([CLEAN, *(frame.assign(event="purchase") for frame in rows)]))
    assert {customer.customer_id: customer.events for customer in quality.buyers.heavy} == tills
    assert any("customer till has 3,000 events" in line for line in quality.lines())


def gamma_gaps(
    k: float, mean: float, customers: int, *, whole_days: bool, seed: int = 5
) -> list[tuple[int, int, float]]:
    """Return pairs for :func:`regularity`: the sum of two gaps, 1, and the squared distance."""
    random = np.random.default_rng(seed)
    pairs = []
    for start in random.uniform(0, 1_000, customers):
        times = start + np.r_[0.0, np.cumsum(random.gamma(k, mean / k, 40))]
        first, second, third = np.unique(np.floor(times))[:3] if whole_days else times[:3] * 10_000
        pairs.append((third - first, 1, ((second - first) / (third - first) - 0.5) ** 2))
    return pairs


@pytest.mark.slow
@pytest.mark.parametrize("whole_days", [False, True])
@pytest.mark.parametrize("mean", [5.0, 30.0])
@pytest.mark.parametrize("k", [1.0, 3.0])
def test_regularity_of_erlang_gaps_is_recovered(k: float, mean: float, whole_days: bool) -> None:
    assert regularity(gamma_gaps(k, mean, 6_000, whole_days=whole_days)) == pytest.approx(
        k, rel=0.08
    )


def test_regularity_of_long_gaps_is_wheat_and_morrisons() -> None:
    pairs = gamma_gaps(2.0, 90.0, 500, whole_days=False)
    v = sum(squares for _, _, squares in pairs) / len(pairs)
    assert regularity(pairs) == pytest.approx((1 - 4 * v) / (8 * v))


def test_regularity_stays_within_its_bounds() -> None:
    assert regularity([(60, 100, 0.0)]) == LARGEST_K
    assert regularity([(60, 100, 24.9)]) == LEAST_K
    # gaps of 1 and 1 say nothing, whatever their number
    assert regularity([(2, 10_000, 0.0), (1_000, 60, 5.0)]) == pytest.approx(1.0)


@pytest.mark.parametrize(("customers", "k"), [(FEWEST_PAIRS - 1, None), (FEWEST_PAIRS, LARGEST_K)])
def test_a_regularity_needs_enough_customers(customers: int, k: float | None) -> None:
    rows = [(f"c{n}", day(n + 30 * j), "purchase") for n in range(customers) for j in range(4)]
    rhythm = described(pd.DataFrame(rows, columns=["customer_id", "timestamp", "event"])).rhythm
    assert (rhythm.k, rhythm.pairs, rhythm.gap_days) == (k, customers, 30.0)


@pytest.mark.parametrize(("gap_days", "lines"), [(1.5, 1), (30.0, 2)])
def test_gaps_of_a_day_or_two_say_nothing_of_the_regularity(gap_days: float, lines: int) -> None:
    assert len(Rhythm(gap_days, 0.05, 900).lines()) == lines


def test_the_rhythm_of_a_log_is_that_of_its_purchase_days() -> None:
    random = np.random.default_rng(2)
    rows = []
    for number in range(1_500):
        times = random.uniform(0, 300) + np.r_[0.0, np.cumsum(random.exponential(20.0, 4))]
        rows += [(f"c{number}", day(0) + timedelta(days=float(time)), "purchase") for time in times]
        rows += [
            (f"c{number}", day(0) + timedelta(days=float(time) + 0.3), "visit") for time in times
        ]
    rhythm = described(pd.DataFrame(rows, columns=["customer_id", "timestamp", "event"])).rhythm
    assert rhythm.k == pytest.approx(1.0, abs=0.12)
    assert rhythm.pairs > 1_400
    assert rhythm.gap_days == pytest.approx(19.0, abs=1.5)


def test_delays_are_described_where_given() -> None:
    frame = CLEAN[:1_000].reset_index(drop=True)
    delays = pd.to_timedelta(np.where(np.arange(1_000) % 50 == 0, 5.0, 0.25), unit="D")
    frame["recorded_at"] = (frame["timestamp"] + delays).mask(frame.index >= 800)
    frame.loc[1, "recorded_at"] = frame.loc[1, "timestamp"] - timedelta(days=1)
    delay = described(frame).delay
    assert delay is not None
    assert (delay.given, delay.early, delay.median_days, delay.days_99) == (0.8, 1 / 800, 0.25, 5.0)
    (line,) = delay.lines()
    assert "recorded 0.25 days after the event" in line


def test_the_description_is_plain_json_and_lines() -> None:
    frame = pd.concat([CLEAN[~on(CLEAN, 200, 203)], CLEAN[on(CLEAN, 302)]])
    quality = described(frame.assign(recorded_at=frame["timestamp"]))
    values = quality.to_json()
    assert json.loads(json.dumps(values)) == values
    assert values["odd_days"][0]["day"] == date(302)
    text = "\n".join(quality.lines())
    assert date(200) in text
    assert date(302) in text


def test_the_order_of_the_rows_changes_nothing() -> None:
    with table_of(CLEAN) as con:
        expected = describe(con)
        con.execute(
            "CREATE OR REPLACE TABLE events AS SELECT * FROM events ORDER BY "
            "hash(timestamp), amount"
        )
        assert describe(con) == expected


def test_nothing_is_left_behind_in_the_connection() -> None:
    with table_of(CLEAN[:100]) as con:
        describe(con)
        assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("events",)]


def test_an_empty_log_cannot_be_described() -> None:
    with pytest.raises(NotEnoughDataError, match="no events"):
        described(CLEAN[:0])


@pytest.mark.slow
@settings(max_examples=examples(20), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.one_of(
                st.datetimes(datetime(1999, 6, 1), datetime(2003, 1, 1)),
                st.sampled_from(
                    [datetime(1900, 1, 1), datetime(1969, 12, 31), datetime(1970, 1, 1)]
                ),
            ),
            st.sampled_from(["purchase", "visit", "refund"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_handful_of_events_can_be_described(rows: list[tuple[str, datetime, str]]) -> None:
    quality = described(
        pd.DataFrame(rows, columns=["customer_id", "timestamp", "event"]).astype(
            {"timestamp": "datetime64[us]"}
        )
    )
    assert quality.days >= 1
    assert 0 <= quality.empty_days < 1
    assert quality.first_day <= quality.last_day
    assert quality.gaps == ()
    assert all(finding.kind == "placeholder" for finding in quality.odd_days)
    json.dumps(quality.to_json())
    assert quality.lines()

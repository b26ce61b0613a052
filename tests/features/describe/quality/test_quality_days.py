"""Gaps and days that stand out: those planted are found, and habits of the shop are not."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.describe.quality.daily import BLOCK_DAYS, Calendar, surrounding_quantiles
from stagecast.features.describe.quality.gaps import find_gaps, spread_of_days
from stagecast.features.describe.quality.odd import find_odd_days
from tests.features.describe.quality.made import CLEAN, date, day, described, kinds, on, shop
from tests.profiles import examples

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("first", "last"), [(200, 202), (204, 207), (351, 365), (120, 190), (15, 18), (490, 494)]
)
def test_a_gap_is_found_with_the_expected_events(first: int, last: int) -> None:
    quality = described(CLEAN[~on(CLEAN, first, last)])
    (gap,) = quality.gaps
    # a Sunday beside the gap is part of it
    silent = [n for n in range(first - 1, last + 2) if first <= n <= last or n % 7 == 6]
    assert (gap.first_day, gap.last_day, gap.days) == (
        date(silent[0]),
        date(silent[-1]),
        len(silent),
    )
    season = first < 365 and last > 320
    assert gap.events_expected == pytest.approx(
        on(CLEAN, first, last).sum(), rel=0.7 if season else 0.35
    )
    assert gap.log10_chance < -8
    assert quality.odd_days == ()
    assert any(gap.first_day in line for line in quality.lines())


def test_the_least_likely_gaps_come_first_and_at_most_five() -> None:
    lengths = {50: 1, 100: 4, 150: 2, 205: 5, 260: 3, 400: 6}
    frame = CLEAN
    for first, length in lengths.items():
        frame = frame[~on(frame, first, first + length - 1)]
    gaps = described(frame).gaps
    assert len(gaps) == 5
    assert [gap.log10_chance for gap in gaps] == sorted(gap.log10_chance for gap in gaps)
    assert date(50) not in [gap.first_day for gap in gaps]


def test_days_before_the_opening_are_no_gap() -> None:
    before = pd.DataFrame(
        {"customer_id": "test", "timestamp": [day(-60), day(-33)], "event": "purchase"}
    )
    assert described(pd.concat([before, CLEAN])).gaps == ()


def test_quantiles_of_the_days_around_are_numpys() -> None:
    random = np.random.default_rng(4)
    values = np.where(
        random.random(BLOCK_DAYS + 50) < 0.3, np.nan, random.normal(size=BLOCK_DAYS + 50)
    )
    steps = [-9, -2, 1, 3, 4]
    (low, median), counts = surrounding_quantiles(values, steps, [0.1, 0.5])
    for k in (0, 1, 8, 100, BLOCK_DAYS - 1, BLOCK_DAYS, BLOCK_DAYS + 49):
        beside = np.array([values[k + s] for s in steps if 0 <= k + s < len(values)])
        beside = beside[~np.isnan(beside)]
        assert counts[k] == len(beside)
        expected = np.quantile(beside, [0.1, 0.5]) if len(beside) else [np.nan, np.nan]
        np.testing.assert_allclose([low[k], median[k]], expected)


def test_empty_days_are_no_gap_where_counts_vary_widely() -> None:
    random = np.random.default_rng(3)
    customers = random.poisson(30 * random.gamma(0.5, 2.0, 400)).astype(float)
    calendar = Calendar(0, customers, customers, np.sign(customers))
    assert (customers == 0).any()
    assert spread_of_days(customers) > 1.5
    assert find_gaps(calendar) == ()


def test_roots_of_poisson_counts_have_a_spread_of_one_half() -> None:
    counts = np.random.default_rng(1).poisson(200, 3_000).astype(float)
    assert spread_of_days(counts) == pytest.approx(0.5, abs=0.04)
    assert spread_of_days(np.full(100, 9.0)) == 0.5


def test_a_bulk_import_is_found() -> None:
    sample = CLEAN.sample(2_000, random_state=2)
    imported = sample.assign(
        timestamp=day(302) + (sample["timestamp"] - sample["timestamp"].dt.floor("D"))
    )
    quality = described(pd.concat([CLEAN, imported]))
    assert kinds(quality) == {"high": [date(302)]}
    figures = quality.odd_days[0].figures
    assert figures["events"] == on(CLEAN, 302).sum() + 2_000
    assert figures["events_usual"] == pytest.approx(on(CLEAN, 302).sum(), rel=0.3)


@pytest.mark.parametrize("lines", [1.0, 5.0])
@pytest.mark.parametrize("number", [101, 352])
def test_a_double_delivery_is_found_in_december_too(lines: float, number: int) -> None:
    frame = shop(lines=lines)
    quality = described(pd.concat([frame, frame[on(frame, number)]]))
    assert kinds(quality) == {"twice": [date(number)]}
    figures = quality.odd_days[0].figures
    assert figures["events"] == 2 * on(frame, number).sum()
    assert figures["events_usual"] == pytest.approx(on(frame, number).sum(), rel=0.35)


def test_one_customer_with_many_lines_is_no_import() -> None:
    order = pd.DataFrame(
        {"customer_id": "big", "timestamp": [day(302)] * 1_500, "event": "purchase"}
    )
    quality = described(pd.concat([CLEAN, order]))
    assert "high" not in kinds(quality)
    assert "instant" not in kinds(quality)


def test_a_day_with_one_timestamp_is_found() -> None:
    moved = on(CLEAN, 240) & (np.random.default_rng(1).random(len(CLEAN)) < 0.6)
    frame = CLEAN.assign(timestamp=CLEAN["timestamp"].mask(moved, day(240) + timedelta(hours=3)))
    quality = described(frame)
    assert kinds(quality) == {"instant": [date(240)]}
    assert quality.odd_days[0].figures["time"] == "03:00:00"
    assert quality.odd_days[0].figures["at_one_time"] == moved.sum()


def test_a_nightly_batch_is_a_habit() -> None:
    moved = np.random.default_rng(1).random(len(CLEAN)) < 0.6
    night = CLEAN["timestamp"].dt.floor("D") + timedelta(hours=3)
    assert described(CLEAN.assign(timestamp=CLEAN["timestamp"].mask(moved, night))).odd_days == ()


def test_a_monthly_sale_is_a_habit() -> None:
    extra = [CLEAN[on(CLEAN, n)] for n in range(8, 500, 28) for _ in range(4)]
    renamed = [
        frame.assign(customer_id=f"{k}-" + frame["customer_id"]) for k, frame in enumerate(extra)
    ]
    assert described(pd.concat([CLEAN, *renamed])).odd_days == ()


@pytest.mark.parametrize("share", [0.0002, 0.05])
def test_placeholder_dates_are_found_and_leave_the_span_alone(share: float) -> None:
    moved = np.random.default_rng(1).random(len(CLEAN)) < share
    frame = CLEAN.assign(timestamp=CLEAN["timestamp"].mask(moved, datetime(1970, 1, 1)))
    frame.loc[frame.index[5], "timestamp"] = datetime(1900, 1, 1)
    frame.loc[frame.index[6], "timestamp"] = datetime(2093, 5, 6)
    quality = described(frame)
    assert kinds(quality) == {"placeholder": ["1970-01-01", "1900-01-01"], "far": ["2093-05-06"]}
    assert quality.odd_days[0].figures == {"events": moved.sum()}
    assert (quality.first_day, quality.last_day) == (date(0), date(499))
    assert quality.gaps == ()


def test_a_year_without_events_in_the_middle_is_a_gap_and_no_day_is_far() -> None:
    quality = described(
        CLEAN.assign(
            timestamp=CLEAN["timestamp"] + pd.to_timedelta(400 * ~on(CLEAN, 0, 249), unit="D")
        )
    )
    (gap,) = quality.gaps
    assert gap.days in (400, 401)
    assert "far" not in kinds(quality)


@pytest.mark.parametrize(("number", "end"), [(494, "last"), (4, "first")])
def test_a_day_loaded_in_part_is_found_at_either_end(number: int, end: str) -> None:
    outside = on(CLEAN, number + 1, 600) if end == "last" else on(CLEAN, 0, number - 1)
    lost = on(CLEAN, number) & (np.random.default_rng(1).random(len(CLEAN)) < 0.85)
    quality = described(CLEAN[~outside & ~lost])
    assert kinds(quality) == {"partial_day": [date(number)]}
    assert f"the {end} day holds" in quality.odd_days[0].why


def test_a_week_loaded_in_part_is_found() -> None:
    lost = on(CLEAN, 493, 499) & (np.random.default_rng(1).random(len(CLEAN)) < 0.8)
    assert kinds(described(CLEAN[~lost]))["partial_week"] == [date(499)]


def test_the_most_suspicious_days_come_first_and_at_most_ten() -> None:
    doubled = [CLEAN[on(CLEAN, n)] for n in (100, 200, 303, 400)]
    far = pd.DataFrame(
        {
            "customer_id": "a",
            "timestamp": pd.date_range("1950-01-01", periods=12),
            "event": "purchase",
        }
    )
    quality = described(pd.concat([CLEAN, *doubled, far]))
    assert [finding.kind for finding in quality.odd_days] == ["far"] * 10
    quality = described(pd.concat([CLEAN, *doubled, far[:3]]))
    assert [finding.kind for finding in quality.odd_days] == ["far"] * 3 + ["twice"] * 4


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=120), st.integers(1, 4))
def test_any_calendar_is_described_without_a_warning(counts: list[int], lines: int) -> None:
    counts[0] = max(counts[0], 1)
    customers = np.array(counts, dtype=np.float64)
    calendar = Calendar(0, customers * lines, customers, np.sign(customers) * lines)
    find_gaps(calendar)
    assert len(find_odd_days(calendar, [], [])) <= 10


def test_days_that_hold_only_what_is_known_in_advance_are_no_gap() -> None:
    # contracts that are cancelled already end two to four weeks after the last day of the log
    ahead = pd.DataFrame({"customer_id": [f"ends{n}" for n in range(60)], "event": "cancel"})
    ahead["timestamp"] = [day(500 + 15 + n % 10) for n in range(60)]
    ahead["recorded_at"] = [day(490 + n % 8) for n in range(60)]
    log = pd.concat([CLEAN.assign(recorded_at=CLEAN["timestamp"]), ahead])
    assert described(log).gaps == ()
    # a silence of the log itself is one still, and so is one before events without a record
    assert len(described(log[~on(log, 200, 202)]).gaps) == 1
    assert len(described(log.assign(recorded_at=pd.NaT)).gaps) == 1

"""Members who join and leave on one day of the month, and horizons with and without it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.errors import DataRefusedError
from stagecast.training.cancellation.end_days import EndDay, end_day, share_of_month
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import current, past
from stagecast.training.cancellation.model import CancellationModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAVES = 0.03
BEGAN = datetime(2019, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def firsts(count: int, day: int = 1) -> list[datetime]:
    """Return a day of so many months from 2019 on; 0 is the last one."""
    months = [(2019 + k // 12, 1 + k % 12) for k in range(count + 1)]
    begins = [datetime(year, month, 1, tzinfo=UTC) for year, month in months]
    if day == 0:
        return [begin - timedelta(days=1) for begin in begins[1:]]
    return [begin + timedelta(days=day - 1) for begin in begins[:-1]]


def club(
    as_of: datetime,
    seed: int,
    *,
    day: int = 1,
    hours: float = 0.0,
    members: int = 1_500,
    others: float = 0.0,
) -> Spells:
    """Return members who leave on a day of the month with a chance of 3 %, some on another day."""
    random = np.random.default_rng(seed)
    days = [instant + timedelta(hours=hours) for instant in firsts(72, day)]
    starts, ends = [], []
    for joined in random.integers(0, 55, members):
        left = int(joined + random.geometric(LEAVES))
        end = days[left] if left < len(days) else None
        if end is not None and random.random() < others:
            end += timedelta(days=float(random.integers(3, 25)))
        starts.append(micros(days[joined]))
        ends.append(NEVER if end is None or end >= as_of else micros(end))
    start, end_at = np.array(starts), np.array(ends)
    known = start < micros(as_of)
    start, end_at = start[known], end_at[known]
    order, nobody = np.arange(len(start)), np.zeros(len(start), dtype=np.int64)
    return Spells(micros(as_of), order.astype(object), order, start, end_at, start, nobody, 0)


def expected(
    as_of: datetime, horizon: int, seed: int, *, members: int = 1_500
) -> NDArray[np.float64]:
    of = club(as_of, seed, members=members)
    model = fit_cancellation(of, horizon, past(of, horizon), {}, seed=1, by_end_day=True)
    return np.asarray(model.probability(current(of), {}))


@pytest.mark.parametrize("day", [0, 1, 15, 28])
def test_days_are_counted_as_a_calendar_has_them(day: int) -> None:
    random, days = np.random.default_rng(day), np.array([micros(d) for d in firsts(70, day)])
    begin = micros(BEGAN) + random.integers(0, 1_500, 300) * DAY_MICROSECONDS
    until = begin + random.integers(0, 200, 300) * DAY_MICROSECONDS
    counted = [((days >= a) & (days < b)).sum() for a, b in zip(begin, until, strict=True)]
    np.testing.assert_array_equal(EndDay(day, 0, 0.0).count(begin, until), counted)
    later = EndDay(day, 9 * 3_600_000_000, 0.0).count(
        begin + 9 * 3_600_000_000, until + 9 * 3_600_000_000
    )
    np.testing.assert_array_equal(later, counted)


@pytest.mark.parametrize(
    ("day", "hours"), [(1, 0.0), (1, -2.0), (1, 5.0), (15, 0.0), (0, 0.0), (0, 8.0)]
)
def test_the_day_of_a_log_is_found_in_its_zone(day: int, hours: float) -> None:
    found = end_day(club(datetime(2022, 6, 10, tzinfo=UTC), 2, day=day, hours=hours))
    assert found is not None
    assert (found.day, found.elsewhere) == (day, 0.0)
    assert found.instant == round(hours * 3_600_000_000)


def test_ends_on_other_days_are_counted_and_many_of_them_are_no_day() -> None:
    as_of = datetime(2022, 6, 10, tzinfo=UTC)
    found = end_day(club(as_of, 3, others=0.03))
    assert found is not None
    assert found.elsewhere == pytest.approx(0.03, abs=0.02)
    assert end_day(club(as_of, 3, others=0.2)) is None
    assert end_day(club(datetime(2019, 2, 20, tzinfo=UTC), 3)) is None  # two months
    assert end_day(club(as_of, 3, members=20)) is None


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("date", "horizon", "days"),
    [
        (datetime(2023, 1, 1, tzinfo=UTC), 30, 1),
        (datetime(2023, 1, 16, tzinfo=UTC), 30, 1),
        (datetime(2023, 1, 2, tzinfo=UTC), 30, 0),
        (datetime(2023, 1, 1, tzinfo=UTC), 90, 3),
        (datetime(2023, 1, 2, tzinfo=UTC), 90, 3),
        (datetime(2023, 7, 1, tzinfo=UTC), 180, 6),
    ],
)
def test_a_horizon_has_as_many_days_on_which_members_leave_as_it_holds(
    date: datetime, horizon: int, days: int, seed: int
) -> None:
    p = expected(date, horizon, seed)
    truth = 1.0 - (1.0 - LEAVES) ** days
    assert p.mean() == pytest.approx(truth, rel=0.25, abs=0.002)


def test_few_members_have_the_rate_by_age_of_the_days_ahead() -> None:
    many, none = (
        expected(datetime(2023, 1, day, tzinfo=UTC), 30, 4, members=110).mean() for day in (1, 2)
    )
    assert many == pytest.approx(LEAVES, rel=0.5)
    assert none < 0.1 * many


def test_beyond_a_horizon_without_the_day_members_leave_as_usual() -> None:
    with_day, without = (
        club(datetime(2023, 1, day, tzinfo=UTC), 5, members=1_500) for day in (1, 2)
    )
    years = []
    for of in (with_day, without):
        model = fit_cancellation(of, 30, past(of, 30), {}, seed=1, by_end_day=True)
        years.append(float(model.survival(current(of), 365.0, {}).mean()))
        assert 400 < np.nanmedian(model.median_days(current(of), {})) < 1_100
    assert years[0] == pytest.approx((1.0 - LEAVES) ** 12, abs=0.06)
    assert years[1] == pytest.approx((1.0 - LEAVES) ** 11, abs=0.06)


def test_the_day_is_stored_and_read() -> None:
    of = club(datetime(2023, 1, 16, tzinfo=UTC), 6, members=400)
    model = fit_cancellation(of, 30, past(of, 30), {}, seed=1, by_end_day=True)
    again = CancellationModel.from_json(model.to_json())
    assert again.end_day == model.end_day
    assert again.end_day is not None
    now = current(of)
    np.testing.assert_array_equal(again.probability(now, {}), model.probability(now, {}))
    usual = fit_cancellation(of, 30, past(of, 30), {}, seed=1)
    assert usual.end_day is None
    assert "end_day" not in usual.to_json()
    for wrong in ({"day": 30}, {"elsewhere": 1.0}, {"instant": 10**12}):
        stored = model.to_json()
        with pytest.raises(DataRefusedError):
            CancellationModel.from_json({**stored, "end_day": {**stored["end_day"], **wrong}})


def test_a_month_has_one_such_day() -> None:
    assert share_of_month(365.25 / 24) == pytest.approx(0.5, rel=1e-3)
    assert share_of_month(90.0) == 1.0

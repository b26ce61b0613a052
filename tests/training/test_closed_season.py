"""A shop that is closed for half of each year: the silence before its season is no missing data."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.serving.python.lifecycle.logs import covered_as_of
from stagecast.training.checks import check_dates
from stagecast.training.config import TrainConfig
from stagecast.training.judging.readiness.counting import known_at
from stagecast.training.learners.leaving import Leaving
from tests.training.made import START, Row, day, log_of, trained

PRICE, HORIZON = 40.0, 90
OPENS = (11, 12, 1, 2, 3, 4)


def is_open(at: datetime) -> bool:
    return at.month in OPENS


def skis(customers: int, days: int, seed: int) -> list[tuple[Row, float]]:
    """Return purchases of customers who buy from November to April only, each with the life left.

    They buy at rates of their own while the shop is open, and leave at any time.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[Row, float]] = []
    for k in range(customers):
        at = float(random.uniform(0, days - 200))
        if not is_open(day(at)):
            continue
        rate = random.gamma(1.5, 1 / 45.0)
        leaves = at + float(random.exponential(900.0))
        while at < min(leaves, days + 365):
            if is_open(day(at)):
                rows.append(((f"s{k:04d}", day(at), "purchase", PRICE), leaves))
            at += float(random.exponential(1 / rate))
    return sorted(rows, key=lambda row: row[0][1])


def first_of_october(year: int) -> float:
    return (datetime(year, 10, 1, tzinfo=START.tzinfo) - START) / timedelta(days=1)


def test_a_silence_that_comes_every_year_is_allowed_and_another_is_refused() -> None:
    as_of = first_of_october(2022)
    past = [row for row, _ in skis(300, round(as_of), 1) if row[1] < day(as_of)]
    with log_of(past) as log:
        check_dates(DailyTable(log.con, day(as_of)), HORIZON)
        # by New Year the shop had always been open
        with pytest.raises(UsageError, match="days after the last event"):
            check_dates(DailyTable(log.con, day(first_of_october(2022) + 92)), HORIZON)
    last_summer = [row for row in past if row[1] > day(first_of_october(2021) - 20)]
    with log_of(last_summer) as log, pytest.raises(UsageError, match="or the shop was closed"):
        check_dates(DailyTable(log.con, day(as_of)), HORIZON)
    # who always sold in summer has lost the events of this one
    all_year: list[Row] = [
        (f"c{k}", day(40.0 * n + k), "purchase", PRICE) for n in range(21) for k in range(40)
    ]
    with log_of(all_year) as log, pytest.raises(UsageError, match="days after the last event"):
        check_dates(DailyTable(log.con, day(as_of)), HORIZON)


def test_check_and_scores_allow_what_a_training_does() -> None:
    as_of = first_of_october(2022)
    past = [row for row, _ in skis(300, round(as_of), 1) if row[1] < day(as_of)]
    with log_of(past) as log:
        before, in_winter = (known_at(log.con, day(as_of + days)) for days in (0.0, 92.0))
        assert before.silent_days > HORIZON
        assert before.refused_dates(HORIZON, 100) == []
        assert len(in_winter.refused_dates(HORIZON, 100)) == 1
        assert covered_as_of(log, day(as_of), HORIZON) == day(as_of)
        with pytest.raises(UsageError, match="days after the last event"):
            covered_as_of(log, day(as_of + 92.0), HORIZON)


@pytest.mark.slow
def test_the_value_of_the_year_is_that_of_a_season_to_come(tmp_path: Path) -> None:
    as_of = first_of_october(2023)
    rows = skis(900, round(as_of), 2)
    past = [row for row, _ in rows if row[1] < day(as_of)]
    known = {row[0] for row in past}
    later = [row for row, _ in rows if row[0] in known and day(as_of) <= row[1] < day(as_of + 365)]
    config = TrainConfig(horizon_days=HORIZON, max_dates=4)
    done = trained(past, tmp_path / "model", day(as_of), config, evaluated=False)
    scores = done.scores().to_pandas()
    came = {(row[0], row[1].date()) for row in later}
    assert len(came) > 400
    discount = 1.1**-0.4  # most is bought in the first half of the year
    assert scores["clv"].sum() == pytest.approx(PRICE * len(came) * discount, rel=0.12)
    # past years knew less of closed summers: by their level a fifth too many were expected
    buyers = {row[0] for row in later if row[1] < day(as_of + HORIZON)}
    assert (1.0 - scores["p_inactive"]).sum() == pytest.approx(len(buyers), rel=0.16)
    assert done.training.models.churn.by_season > 0.75
    leaving = done.training.models.value.leaving
    assert leaving is not None
    assert Leaving.from_json(leaving.to_json()) == leaving

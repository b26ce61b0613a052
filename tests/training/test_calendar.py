"""Known occasions: how they are written, what is learned of them, and that no other future is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.training.calendar import Calendar, Occasion, calendar_from_toml
from stagecast.training.config import TrainConfig
from stagecast.training.learners.calendar_effects import fit_calendar_effects
from tests.training.made import START, Row, day, trained


def test_a_calendar_is_read_stored_and_counted() -> None:
    calendar = calendar_from_toml(
        [
            {"kind": "sale", "from": date(2024, 1, 30), "to": "2024-02-02", "name": "winter"},
            {"kind": "holiday", "from": "2024-02-01"},
        ],
        "stagecast.toml",
    )
    assert calendar.kinds == ("holiday", "sale")
    as_of = datetime(2024, 2, 1, tzinfo=UTC)
    assert calendar.days(as_of, 30).tolist() == [1.0, 2.0]
    assert calendar.days(as_of - timedelta(days=30), 30).tolist() == [0.0, 2.0]
    assert calendar.days(as_of - timedelta(days=30), 29).tolist() == [0.0, 1.0]
    assert calendar.days(as_of + timedelta(days=2), 30).tolist() == [0.0, 0.0]
    config = TrainConfig(calendar=calendar)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"kind": "sale"}, "must be a list of tables"),
        (["sale"], r"\[\[calendar\]\] 1 must be a table"),
        ([{"kind": "sale", "from": "2024-02-01", "till": "2024-02-03"}], "unknown key 'till'"),
        ([{"kind": " ", "from": "2024-02-01"}], "kind is ' '"),
        ([{"kind": "sale"}], "'from' is missing"),
        ([{"kind": "sale", "from": "1 March"}], "from is '1 March'; write a day"),
        ([{"kind": "sale", "from": 3}], "from is 3"),
        ([{"kind": "sale", "from": "2024-02-02", "to": "2024-02-01"}], "lies before"),
    ],
)
def test_what_is_not_written_so_is_refused_with_its_place(entries: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        calendar_from_toml(entries, "shop.toml")
    assert str(refused.value).startswith("shop.toml: ")


def test_effects_are_those_of_each_kind_and_none_without_a_difference() -> None:
    random = np.random.default_rng(2)
    shares = np.column_stack([random.uniform(0, 0.5, 40), random.uniform(0, 0.5, 40), np.ones(40)])
    shifts = 0.3 - 2.0 * shares[:, 0] + 1.0 * shares[:, 1] + random.normal(0, 0.03, 40)
    fitted = fit_calendar_effects(shifts, shares)
    np.testing.assert_allclose(fitted.effects, [-2.0, 1.0, 0.0], atol=0.15)
    assert fitted.of(shares.mean(axis=0)) == pytest.approx(0.0, abs=1e-12)
    assert fit_calendar_effects(shifts[:1], shares[:1]).of(shares[0]) == 0.0


def campaigns(customers: int, days: int, seed: int, occasions: list[tuple[int, int]]) -> list[Row]:
    """Return purchases at own rates, four times as many on the days of campaigns."""
    random = np.random.default_rng(seed)
    busy = np.zeros(days, dtype=np.bool_)
    for first, last in occasions:
        busy[first : last + 1] = True
    rows: list[Row] = []
    for k in range(customers):
        at, rate = random.uniform(0, 250), random.gamma(2.0, 1 / 120)
        first = at
        while at < days:
            if at == first or busy[int(at)] or random.uniform() < 0.25:
                rows.append((f"c{k:04d}", day(at), "purchase", 20.0))
            at += random.exponential(1 / (4 * rate))
    return rows


@pytest.mark.slow
def test_a_campaign_that_is_known_raises_what_is_expected(tmp_path: Path) -> None:
    # campaigns of twelve days at no season; the last one lies ahead
    occasions = [(200, 211), (290, 301), (330, 341), (400, 411), (455, 466), (505, 516)]
    rows = campaigns(700, 540, 5, occasions)
    as_of = day(500)
    past = [row for row in rows if row[1] < as_of]
    start = START.date()
    calendar = Calendar(
        tuple(
            Occasion("campaign", start + timedelta(days=a), start + timedelta(days=b))
            for a, b in occasions
        )
    )
    known = {row[0] for row in past}
    came = sum(row[1] >= as_of and row[1] < day(530) and row[0] in known for row in rows)
    runs = {
        name: trained(
            past,
            tmp_path / name,
            as_of,
            TrainConfig(horizon_days=30, max_dates=12, calendar=arguments),
            evaluated=False,
        )
        for name, arguments in (("with", calendar), ("without", Calendar()))
    }
    orders = {
        name: float(run.scores().to_pandas()["expected_orders"].sum()) for name, run in runs.items()
    }
    assert orders["without"] < orders["with"]
    assert abs(orders["with"] - came) < 0.5 * abs(orders["without"] - came)
    assert orders["with"] == pytest.approx(came, rel=0.15)
    notes = " ".join(runs["with"].training.notes)
    assert "'campaign' holds on 12 of the next 30 days" in notes
    assert runs["with"].reloaded().models.churn.by_calendar < 0
    assert not any("calendar" in note for note in runs["without"].training.notes)

"""Past dates: where they stand, what the models see of them, and that nothing later enters."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagecast.features.clock import day_number
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.requests import Event
from stagecast.features.snapshots import take_snapshots
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.columns import buyer_columns
from stagecast.training.config import TrainConfig
from stagecast.training.fit_bases import gaps_of, known_days
from stagecast.training.panel import (
    Panel,
    build,
    plan_dates,
    sampling_step,
    seasons_of,
    stack,
    thinned,
    training_catalog,
    varying,
)
from tests.parity import oracle
from tests.training.made import a_frame, day, frame_of, log_of, simulated_rows

ROWS = simulated_rows(150, 420, seed=3)
CONFIG = TrainConfig(horizon_days=45, max_dates=3)


def built(rows: list[tuple[str, object, str, float | None]], as_of_day: float) -> Panel:
    with log_of(frame_of(rows)) as log:  # type: ignore[arg-type]
        return build(DailyTable(log.con, day(as_of_day)), CONFIG)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return built(ROWS, 360)  # type: ignore[arg-type]


@given(history=st.floats(0, 5_000), horizon=st.integers(1, 3650), most=st.integers(1, 52))
@example(history=120.0, horizon=90, most=8)
@example(history=545.0, horizon=90, most=8)
@example(history=925.0, horizon=720, most=8)
def test_dates_have_their_horizon_behind_them_and_history_before_them(
    history: float, horizon: int, most: int
) -> None:
    backs = plan_dates(history, horizon, most)
    before = min(horizon, history / 4)
    assert backs == sorted(set(backs))
    assert all(horizon <= back < history for back in backs)
    assert all(history - back >= min(before, 180) for back in backs)
    assert (horizon in backs) == (horizon <= int(history - before))
    years = {365, 730, 1095}
    assert len(set(backs) - years) <= most
    assert {y for y in years if horizon <= y <= history - 180} <= set(backs)


def test_dates_by_hand() -> None:
    assert plan_dates(120, 90, 8) == [90]
    assert plan_dates(119, 90, 8) == []
    assert plan_dates(1_000, 90, 3) == [90, 120, 150, 365, 730]
    assert plan_dates(100, 1, 4) == [1, 2, 3, 4]


def test_every_outcome_window_is_over_at_the_as_of(panel: Panel) -> None:
    assert [frame.back for frame in panel.dates] == [45, 60, 75]
    for frame in (*panel.dates, *panel.prospects):
        assert frame.as_of + timedelta(days=45) <= panel.as_of
        assert (panel.as_of - frame.as_of).days == frame.back


def test_outcomes_are_what_the_rows_say(panel: Panel) -> None:
    lives: dict[str, list[Event]] = {}
    for name, at, kind, amount in ROWS:
        lives.setdefault(name, []).append(Event(at, kind, amount))
    given_back = 0
    for frame in (*panel.dates, *panel.prospects):
        end = frame.as_of + timedelta(days=45)
        who = [lives[panel.now.ids[c]] for c in frame.customer]
        actual = [oracle.outcome(life, frame.as_of, end, panel.as_of) for life in who]
        assert frame.orders.tolist() == [orders for orders, _ in actual]
        assert frame.inactive.tolist() == [orders == 0 for orders, _ in actual]
        assert frame.spend.tolist() == pytest.approx([float(spend) for _, spend in actual])
        given_back += sum(
            e.event == "refund" and frame.as_of <= e.timestamp < end for life in who for e in life
        )
    assert given_back > 10


@pytest.mark.slow
def test_buyers_and_prospects_are_apart(panel: Panel) -> None:
    for frame in panel.dates:
        assert (frame.columns["orders"] > 0).all()
        assert "btyd_none" in frame.columns
    for frame in panel.prospects:
        assert (frame.columns["orders"] == 0).all()
        assert "btyd_none" not in frame.columns


def test_what_comes_later_changes_no_date(panel: Panel) -> None:
    known = built([row for row in ROWS if row[1] < day(360)], 360)  # type: ignore[arg-type,misc]
    assert len(known.now) == len(panel.now)
    for a, b in zip(
        (*panel.dates, *panel.prospects), (*known.dates, *known.prospects), strict=True
    ):
        assert (a.orders.tobytes(), a.spend.tobytes()) == (b.orders.tobytes(), b.spend.tobytes())
        assert a.stage_after.tobytes() == b.stage_after.tobytes()
        assert all(a.columns[name].tobytes() == b.columns[name].tobytes() for name in a.columns)


def test_the_customer_base_of_a_date_knows_nothing_later(panel: Panel) -> None:
    back = 75
    then = built([row for row in ROWS if row[1] < day(360 - back)], 360 - back)  # type: ignore[arg-type,misc]
    assert then.base is not None
    for later, earlier in zip(panel.bases[back].models, then.base.models, strict=True):
        assert later.customers == earlier.customers
        # started from another fit, so alike to what the optimiser leaves open
        assert later.log_likelihood == pytest.approx(earlier.log_likelihood, abs=1e-2)
    x = {
        name: np.array([v])
        for name, v in (("frequency", 2.0), ("t_x_days", 80.0), ("T_days", 120.0))
    }
    a, b = panel.bases[back].columns(x, 45), then.base.columns(x, 45)
    assert a["btyd_none"] == pytest.approx(b["btyd_none"], abs=0.02)


def test_gaps_of_a_date_are_those_known_then() -> None:
    buyer, bought = ROWS[0][0], ROWS[0][1]
    # what was refunded since was a purchase day then
    rows = [*ROWS, (buyer, day(359), "refund", ROWS[0][3])]
    back, config = 75, CONFIG
    sums = []
    for log_rows, as_of, before in (
        (rows, 360, back),
        ([row for row in rows if row[1] < day(360 - back)], 360 - back, 0),  # type: ignore[operator]
    ):
        with log_of(frame_of(log_rows)) as log:  # type: ignore[arg-type]
            table = DailyTable(log.con, day(as_of))
            scheme = load_scheme(config.scheme)
            life = fit_lifecycle(table, scheme, 45, catalog=training_catalog(config, scheme))
            (snapshot,) = take_snapshots(table, life, [before])
            days = known_days(table, life, snapshot, before)
            assert days is not None
            gaps = gaps_of(days, snapshot.customer[snapshot.buyers])
            sums.append((gaps.log, gaps.digamma, snapshot.features["frequency"][snapshot.buyers]))
    assert bought < day(360 - back)  # type: ignore[operator]
    for later, earlier in zip(*sums, strict=True):
        np.testing.assert_allclose(later, earlier, rtol=1e-12)
    assert (sums[0][0][sums[0][2] == 0] == 0).all()


@pytest.mark.slow
def test_a_fit_that_is_known_is_not_made_again() -> None:
    with log_of(ROWS) as log:
        fitted = dict(build(DailyTable(log.con, day(300)), CONFIG).bases)
        known = {day(300 - back): base for back, base in fitted.items()}
        again = build(DailyTable(log.con, day(300)), CONFIG, fitted=known)
    assert all(again.bases[back] is base for back, base in fitted.items())


def test_history_begins_at_the_first_event(panel: Panel) -> None:
    assert panel.history_days == day_number(panel.as_of) - day_number(min(row[1] for row in ROWS))


def test_columns_that_vary_on_more_than_half_of_the_dates_are_kept() -> None:
    still = {"often": [1.0, 2.0], "once": [3.0, 3.0], "null": [np.nan, np.nan], "half": [1.0, 1.0]}
    moving = {**still, "once": [3.0, 4.0], "half": [1.0, 2.0]}
    frames = [
        a_frame(c, orders=[0, 1]) for c in (still, moving, {**still, "half": [0.0, 7.0]}, still)
    ]
    assert varying(frames, list(still)) == ["often"]
    assert varying(frames[:3], list(still)) == ["often", "half"]


def test_a_null_does_not_make_a_column_vary() -> None:
    assert varying([a_frame({"x": [np.nan, 5.0]}, orders=[0, 1])], ["x"]) == []


def test_frames_are_stacked_on_the_columns_that_all_have() -> None:
    a, b = a_frame({"x": [1.0], "y": [2.0]}, orders=[0]), a_frame({"x": [3.0, 4.0]}, orders=[0, 0])
    stacked = stack([a, b])
    assert list(stacked) == ["x"]
    assert stacked["x"].tolist() == [1.0, 3.0, 4.0]
    assert list(stack([b, a])) == ["x"]


def test_the_same_season_a_year_ago_needs_history_before_it() -> None:
    frames = [a_frame({}, orders=[0], back=back) for back in (90, 365, 730)]
    assert seasons_of(frames, 365 + 180) == [frames[1]]
    assert seasons_of(frames, 365 + 179) == []
    assert seasons_of(frames[:1], 1_000) == []


def test_without_a_customer_base_the_columns_are_the_features(panel: Panel) -> None:
    rows = np.array([2, 0])
    columns = buyer_columns(panel.now.features, rows, None, 45)
    assert list(columns) == list(panel.now.features)
    assert columns["orders"].tolist() == panel.now.features["orders"][rows].tolist()


def test_a_large_panel_is_thinned_to_the_same_customers_at_all_dates(panel: Panel) -> None:
    rows = sum(len(frame) for frame in panel.dates)
    assert sampling_step(panel.dates, rows) == 1
    assert [id(frame) for frame in thinned(panel.dates, rows)] == [
        id(frame) for frame in panel.dates
    ]
    few = thinned(panel.dates, rows // 3)
    assert sampling_step(panel.dates, rows // 3) == 3
    assert 0.25 * rows < sum(len(frame) for frame in few) < 0.42 * rows
    chosen = np.unique(np.concatenate([frame.customer for frame in panel.dates]))[::3]
    for frame, whole in zip(few, panel.dates, strict=True):
        remaining = np.flatnonzero(np.isin(whole.customer, chosen))
        np.testing.assert_array_equal(frame.customer, whole.customer[remaining])
        np.testing.assert_array_equal(frame.spend, whole.spend[remaining])
        np.testing.assert_array_equal(
            frame.columns["recency_days"], whole.columns["recency_days"][remaining]
        )
        assert (frame.as_of, frame.back, frame.not_for_trees) == (
            whole.as_of,
            whole.back,
            whole.not_for_trees,
        )


def test_what_was_thinned_before_is_thinned_as_far_again(panel: Panel) -> None:
    once = thinned(panel.dates, sum(len(frame) for frame in panel.dates) // 2)
    twice = thinned(once, sum(len(frame) for frame in once) // 4)
    assert sum(len(frame) for frame in twice) < 0.3 * sum(len(frame) for frame in once)

"""A whole training: the same from the same past, a rung for every log, scores that keep the
contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import from_frame
from stagecast.training.config import TrainConfig
from stagecast.training.models import predict
from stagecast.training.train import train
from tests.training.made import (
    Row,
    Trained,
    check_contract,
    day,
    frame_of,
    log_of,
    simulated_rows,
    trained,
)

pytestmark = pytest.mark.slow
FEW = TrainConfig(max_dates=1)


def bought(name: str, number: float, amount: float = 10.0) -> Row:
    return name, day(number), "purchase", amount


def seen(number: float) -> Row:
    return "visitor", day(number), "visit", None


@pytest.fixture(scope="module")
def past() -> pd.DataFrame:
    return frame_of(simulated_rows(250, 500, seed=7))


@pytest.fixture(scope="module")
def known(past: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on what was known on day 400, and nothing else."""
    rows = past[past["timestamp"] < pd.Timestamp(day(400)).tz_localize(None)]
    return trained(rows, tmp_path_factory.mktemp("known") / "m", day(400), TrainConfig(max_dates=2))


def assert_same(a: Trained, b: Trained) -> None:
    assert a.training.models.churn.method == "blend"
    assert a.bundle.model_version == b.bundle.model_version
    assert a.scores().equals(b.scores())
    assert a.training.evaluation == b.training.evaluation
    assert (a.training.data_cutoff, a.training.notes) == (b.training.data_cutoff, b.training.notes)


def test_events_from_the_as_of_on_change_nothing(
    past: pd.DataFrame, known: Trained, tmp_path: Path
) -> None:
    config = known.training.models.config
    with_future = trained(past, tmp_path / "m", day(400), config)
    assert len(past) > 1.1 * known.training.panel.now.features["purchase_events"].sum()
    assert_same(known, with_future)


def test_order_of_rows_and_number_of_threads_change_nothing(
    past: pd.DataFrame, known: Trained, tmp_path: Path
) -> None:
    rows = past[past["timestamp"] < pd.Timestamp(day(400)).tz_localize(None)].sample(
        frac=1, random_state=1
    )
    assert_same(
        known, trained(rows, tmp_path / "m", day(400), known.training.models.config, threads=1)
    )


def test_the_whole_ladder_stands_on_a_shop_of_some_size(shop: Trained) -> None:
    training = shop.training
    assert training.models.churn.method == "blend"
    assert training.evaluation is not None
    losses = {model.name: model.log_loss for model in training.evaluation.models}
    assert losses["stagecast"] < min(losses["recency"], losses["rfm_logistic"], losses["bg_nbd"])
    assert training.evaluation.models[0].calibration_error < 0.04
    assert training.evaluation.coverage.expected_spend == pytest.approx(0.90, abs=0.04)
    assert training.evaluation.as_of == "2021-10-02"
    assert training.data_cutoff < shop.as_of
    check_contract(shop.scores())


def test_predictions_hang_together(shop: Trained) -> None:
    models, now = shop.training.models, shop.training.panel.now
    p = predict(models, now)
    p_purchase = np.where(np.isnan(p.p_inactive), p.p_convert, 1 - p.p_inactive)
    assert (p.expected_orders >= p_purchase).all()
    # the parts of the value: nothing is negative, and prospects have nothing to lose
    buyer = now.buyers
    for part in (p.clv, p.value_at_risk, p.value_gone):
        assert (part[buyer] >= 0).all()
    np.testing.assert_allclose(p.value_if_kept, p.clv + p.value_at_risk + p.value_gone)
    assert np.isnan(p.value_if_kept[~buyer]).all()
    # sum of parts: orders times spend per order, within the horizon
    np.testing.assert_allclose(p.expected_orders, p_purchase * p.orders_if_any)
    # a year holds the horizon, discounted
    assert (p.clv >= p.expected_spend * 1.1 ** (-90 / 365) - 1e-9).all()
    assert p.clv_by_year[buyer, 0] == pytest.approx(p.clv[buyer])
    np.testing.assert_allclose(
        p.clv_by_year[buyer].sum(axis=1), p.clv[buyer] + p.clv_residual[buyer], rtol=1e-9
    )
    certain = p.days_to_order <= 90
    buyers = np.isfinite(p.p_inactive)
    # the median lies within the horizon where an order there is likelier than not, and nowhere else
    np.testing.assert_array_equal(certain[buyers], (p.p_inactive < 0.5)[buyers])
    margin = replace(models, config=replace(models.config, margin=0.25))
    np.testing.assert_allclose(predict(margin, now).clv, 0.25 * p.clv)
    later = replace(models, config=replace(models.config, annual_discount=0.5))
    assert (predict(later, now).clv < p.clv).all()


def test_prospects_stand_between_never_and_always(shop: Trained) -> None:
    scores = shop.scores().to_pandas()
    prospects = scores[scores["state"] == "prospect"]
    assert len(prospects) > 50
    assert prospects["p_convert"].between(1e-4, 0.99).all()
    assert (prospects["expected_spend"] > 0).all()
    assert prospects["p_alive"].isna().all()


LOGS: dict[str, tuple[list[Row], float, str]] = {
    "forty customers": (simulated_rows(40, 500, seed=1), 500, "btyd"),
    "fifteen customers": (simulated_rows(15, 500, seed=1), 500, "rule"),
    "three customers": (
        [bought("a", 0), bought("a", 50), bought("b", 100), bought("b", 130), bought("c", 290)],
        291,
        "rule",
    ),
    "one customer with one order": ([bought("a", 0)], 90, "rule"),
    "no repeat buyer": ([bought(f"c{i}", i) for i in range(300)], 300, "rule"),
    "all customers identical": (
        [bought(f"c{i}", d) for i in range(40) for d in (0, 60, 300)],
        301,
        "btyd",
    ),
    "customers alike until they part": (
        [bought(f"c{i}", d) for i in range(240) for d in (0, 30, 60, 90)]
        + [bought(f"c{i}", 220) for i in range(120)]
        + [seen(275)],
        276,
        "btyd",
    ),
    "one customer with 5,000 orders": (
        [bought("big", i / 7.1) for i in range(5_000)] + [bought(f"c{i}", i) for i in range(50)],
        705,
        "rule",
    ),
    "two customers on the same instant": ([bought("a", 5), bought("b", 5), seen(120)], 121, "rule"),
    "all on one day": ([bought(f"c{i}", i / 300) for i in range(200)] + [seen(95)], 96, "rule"),
    "refunds beyond the purchases": (
        [
            row
            for k, (name, at, kind, amount) in enumerate(simulated_rows(200, 400, seed=3))
            if kind == "purchase"
            for row in ((name, at, kind, amount), (name, at, "refund", 3 * (amount or 0.0)))[
                : 1 + (k % 4 == 0)
            ]
        ],
        400,
        "blend",
    ),
    "amounts of 0 only": (
        [
            (name, at, kind, 0.0 if amount else None)
            for name, at, kind, amount in simulated_rows(120, 400, seed=4)
        ],
        400,
        "blend",
    ),
    "one huge amount": (
        [
            (name, at, kind, 1e11 if k == 50 and amount else amount)
            for k, (name, at, kind, amount) in enumerate(simulated_rows(120, 400, seed=4))
        ],
        400,
        "blend",
    ),
}


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Give the training on a log of :data:`LOGS`, made once."""

    @cache
    def made(name: str) -> Trained:
        rows, as_of, _ = LOGS[name]
        return trained(rows, tmp_path_factory.mktemp("log") / "m", day(as_of), FEW)

    return made


@pytest.mark.parametrize("name", LOGS)
def test_every_log_has_a_rung_and_sound_scores(
    name: str, trained_on: Callable[[str], Trained]
) -> None:
    rows, _, method = LOGS[name]
    made = trained_on(name)
    assert made.training.models.churn.method == method
    scores = made.scores()
    check_contract(scores)
    assert scores.num_rows == len({row[0] for row in rows})
    table = scores.to_pandas()
    buyers = table[table["state"] != "prospect"]
    assert set(buyers["method"]) == {method}
    assert buyers["low_data"].all()
    known = table["expected_spend"]
    assert known.notna().all()
    if "0 only" not in name:
        # a shop that sold something expects something, on every rung
        assert known.sum() > 0.01


def test_a_middling_log_is_blended(known: Trained) -> None:
    assert known.training.models.churn.method == "blend"
    check_contract(known.scores())


def test_nobody_returns_to_a_shop_that_nobody_returned_to(
    trained_on: Callable[[str], Trained],
) -> None:
    scores = trained_on("no repeat buyer").scores().to_pandas()
    assert scores["p_inactive"].min() > 0.98
    assert scores["next_order_date"].isna().all()


def test_who_orders_every_day_is_expected_to(trained_on: Callable[[str], Trained]) -> None:
    made = trained_on("one customer with 5,000 orders")
    scores = made.scores().to_pandas().set_index("customer_id")
    assert scores["p_inactive"]["big"] < 0.1
    assert scores["p_inactive"].drop("big").min() > 0.9


def test_the_rule_is_the_product_limit_estimate_of_the_gaps() -> None:
    rows = [bought("a", 0), bought("a", 10), bought("b", 0), bought("b", 20)]
    with log_of(rows) as log:
        rule = train(log.con, day(40), TrainConfig(horizon_days=20)).models.churn.rule
    # gaps of 10 and 20 days; open ones of 30 and 20, of which the latter may still end as a gap of
    # 20
    assert rule.times == (10.0, 20.0, 30.0)
    assert rule.alive == pytest.approx((3 / 4, 3 / 4 * 1 / 2, 3 / 4 * 1 / 2))
    assert rule.at_risk == (4.0, 3.0, 1.0)


def test_a_single_customer_gets_a_probability_and_no_date(
    trained_on: Callable[[str], Trained],
) -> None:
    made = trained_on("one customer with one order")
    (row,) = made.scores().to_pylist()
    assert 0.3 < row["p_inactive"] < 0.9
    assert row["next_order_date"] is None
    assert row["expected_spend"] == pytest.approx((1 - row["p_inactive"]) * 10.0)
    assert row["expected_spend_low"] is None  # no later period has taught an interval
    assert made.training.evaluation is None


@pytest.mark.parametrize("customers", [3, 60])
def test_a_log_without_amounts_has_no_money(customers: int, tmp_path: Path) -> None:
    made = trained(
        simulated_rows(customers, 300, seed=5), tmp_path / "m", day(300), FEW, amounts=False
    )
    scores = made.scores()
    check_contract(scores)
    for name in (
        "expected_spend",
        "expected_spend_low",
        "clv",
        "clv_high",
        "value_at_risk",
        "monetary",
        "spend",
    ):
        assert scores[name].null_count == customers
    assert "The log has no amounts: money is left out." in made.training.notes


def test_a_young_log_is_scored_but_not_tested(tmp_path: Path) -> None:
    made = trained(simulated_rows(200, 150, seed=5), tmp_path / "m", day(150), FEW)
    assert made.training.evaluation is None
    assert any("too young to be tested" in note for note in made.training.notes)
    scores = made.scores()
    check_contract(scores)
    assert scores["expected_spend_low"].null_count == scores.num_rows


def test_prospects_alone_are_not_enough() -> None:
    rows: list[Row] = [(f"c{i}", day(i), "visit", None) for i in range(120)]
    with (
        log_of(rows) as log,
        pytest.raises(NotEnoughDataError, match="nobody of the 120 customers had bought before"),
    ):
        train(log.con, day(120), FEW)


def test_a_shop_that_was_given_everything_back_is_told_so() -> None:
    rows = [
        row
        for k in range(40)
        for row in (
            bought(f"c{k}", 2.0 * k),
            (f"c{k}", day(2 * k + 1), "refund", 10.0),
            bought(f"c{k}", 130.0),
        )
    ]
    with (
        log_of(rows) as log,
        pytest.raises(NotEnoughDataError, match="what was not given back: there is no purchase"),
    ):
        train(log.con, day(100), TrainConfig(horizon_days=30))


def test_an_as_of_in_a_gap_of_the_log_names_the_days_that_have_events() -> None:
    rows = [(f"c{k}", day(k + s), "purchase", 9.0) for k in range(40) for s in (0, 40, 300)]
    with log_of(rows) as log, pytest.raises(UsageError) as refused:
        train(log.con, day(200), TrainConfig(horizon_days=60))
    assert (
        "stands 121 days after the last event before it (2020-03-20), longer than the horizon of "
        "60 days; the next event is on 2020-10-27: give an --as-of up to 2020-05-19 or after "
        "2020-10-27, or a --horizon of 121d or more"
    ) in str(refused.value)
    with log_of(rows) as log, pytest.raises(UsageError, match=r"last event \(2020-12-05\), longer"):
        train(log.con, day(500), TrainConfig(horizon_days=60))


@pytest.mark.parametrize(
    ("as_of", "horizon", "words"),
    [
        (
            day(201),
            90,
            r"stands 101 days after the last event \(2020-04-10\), "
            "longer than the horizon of 90 days",
        ),
        (
            day(101),
            102,
            r"--horizon 102d is longer than the history: 101.0 days from the first event",
        ),
        (day(89.75), 90, r"--horizon 90d is longer than the history: 89.8 days"),
    ],
)
def test_dates_that_the_log_cannot_answer_for_are_refused(
    as_of: datetime, horizon: int, words: str
) -> None:
    rows = [bought("a", 0), bought("b", 50), bought("a", 100)]
    with log_of(rows) as log, pytest.raises(UsageError, match=words):
        train(log.con, as_of, TrainConfig(horizon_days=horizon))


def test_an_as_of_before_the_log_is_refused() -> None:
    with (
        log_of([bought("a", 5)]) as log,
        pytest.raises(NotEnoughDataError, match="no event stands before the as_of"),
    ):
        train(log.con, day(5), FEW)


def test_the_default_as_of_is_the_midnight_after_the_last_event() -> None:
    with log_of([bought("a", 5), bought("a", 7.9)]) as log:
        assert log.choose_as_of() == day(8)


def test_each_step_is_told_as_it_begins() -> None:
    steps: list[str] = []
    with log_of(LOGS["three customers"][0]) as log:
        train(log.con, day(291), FEW, steps.append)
    assert steps[0] == "features of the past dates"
    assert steps[-2:] == ["models", "evaluation on the period since"]


def test_a_log_that_was_recorded_all_at_once_has_no_earlier_date_to_be_judged_at() -> None:
    rows = [
        (f"c{i}", f"2024-0{1 + (i + k) % 6}-1{i % 10}", 10.0 + i)
        for i in range(60)
        for k in range(3)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])
    frame["recorded_at"] = "2024-06-25"
    with from_frame(frame) as log:
        done = train(log.con, datetime(2024, 7, 1, tzinfo=UTC), TrainConfig(horizon_days=30))
    assert done.evaluation is None

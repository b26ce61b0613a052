"""Churn by cancellation where nobody pays: starts and ends are enough, and known ends certain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from stagecast.features.errors import NotEnoughDataError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.config import TrainConfig
from stagecast.training.judging.readiness import readiness
from stagecast.training.train import train
from tests.training.made import Trained, day, log_of, trained
from tests.training.made_members import DAYS, members

pytestmark = pytest.mark.slow
HORIZON = 60
AS_OF = day(DAYS)
CONFIG = TrainConfig(horizon_days=HORIZON, churn="cancellation", max_dates=3)
MONEY = ("expected_spend", "clv", "clv_residual", "value_at_risk", "monetary", "spend")
OF_PURCHASES = ("p_return", "p_convert", "p_alive", "expected_orders", "next_order_date", "rfm")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(members(), tmp_path_factory.mktemp("members") / "model", AS_OF, CONFIG)


@pytest.fixture(scope="module")
def scores(done: Trained) -> pa.Table:
    return done.scores()


def column(table: pa.Table, name: str) -> NDArray[np.object_]:
    return np.array(table[name].to_pylist(), dtype=object)


def test_starts_and_ends_are_enough_for_the_probability_of_a_cancellation(
    done: Trained, scores: pa.Table
) -> None:
    active = column(scores, "state") == "active"
    assert 50 < active.sum() < len(active)
    p = column(scores, "churn_probability")[active].astype(np.float64)
    assert ((p >= 0) & (p <= 1)).all()
    # of those not announced 60 % have 60 and the others 10 days at a hazard of 1 in 250 to 750
    assert 0.03 < p[(p > 0) & (p < 1)].mean() < 0.12
    evaluation = done.training.evaluation
    assert evaluation is not None
    assert evaluation.conversion is None
    assert {"kaplan_meier", "base_rate"} <= {row.name for row in evaluation.models}


def test_what_is_said_of_purchases_is_null(done: Trained, scores: pa.Table) -> None:
    for name in (*MONEY, *OF_PURCHASES):
        assert scores[name].null_count == len(scores), name
    assert set(scores["orders"].to_pylist()) == {0}
    sentences = [r["sentence"] for row in scores["reasons"].to_pylist() for r in row]
    assert sentences
    assert not any("order" in sentence or "gap" in sentence for sentence in sentences)
    assert any("Nobody has bought" in note for note in done.training.notes)


def test_stages_are_those_of_members(done: Trained, scores: pa.Table) -> None:
    assert done.training.panel.scheme.id == "membership"
    stage, state = column(scores, "stage"), column(scores, "state")
    assert set(stage[state == "active"]) == {"member", "returned"}
    assert set(stage[state == "lapsed"]) == {"former"}
    active = state == "active"
    np.testing.assert_allclose(
        column(scores, "p_stage_former")[active].astype(np.float64),
        column(scores, "churn_probability")[active].astype(np.float64),
    )


def test_a_known_end_is_certain_within_the_horizon_and_not_learned_from(
    done: Trained, scores: pa.Table
) -> None:
    contracts = done.training.panel.now.contracts
    assert contracts is not None
    announced = np.flatnonzero(contracts.announced)
    assert len(announced) >= 3
    table = scores.take(pa.array(announced))
    assert set(table["churn_probability"].to_pylist()) == {1.0}
    assert set(table["state"].to_pylist()) == {"active"}
    for (reason,), days_left in zip(
        table["reasons"].to_pylist(), contracts.days_left[announced], strict=True
    ):
        date = day(DAYS + days_left).date().isoformat()
        assert reason["sentence"] == f"cancelled already; ends on {date}"
        assert (reason["value"], reason["usual"]) == (days_left, None)
    panel = done.training.panel.contracts
    assert panel is not None
    rows = panel.landmarks
    assert (panel.spells.notice[rows.spell] >= rows.at).all()
    assert any("cancelled before the as_of" in note for note in done.training.notes)


def test_a_request_knows_the_end_and_nothing_recorded_later(done: Trained) -> None:
    def asked(end: float | None, recorded: float | None) -> dict[str, object]:
        start = Event(day(DAYS - 100), "signup")
        events = [start]
        if end is not None:
            recorded_at = None if recorded is None else day(DAYS + recorded)
            events.append(Event(day(DAYS + end), "cancel", recorded_at=recorded_at))
        customers = [CustomerEvents("x", tuple(events))]
        (score,) = Scorer(done.reloaded()).score_customers(customers, AS_OF).to_pylist()
        return {name: value for name, value in score.items() if name != "stage_since"}

    open_contract = asked(None, None)
    assert 0 < float(str(open_contract["churn_probability"])) < 1
    assert asked(30, 1) == open_contract
    assert asked(30, None) == open_contract
    assert asked(30, -5)["churn_probability"] == 1.0
    assert asked(HORIZON - 0.5, -5)["churn_probability"] == 1.0
    beyond = asked(HORIZON, -5)
    assert (beyond["churn_probability"], beyond["state"]) == (0.0, "active")
    assert (beyond["p_stage_member"], beyond["p_stage_former"]) == (1.0, 0.0)


def test_check_says_whether_starts_and_ends_suffice(done: Trained) -> None:
    with log_of(members()) as log:
        answer = readiness(log.con, AS_OF, HORIZON, "cancellation")
        # without purchases churn by inactivity cannot be learned
        assert readiness(log.con, AS_OF, HORIZON).method is None
        with pytest.raises(NotEnoughDataError, match="nobody of the"):
            train(log.con, AS_OF, TrainConfig(horizon_days=HORIZON))
    assert answer.method == "blend"
    assert answer["evaluation"].allowed
    counts = answer.contracts
    assert counts is not None
    spells = done.training.panel.contracts
    assert spells is not None
    assert (counts.contracts, counts.cancelled) == (
        len(spells.spells),
        spells.spells.cancellations,
    )
    assert counts.open == counts.contracts - counts.cancelled
    text = "\n".join(answer.lines())
    assert "a training gives method blend" in text
    assert f"{counts.contracts:,} contracts: {counts.cancelled:,} cancelled" in text
    assert "no training is possible" not in text


def test_check_says_what_is_missing_for_cancellations() -> None:
    starts = members().query("event == 'signup'")
    with log_of(starts) as log:
        answer = readiness(log.con, AS_OF, HORIZON, "cancellation")
    assert answer.method is None
    assert "contracts was cancelled (no event cancel" in answer["rule"].missing[0]
    few = members(40)
    with log_of(few) as log:
        rule = readiness(log.con, AS_OF, HORIZON, "cancellation")
    assert rule.method == "rule"
    assert "30 are needed" in rule["blend"].missing[0]

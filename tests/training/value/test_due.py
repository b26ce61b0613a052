"""When the next payment of a payer falls due, and what is at risk and gone until then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagecast.training.billing.calendar import YEAR, DueDate
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.due import own_gaps
from stagecast.training.value.kept import parts_of_buyers, still_until_due
from stagecast.training.value.model import ValueModel
from stagecast.training.value.payments import RegularPayments
from stagecast.training.waiting.price import price_of_waiting
from tests.training.made import Row, day, trained
from tests.training.value.test_payments import base_of, histories

SPREAD = 0.02


def test_a_payment_has_fallen_due_as_often_as_drawn_gaps_are_over() -> None:
    gap, silence = 30.0, [20.0, 29.0, 30.0, 31.0, 40.0]
    gaps = own_gaps(base_of(gap), histories([12.0] * 5, silence, gap), SPREAD)
    assert gaps is not None
    # by drawing: what a customer's own gap is, and the days of the next payment around it
    random = np.random.default_rng(2)
    rate = random.gamma(5_000.0 + 96 * 12, 1.0 / (5_000.0 * gap / 96 + 12 * gap), 200_000)
    drawn = 96 / rate + random.normal(0.0, SPREAD * gap, len(rate))
    over = [(drawn < days).mean() for days in silence]
    np.testing.assert_allclose(gaps.ended, over, atol=0.01)


def test_on_a_date_of_the_year_it_falls_due_on_the_date() -> None:
    base = base_of(YEAR, 384, DueDate(10.0, 60.0, spread=5.0))
    gaps = own_gaps(base, histories([0.0, 3.0, 3.0], [300.0, 365.0, 380.0], YEAR), SPREAD)
    assert gaps is not None
    assert gaps.ended.round(2).tolist() == [0.0, 0.48, 1.0]


def test_without_regular_gaps_or_a_price_nobody_knows_when_customers_decide() -> None:
    columns = histories([12.0], [10.0], 30.0)
    assert own_gaps(base_of(30.0, 8), columns, SPREAD) is None
    assert ValueModel(30.0).ended(base_of(30.0), columns) == 1.0
    payments = RegularPayments(SPREAD, (1.0, 1.0))
    assert ValueModel(30.0, payments=payments).ended(base_of(30.0, 8), columns) == 1.0
    ended = ValueModel(30.0, payments=payments).ended(base_of(30.0), columns)
    assert np.asarray(ended).tolist() == pytest.approx([0.0], abs=1e-6)


def test_what_is_gone_waits_until_the_payment_is_due_and_nothing_is_lost_between() -> None:
    # one payment of 49 a year, and one payer in ten does not go on
    alive, one = np.full(3, 0.9), np.ones(3)
    ended = np.array([0.0, 0.5, 1.0])
    parts = parts_of_buyers(44.1 * one, alive, one, one, one, 49.0 * one, ended)
    assert parts.at_risk.tolist() == pytest.approx([4.9, 2.45, 0.0])
    assert parts.gone.tolist() == pytest.approx([0.0, 2.45, 4.9])
    assert still_until_due(alive, ended).tolist() == pytest.approx([1.0, 0.95, 0.9])


def test_a_week_of_waiting_costs_something_from_when_the_payment_is_due() -> None:
    base = base_of(YEAR)
    columns = histories([3.0, 3.0, 3.0], [100.0, 340.0, 370.0], YEAR)
    model = ValueModel(30.0, payments=RegularPayments(SPREAD, (1.0, 1.0)))

    def cost(base: CustomerBase) -> list[float]:
        waiting = price_of_waiting(
            base.models[0],
            columns,
            np.array([1.0, 0.2, 0.3]),
            np.full(3, 10.0),
            horizon_days=90,
            value_days=365,
            ended=lambda at: model.ended(base, at),
        )
        return waiting.loss_per_week.tolist()

    early, soon, due = cost(base)
    assert early == pytest.approx(0.0, abs=1e-6)
    assert soon < 1.0
    assert due > 1.0


@pytest.mark.slow
def test_the_value_of_yearly_payers_is_that_of_payments_on_their_dates(tmp_path: Path) -> None:
    """Own dates within a day, one payment in thirty a month late, one payer in seven leaves."""
    random, stays, late_share = np.random.default_rng(12), 6.0 / 7.0, 1.0 / 30.0
    rows: list[Row] = []
    dates: dict[str, float] = {}
    as_of, prices = 1_250, {}
    for k in range(420):
        name = f"c{k:03d}"
        dates[name], prices[name] = float(random.integers(0, as_of)), float(random.choice([60, 90]))
        n = 0
        while (at := dates[name] + 365.0 * n) < as_of:
            if n and random.random() > stays:
                break
            late = 30.0 if random.random() < late_share else float(random.integers(-1, 2))
            if at + late * (n > 0) < as_of:
                rows.append((name, day(int(at + late * (n > 0))), "purchase", prices[name]))
            n += 1
    done = trained(rows, tmp_path / "m", day(as_of), TrainConfig(horizon_days=90, max_dates=4))
    base = done.bundle.models.base
    assert base is not None
    assert base.has_dates
    truth, found, near = [], [], []
    for row in done.scores().to_pylist():
        name = row["customer_id"]
        due = (as_of - dates[name]) % 365.0  # days since the newest date
        if row["recency_days"] > due + 2.0:
            continue  # late, or gone
        ahead = 365.0 - due
        kept = prices[name] * 1.1 ** (-ahead / 365.0)
        truth.append((stays * kept, (1.0 - stays) * kept))
        found.append((row["clv"], row["value_at_risk"]))
        near.append(ahead)
        if 5.0 < ahead < 355.0:
            assert row["value_if_kept"] == pytest.approx(kept, rel=0.06)
            assert row["value_gone"] < 0.03 * kept
    clv, at_risk = np.array(found).T
    true_clv, true_at_risk = np.array(truth).T
    assert clv.sum() == pytest.approx(true_clv.sum(), rel=0.06)
    assert at_risk.sum() == pytest.approx(true_at_risk.sum(), rel=0.3)
    assert np.abs(clv - true_clv).sum() < 0.08 * true_clv.sum()
    # of those due within a month, and of those due in eleven, too
    for part in (np.array(near) < 30.0, np.array(near) > 335.0):
        assert clv[part].sum() == pytest.approx(true_clv[part].sum(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "gap", "horizon", "customers", "leaves"),
    [(26, YEAR, 365, 800, 0.2), (13, 30.4, 90, 400, 0.05)],
)
def test_a_payer_who_stays_pays_each_payment_and_no_more(
    tmp_path: Path, seed: int, gap: float, horizon: int, customers: int, leaves: float
) -> None:
    """Payers with dates of their own, each of whom leaves with a chance of their own."""
    random, as_of = np.random.default_rng(seed), 1_168 if gap == YEAR else 900
    rows: list[Row] = []
    truth = {}
    for k in range(customers):
        name, price = f"c{k:03d}", float(random.choice([15, 30, 60]))
        at, chance = float(random.uniform(0, as_of)), random.beta(3.0, 3.0 / leaves - 3.0)
        while at < as_of:
            rows.append((name, day(at), "purchase", price))
            last, at = at, at + gap
            if random.random() < chance:
                break
        due = last + gap * np.arange(1.0, 14.0) - as_of
        if due[0] > 0:  # nobody knows yet who has decided to leave
            due = due[due < 365]
            money = price * 1.1 ** (-due / 365.0)
            stays = (1.0 - chance) ** np.arange(1.0, len(due) + 1.0)
            pays = 1.0 - chance if len(due) and due[0] < horizon else 0.0
            truth[name] = (pays, float(money @ stays), float(money.sum()))
    config = TrainConfig(horizon_days=horizon, max_dates=6)
    scores = trained(rows, tmp_path / "m", day(as_of), config).scores().to_pandas()
    scores = scores.set_index("customer_id").loc[list(truth)]
    pays, clv, kept = (np.array(values) for values in zip(*truth.values(), strict=True))
    assert 1.0 - scores["p_inactive"].mean() == pytest.approx(pays.mean(), rel=0.04)
    assert scores["clv"].sum() == pytest.approx(clv.sum(), rel=0.04)
    assert scores["value_at_risk"].sum() == pytest.approx((kept - clv).sum(), rel=0.15)
    assert scores["value_if_kept"].sum() == pytest.approx(kept.sum(), rel=0.02)
    several = kept > 0
    each = scores["value_if_kept"][several] / kept[several]
    assert (np.abs(each - 1.0) < 0.05).mean() > 0.8
    assert (scores["value_if_kept"] <= 1.01 * scores["clv_high"]).mean() > 0.94

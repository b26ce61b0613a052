"""Yearly members beside monthly ones, from a log to scores: each is worth what it will pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from stagecast.training.config import TrainConfig
from stagecast.training.models import predict
from tests.training.made import Trained, day, trained
from tests.training.made_plans import MONTHLY, YEAR, YEARLY, Member, members, rows_of

pytestmark = pytest.mark.slow
DAYS = 900
CONFIG = TrainConfig(horizon_days=60, churn="cancellation", max_dates=2)


@dataclass(frozen=True)
class Judged:
    """Members with their scores, and what came after the as_of."""

    scores: pd.DataFrame
    made: dict[str, Member]
    done: Trained

    def rows(self, days: float, *, is_open: bool) -> pd.DataFrame:
        """Return the members of a plan with an open contract, or without one."""
        scores = self.scores
        return scores[(scores["days"] == days) & (scores["open"] == is_open)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    made = members((MONTHLY, YEARLY), 700, DAYS, 6)
    folder = tmp_path_factory.mktemp("plans") / "model"
    done: Trained = trained(rows_of(made, DAYS), folder, day(DAYS), CONFIG, evaluated=False)
    scores = done.scores().to_pandas().set_index("customer_id")
    mine = [made[str(name)] for name in scores.index]
    ahead = [[at - DAYS for at in m.paid if at >= DAYS] for m in mine]
    return Judged(
        scores.assign(
            days=[m.plan.days for m in mine],
            price=[m.price for m in mine],
            open=[m.ends >= DAYS for m in mine],
            since=[DAYS - m.before(DAYS)[-1] for m in mine],
            came=[m.price * sum(at < 365 for at in a) for m, a in zip(mine, ahead, strict=True)],
            soon=[sum(at < 60 for at in a) for a in ahead],
            left=[DAYS <= m.ends < DAYS + 60 for m in mine],
        ),
        made,
        done,
    )


def test_a_yearly_member_is_worth_a_payment_and_no_more(judged: Judged) -> None:
    yearly = judged.rows(YEAR, is_open=True)
    assert len(yearly) > 100
    assert (yearly["clv"] <= 1.05 * yearly["price"]).all()
    # seven in ten renew, for a price that is discounted
    due = (YEAR - yearly["since"]) / YEAR
    expected = 0.7 * yearly["price"] * 1.1**-due
    assert yearly["clv"].sum() == pytest.approx(expected.sum(), rel=0.15)
    assert (yearly["clv"] / expected).between(0.5, 1.5).mean() > 0.9


def test_a_monthly_member_is_worth_a_year_of_payments(judged: Judged) -> None:
    monthly = judged.rows(MONTHLY.days, is_open=True)
    payments = (0.95 * 1.1 ** (-MONTHLY.days / 365)) ** np.arange(0.5, 12)
    expected = monthly["price"] * payments.sum()
    assert monthly["clv"].sum() == pytest.approx(expected.sum(), rel=0.15)
    assert monthly["clv"].corr(monthly["price"]) > 0.8


def test_the_total_of_each_plan_is_what_comes(judged: Judged) -> None:
    for days in (YEAR, MONTHLY.days):
        rows = judged.rows(days, is_open=True)
        assert rows["clv"].sum() == pytest.approx(rows["came"].sum(), rel=0.2), days
        assert rows["expected_orders"].sum() == pytest.approx(rows["soon"].sum(), rel=0.2), days


def test_the_ranges_hold_for_each_plan(judged: Judged) -> None:
    for days in (YEAR, MONTHLY.days):
        rows = judged.rows(days, is_open=True)
        inside = (rows["came"] >= rows["clv_low"] - 1e-6) & (rows["came"] <= rows["clv_high"] + 1.0)
        assert inside.mean() > 0.82, days


def test_a_renewal_is_dated_and_its_risk_is_that_of_the_renewal(judged: Judged) -> None:
    yearly = judged.rows(YEAR, is_open=True)
    soon, later = yearly[yearly["since"] > 310], yearly[yearly["since"].between(20, 300)]
    assert soon["churn_probability"].mean() == pytest.approx(0.3, abs=0.1)
    assert later["churn_probability"].mean() < 0.05
    dates = pd.to_datetime(later["next_order_date"]).dt.tz_localize(None)
    due = pd.Timestamp(day(DAYS)).tz_localize(None) + pd.to_timedelta(YEAR - later["since"], "D")
    assert ((dates - due).abs() <= pd.Timedelta(days=2)).mean() > 0.95
    reasons = [item["sentence"] for mine in soon["reasons"] for item in mine]
    assert any("the next payment is due in" in sentence for sentence in reasons)


def test_what_is_lost_with_a_former_member_is_a_year_of_that_plan(judged: Judged) -> None:
    former = judged.rows(YEAR, is_open=False)
    assert len(former) > 50
    assert (former["value_gone"] <= 1.05 * former["price"]).all()
    assert (former["value_gone"] > 0.5 * former["price"]).mean() > 0.8
    # a monthly member of 30 pays more in a year than a yearly one
    monthly = judged.rows(MONTHLY.days, is_open=False)
    assert monthly.loc[monthly["price"] == 30, "value_gone"].median() > 150
    first = judged.scores.sort_values("value_gone", ascending=False).head(20)
    assert (first["days"] == MONTHLY.days).all()


def test_the_parts_of_the_value_add_up(judged: Judged) -> None:
    rows = judged.scores[judged.scores["clv"].notna()]
    total = rows["clv"] + rows["value_at_risk"] + rows["value_gone"]
    np.testing.assert_allclose(total, rows["value_if_kept"], rtol=1e-9)
    years = np.array([np.sum(value) for value in rows["clv_by_year"]])
    np.testing.assert_allclose(years, rows["clv"] + rows["clv_residual"], rtol=0.02, atol=1e-6)


def test_nobody_orders_more_likely_than_often(judged: Judged) -> None:
    training = judged.done.training
    predicted = predict(training.models, training.panel.now)
    p_purchase, orders = predicted.p_purchase, predicted.expected_orders
    assert ((p_purchase > 0) & (p_purchase < 1)).all()
    assert (orders >= p_purchase - 1e-12).all()

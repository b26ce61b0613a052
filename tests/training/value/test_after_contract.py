"""Whose contract is over buys no more, as far as past dates say so, and is worth no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.training.config import TrainConfig
from stagecast.training.value.after_contract import AfterContract
from stagecast.training.value.fit_after_contract import fitted_share
from tests.training.made import Row, check_contract, day, trained

pytestmark = pytest.mark.slow
DAYS = 600


def accounts(customers: int, seed: int, *, reopened: float) -> tuple[list[Row], dict[str, float]]:
    """Return accounts with a payment every five days or so, and the day on which each was closed.

    A part of the closed ones is opened again a month or two later.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    closed: dict[str, float] = {}
    for k in range(customers):
        name, begins = f"a{k:03d}", float(random.uniform(0, 0.8 * DAYS))
        while begins < DAYS:
            ends = begins + float(random.exponential(250.0))
            rows.append((name, day(begins), "signup", None))
            payments = begins + np.cumsum(random.exponential(5.0, 400))
            rows += [
                (name, day(float(at)), "purchase", 20.0) for at in payments if at < min(ends, DAYS)
            ]
            if ends >= DAYS:
                break
            rows.append((name, day(ends), "cancel", None))
            closed[name] = ends
            if random.random() >= reopened:
                break
            del closed[name]
            begins = ends + float(random.uniform(35, 70))
            if begins >= DAYS:
                closed[name] = ends
    return rows, closed


def scored(rows: list[Row], folder: Path) -> pd.DataFrame:
    config = TrainConfig(horizon_days=30, max_dates=6, churn="cancellation")
    scores = trained(rows, folder, day(DAYS), config, evaluated=False).scores()
    check_contract(scores)
    return scores.to_pandas().set_index("customer_id")


def test_a_closed_account_is_not_expected_to_pay(tmp_path: Path) -> None:
    rows, closed = accounts(200, 3, reopened=0.0)
    scores = scored(rows, tmp_path / "m")
    recent = scores.loc[[name for name, end in closed.items() if DAYS - end < 20]]
    assert len(recent) >= 5
    assert (recent["state"] == "lapsed").all()
    # by their payments alone, seven in ten of them would pay again
    assert (recent["p_return"] < 0.1).all()
    is_open = scores["state"] == "active"
    assert recent["clv"].mean() < 0.1 * scores.loc[is_open, "clv"].mean()
    assert recent["expected_spend"].mean() < 0.1 * scores.loc[is_open, "expected_spend"].mean()
    # what they were worth is not forgotten: it is gone
    assert (recent["value_gone"] > 5 * recent["clv"]).all()
    kept = recent["clv"] + recent["value_at_risk"] + recent["value_gone"]
    np.testing.assert_allclose(recent["value_if_kept"], kept)
    years = np.stack(recent["clv_by_year"].to_numpy())
    np.testing.assert_allclose(years[:, 0], recent["clv"], rtol=1e-6)


def test_where_accounts_are_opened_again_a_return_is_expected(tmp_path: Path) -> None:
    rows, closed = accounts(200, 3, reopened=0.8)
    scores = scored(rows, tmp_path / "m")
    waiting = scores.loc[[name for name, end in closed.items() if 5 < DAYS - end < 60]]
    assert (waiting["state"] == "lapsed").all()
    assert waiting["p_return"].mean() > 0.2


def test_who_paid_last_week_had_most_to_cancel() -> None:
    # P(purchase) by the payments is high just before the end; of all, one in ten comes back
    random = np.random.default_rng(4)
    p = random.beta(0.6, 1.5, 4_000)
    came = random.random(4_000) < 0.1 * np.sqrt(p)
    after = fitted_share(p, came)
    expected = np.array([0.9, 0.6])
    np.testing.assert_allclose(expected * after.share(expected), 0.1 * np.sqrt(expected), rtol=0.2)
    # of whom little was expected, no larger share is than of all of them
    assert after.share(np.array([0.01]))[0] == pytest.approx(came.sum() / p.sum(), rel=0.05)
    assert AfterContract.from_json(after.to_json()) == after


def test_one_share_of_bundles_of_before_is_read() -> None:
    before = AfterContract.from_json(0.3)
    np.testing.assert_array_equal(before.share(np.array([0.1, 0.9])), [0.3, 0.3])
    assert AfterContract.from_json(1.0).is_none


def test_without_anybody_all_of_it_comes() -> None:
    assert fitted_share(np.zeros(0), np.zeros(0, dtype=np.bool_)).is_none

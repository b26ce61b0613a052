"""Ends that are announced: of contracts whose end is not known only the others count, for a while.

Members decide at a constant hazard of their own. Most leave a notice of some weeks after that, the
others at once, so the truth for those who have decided nothing is a formula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.errors import DataRefusedError
from stagecast.training.billing.unannounced import Unannounced
from stagecast.training.cancellation.fit_unannounced import fit_unannounced
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import current, past
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.config import TrainConfig
from tests.training.made import day, trained

MONTH, HAZARD = 365.25 / 12.0, 0.04 / 30.4
DISCOUNT = np.log(1.1) / 365.0


def spells(ends: list[tuple[float, float]], as_of: float) -> Spells:
    """Return contracts that began on day 0; each with the days of its end and of its notice."""
    count = len(ends)
    end, notice = (
        np.array([NEVER if np.isinf(d) else round(d * DAY_MICROSECONDS) for d in days])
        for days in zip(*ends, strict=True)
    )
    rows, zeros = np.arange(count), np.zeros(count, dtype=np.int64)
    at = round(as_of * DAY_MICROSECONDS)
    return Spells(at, rows.astype(object), rows, zeros, end, zeros, zeros, 0, notice=notice)


def test_worked_by_hand() -> None:
    # steps of six days: of an end announced nine days before, the first step knows all, the second
    # one half, and the others nothing; with one that nobody announced, and one of the prior
    of = spells([(100.0, 91.0), (50.0, np.inf), (np.inf, np.inf)], 200.0)
    told = fit_unannounced(of, 30)
    assert told is not None
    assert told.step_days == 6
    assert told.shares == pytest.approx((2 / 3, 2.5 / 3, 1.0, 1.0, 1.0), abs=1e-5)
    assert told.rate == pytest.approx(2 / 350, rel=1e-5)
    assert told.of_step(np.array([0.0, 6.0, 12.0, 90.0])) == pytest.approx(
        [2 / 3, 2.5 / 3, 1.0, 1.0], abs=1e-5
    )
    within = (2 / 3 * 6 + 2.5 / 3 * 6 + 18) / 30
    assert told.within(30.0) == pytest.approx(within, abs=1e-5)
    assert told.within(60.0) == pytest.approx((within * 30 + 30) / 60, abs=1e-5)
    assert told.within(0.0) == pytest.approx(2 / 3, abs=1e-4)
    assert Unannounced.from_json(told.to_json()) == told
    with pytest.raises(ValueError, match="share"):
        Unannounced.from_json({**told.to_json(), "shares": [0.0]})
    assert fit_unannounced(spells([(50.0, np.inf), (np.inf, np.inf)], 200.0), 30) is None
    assert fit_unannounced(spells([(np.inf, np.inf)], 200.0), 30) is None


@dataclass(frozen=True)
class Members:
    """A log, and the truth of those who have decided nothing by its end."""

    log: pd.DataFrame
    spells: Spells
    truth: pd.DataFrame


def members(
    seed: int, number: int, announced: float, notice: float, horizon: int, days: int = 1_000
) -> Members:
    """Return members with a monthly price, and P(cancelled), clv and value if kept of each."""
    random, rows, truth = np.random.default_rng(seed), [], {}
    ends = []
    for k in range(number):
        name, start = f"m{k:04d}", float(random.uniform(0, days))
        price, hazard = float(random.choice([15, 30, 60])), HAZARD * random.gamma(4.0, 0.25)
        decided = start + random.exponential(1.0 / hazard)
        end = decided + (notice if random.random() < announced else 0.0)
        rows.append((name, start, start, "signup", None))
        paid = start + MONTH * np.arange(1 + int((min(end, days) - start) / MONTH))
        rows += [(name, at, at, "purchase", price) for at in paid if at < days]
        if decided < days:
            rows.append((name, end, decided, "cancel", None))
        else:
            due = paid[-1] + MONTH * np.arange(1, 14) - days
            due = due[due < 365]
            stays = _stays(due, hazard, announced, notice)
            money = price * np.exp(-DISCOUNT * due)
            leaves = 1.0 - _stays(np.array([float(horizon)]), hazard, announced, notice)[0]
            truth[name] = (leaves, float(money @ stays), float(money.sum()))
        ends.append((start, end, decided))
    log = pd.DataFrame(rows, columns=["customer_id", "at", "recorded", "event", "amount"])
    for column, of in (("timestamp", "at"), ("recorded_at", "recorded")):
        log[column] = pd.to_datetime([day(at) for at in log[of]], utc=True).tz_localize(None)
    log = log[log["recorded"] < days].drop(columns=["at", "recorded"])
    frame = pd.DataFrame.from_dict(truth, orient="index", columns=["p", "clv", "kept"])
    return Members(log, _as_spells(np.array(ends), float(days)), frame)


def _stays(days: Array, hazard: float, announced: float, notice: float) -> Array:
    later = np.maximum(days - notice, 0.0)
    return np.asarray(
        (1 - announced) * np.exp(-hazard * days) + announced * np.exp(-hazard * later)
    )


def _as_spells(made: Array, days: float) -> Spells:
    micro = np.round(made * DAY_MICROSECONDS).astype(np.int64)
    start, end, decided = micro.T
    as_of = round(days * DAY_MICROSECONDS)
    known = decided < as_of
    order = np.arange(len(made))
    return Spells(
        as_of,
        order.astype(object),
        order,
        start,
        np.where(end < as_of, end, NEVER),
        start,
        np.zeros(len(made), dtype=np.int64),
        0,
        announced_end=np.where(known & (end >= as_of), end, NEVER),
        notice=np.where(known & (decided < end), decided, NEVER),
    )


def test_few_cancellations_tell_of_those_who_announced_nothing() -> None:
    ratios = []
    for seed in range(6):
        made = members(seed, 300, announced=0.6, notice=20.0, horizon=30)
        of, now = made.spells, current(made.spells)
        rows = past(of, 30)
        model = fit_cancellation(of, 30, rows, {"spend_mean": np.zeros(len(rows))}, seed=1)
        columns = {"spend_mean": np.zeros(len(now))}
        expected, of_all = (
            float(each.probability(now, columns).mean())
            for each in (model, replace(model, unannounced=None))
        )
        assert len(now) == len(made.truth)
        assert expected < of_all
        ratios.append(expected / made.truth["p"].mean())
        assert CancellationModel.from_json(model.to_json()).unannounced == model.unannounced
        # beyond the horizon no end is known yet: the hazard is that of all
        near, far = (
            -np.log(model.survival(now, days, columns)).mean() / days for days in (30.0, 390.0)
        )
        assert model.unannounced is not None
        share = float(model.unannounced.within(30.0))
        assert near / ((390.0 * far - 30.0 * near) / 360.0) == pytest.approx(share, rel=0.25)
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1.0, abs=0.12)
    with pytest.raises(DataRefusedError, match="share"):
        CancellationModel.from_json({**model.to_json(), "unannounced": {"shares": [2.0]}})


@pytest.mark.slow
def test_what_is_at_risk_counts_ends_that_are_not_announced_yet(tmp_path: Path) -> None:
    made = members(4, 900, announced=0.85, notice=25.0, horizon=30)
    config = TrainConfig(horizon_days=30, churn="cancellation", max_dates=4)
    done = trained(made.log, tmp_path / "m", day(1_000), config, evaluated=False)
    scores = done.scores().to_pandas().set_index("customer_id").loc[made.truth.index]
    clv, kept = made.truth["clv"].sum(), made.truth["kept"].sum()
    assert scores["churn_probability"].mean() == pytest.approx(made.truth["p"].mean(), rel=0.2)
    assert scores["clv"].sum() == pytest.approx(clv, rel=0.03)
    assert scores["value_if_kept"].sum() == pytest.approx(kept, rel=0.01)
    # the hazard of those who announced nothing, for the whole year, would make it a fifth less
    assert scores["value_at_risk"].sum() == pytest.approx(kept - clv, rel=0.12)

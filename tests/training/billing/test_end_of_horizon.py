"""A renewal that falls due after the horizon is none within it, where its last step is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stagecast.training.config import TrainConfig
from tests.training.made import day, trained
from tests.training.made_plans import YEAR, YEARLY, members, rows_of

DAYS = 1_500
CONFIG = TrainConfig(horizon_days=365, churn="cancellation", max_dates=2)


def test_of_a_year_one_renewal_counts_whether_it_falls_due_at_once_or_later(tmp_path: Path) -> None:
    made = members([YEARLY], 900, DAYS, 3)
    done = trained(rows_of(made, DAYS), tmp_path / "m", day(DAYS), CONFIG, evaluated=False)
    scores = done.scores().to_pandas().set_index("customer_id")
    p, left = [], []
    for name, row in scores[scores["state"] == "active"].iterrows():
        paid = made[str(name)].before(DAYS)
        left.append(paid[-1] + YEAR - DAYS)
        p.append(float(row["p_inactive"]))
    days, cancels = np.array(left), np.array(p)
    # twelve steps of 31 days are 372: of who renews in a week, the next renewal is in a year and
    # a week
    soon, later = (days > 0) & (days < 7), (days > 30) & (days < 300)
    assert soon.sum() >= 5
    assert cancels[soon].mean() < 1.15 * cancels[later].mean()

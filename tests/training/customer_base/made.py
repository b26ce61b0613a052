"""Tables of customers that the tests of customer-base models and of their charts look at."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from stagecast.features.demo import cdnow_sample_frame
from stagecast.training.customer_base import BetaGeo, purchase_summary

WEEK = 7.0


@cache
def cdnow() -> pd.DataFrame:
    """Return the 1/10 sample of CDNOW at the end of its 39 weeks, as the papers count them: T is
    the time to the last day, where ours is that to the day after.
    """
    X = purchase_summary(cdnow_sample_frame(), "1997-10-01", amount="amount")
    return X.assign(T_days=X["T_days"] - 1.0)


@cache
def in_weeks() -> pd.DataFrame:
    """Return the sample in the columns and the unit of lifetimes."""
    X = cdnow()
    return pd.DataFrame(
        {
            "frequency": X["frequency"],
            "recency": X["t_x_days"] / WEEK,
            "T": X["T_days"] / WEEK,
            "monetary_value": X["monetary"],
        }
    )


@cache
def bg_nbd() -> BetaGeo:
    """Return BG/NBD fitted on the sample, in weeks."""
    return BetaGeo(time_unit="week").fit(in_weeks())


def regular_purchases(customers: int, k: int, seed: int) -> pd.DataFrame:
    """Return a log of customers whose gaps are Erlang(k) with a mean of 10 to 40 days."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        gap = random.uniform(10.0, 40.0)
        day = random.uniform(0.0, 200.0)
        while day < 500.0:
            rows.append((f"c{number:04}", day))
            day += random.gamma(k, gap / k)
            if random.random() < 0.06:
                break
    log = pd.DataFrame(rows, columns=["customer_id", "day"])
    start = pd.Timestamp("2020-01-01")
    return log.assign(timestamp=start + pd.to_timedelta(np.floor(log["day"]), unit="D"))

"""A log of any size with the shape of a real one: drawn from BG/NBD and Gamma-Gamma with CDNOW's
parameters.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

# Fader, Hardie and Lee (2005), in weeks; spend by Fader and Hardie (2013)
R, ALPHA_WEEKS, A, B = 0.2426, 4.4136, 0.7929, 2.4259
P, Q, V = 6.2496, 3.7442, 15.4435
START, COHORT_DAYS, LENGTH_DAYS = datetime(1997, 1, 1, tzinfo=UTC), 84, 545
AS_OF = START + timedelta(days=LENGTH_DAYS)


def simulate(customers: int, seed: int = 20110901) -> pd.DataFrame:
    """Return a log of purchases drawn from BG/NBD and Gamma-Gamma: customer_id, timestamp,
    amount.
    """
    draw = np.random.default_rng(seed)
    rate = draw.gamma(R, 1 / (7 * ALPHA_WEEKS), customers)
    coin = draw.beta(A, B, customers)
    worth = draw.gamma(Q, 1 / V, customers)
    who = np.arange(customers)
    at = draw.uniform(0, COHORT_DAYS, customers)
    owners, days = [], []
    while len(who):
        owners.append(who)
        days.append(at)
        at = at + draw.exponential(1.0, len(who)) / np.maximum(rate[who], 1e-12)
        # BG/NBD: the coin that may end the relation is first tossed after a repeat purchase
        stays = (
            (draw.random(len(who)) >= coin[who])
            if len(owners) > 1
            else np.ones(len(who), dtype=bool)
        )
        in_log = stays & (at < LENGTH_DAYS)
        who, at = who[in_log], at[in_log]
    owner = np.concatenate(owners)
    amount = draw.gamma(P, 1.0, len(owner)) / worth[owner]
    return pd.DataFrame(
        {
            "customer_id": pd.Series(owner).astype(str).str.zfill(9),
            "timestamp": pd.Timestamp(START)
            + pd.to_timedelta(np.floor(np.concatenate(days)), unit="D"),
            "amount": np.round(amount, 2) + 0.01,
        }
    )

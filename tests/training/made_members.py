"""Simulated memberships without payments: starts and ends alone, some recorded before they end."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.training.made import day

DAYS = 720
NOTICE_DAYS = 50


def members(customers: int = 400, seed: int = 11, *, days: int = DAYS) -> pd.DataFrame:
    """Return the starts and ends of members who join over the first 90 % of the log.

    Young contracts are cancelled at three times the rate of those older than 120 days. Two in five
    cancellations are recorded 50 days before they take effect, so that some take effect after the
    log. One member in ten joins a second time. All instants are midnights.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[str, object, str, object]] = []
    for k in range(customers):
        at = float(np.floor(random.uniform(0, 0.9 * days)))
        for _ in range(2 if k % 10 == 0 else 1):
            rows.append((f"m{k:04d}", day(at), "signup", day(at)))
            young = float(random.exponential(250.0))
            life = young if young < 120 else 120.0 + float(random.exponential(750.0))
            end = at + 1 + float(np.floor(life))
            recorded = end - NOTICE_DAYS if random.random() < 0.4 else end
            if max(recorded, at) >= days:
                break
            rows.append((f"m{k:04d}", day(end), "cancel", day(max(recorded, at))))
            at = end + 40
            if at >= days:
                break
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "recorded_at"])
    for column in ("timestamp", "recorded_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.tz_localize(None)
    return frame

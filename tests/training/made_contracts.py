"""Simulated subscriptions: a payment each month, visits that become rare before a cancellation,
and some come back.
"""

from __future__ import annotations

import numpy as np

from tests.training.made import Row, day

DAYS = 400


def subscriptions(customers: int = 600, seed: int = 4, *, days: int = DAYS) -> list[Row]:
    """Return the events of customers who subscribe over the first 90 % of the log; one in ten never
    does.

    Half of the contracts are cancelled at three times the rate of the others, and their customers
    hardly come by.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        name, at = f"c{k:04d}", float(random.uniform(0, 0.9 * days))
        rows.append((name, day(at), "visit", None))
        if k % 10 == 9:
            continue
        shaky = k % 2 == 0
        while at < days:
            begins = at + 0.01
            ends = begins + float(random.exponential(90.0 if shaky else 270.0))
            rows.append((name, day(begins), "subscribe", None))
            rows += [
                (name, day(p), "purchase", 20.0)
                for p in np.arange(begins, min(ends, days), 30.0) + 0.01
            ]
            visits = begins + np.cumsum(random.exponential(25.0 if shaky else 5.0, 80))
            rows += [(name, day(float(v)), "visit", None) for v in visits if v < min(ends, days)]
            if ends >= days:
                break
            rows.append((name, day(ends), "cancel", None))
            if random.random() > 0.15:
                break
            at = ends + float(random.exponential(30.0))
    return [row for row in rows if row[1] < day(days)]

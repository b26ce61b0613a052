"""The peers of ``python -m bench.accuracy`` where customers give back more than they buy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench import accuracy


def a_shop_with_returns() -> pd.DataFrame:
    """Return a log in which a third of the customers give back more than they paid."""
    random = np.random.default_rng(2)
    rows = []
    for k in range(150):
        days = np.sort(random.uniform(0, 400, 1 + random.poisson(4)))
        amounts = random.gamma(2.0, 20.0, len(days))
        if k % 3 == 0:
            amounts[-1] = -3.0 * amounts.sum()
        rows += [(f"c{k}", d, a) for d, a in zip(days, amounts, strict=True)]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    at = pd.Timestamp("2022-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(timestamp=at)


def test_each_peer_has_a_probability_and_a_spend() -> None:
    events, as_of = a_shop_with_returns(), pd.Timestamp("2023-01-01")
    before = as_of - pd.Timedelta(days=60)
    at = accuracy.seen(events, as_of, 60)
    assert (at.now["spend"] < -1.0).any()
    gone = ~accuracy.bought(events, at.past.index, before, 60)
    by_peer = accuracy.peers(at, gone, 60)
    assert {"rfm_logistic", "rfm_stacked", "mean_of_stacked"} <= set(by_peer)
    repeat = accuracy.spend_of_repeats(events, at.now.index, as_of)
    came = accuracy.spent(events, at.past.index, before, 60)
    by_peer |= accuracy.spend_peers(at, came, repeat, 60)
    assert all(np.isfinite(values).all() for values in by_peer.values())


def test_a_total_below_nothing_is_printed_instead_of_a_share_of_it() -> None:
    expected, came = np.array([3.0, 1.0, 2.0]), np.array([4.0, -10.0, 1.0])
    assert accuracy.spend_line("mine", expected, came).endswith("total 6.00, came -5.00)")
    assert accuracy.spend_line("mine", expected, came + 5.0).endswith(", -40%)")
    nothing = accuracy.spend_line("mine", expected, np.zeros(3))
    assert nothing.endswith("total 6.00, came 0.00)")

"""Whose contract was kept: told by hand for each way through a window."""

import numpy as np

from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.contracts import NEVER, Spells
from stagecast.serving.targeting.plan.kept_contracts import kept_by


def test_a_contract_is_kept_until_its_cancellation_and_won_with_a_new_one() -> None:
    # the window starts on day 100; looks after 10 and 20 days
    rows = [
        ("stays", 0, None),
        ("cancels early", 0, 105),
        ("cancels late", 0, 115),
        ("cancels on the last day", 0, 120),
        ("cancels and comes back", 0, 105),
        ("cancels and comes back", 106, None),
        ("was gone", 0, 90),
        ("is won back", 0, 90),
        ("is won back", 112, None),
        ("comes and goes", 103, 108),
    ]
    names = list(dict.fromkeys(name for name, _, _ in rows))
    start = np.array([begin * DAY for _, begin, _ in rows], dtype=np.int64)
    spells = Spells(
        200 * DAY,
        np.array(names, dtype=object),
        np.array([names.index(name) for name, _, _ in rows], dtype=np.int64),
        start,
        np.array([NEVER if end is None else end * DAY for _, _, end in rows], dtype=np.int64),
        start,
        np.zeros(len(rows), dtype=np.int64),
        0,
    )
    kept = kept_by(spells, 100 * DAY, np.array([10, 20]))
    expected = {
        "stays": [1, 1],
        "cancels early": [0, 0],
        "cancels late": [1, 0],
        "cancels on the last day": [1, 1],
        "cancels and comes back": [0, 0],
        "was gone": [0, 0],
        "is won back": [0, 1],
        "comes and goes": [0, 0],
    }
    assert dict(zip(names, kept.tolist(), strict=True)) == expected

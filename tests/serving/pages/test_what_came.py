"""What came of settled runs is named by what their probabilities were of, where that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.serving.settled.ledger import append
from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages.test_home_page import rows, table, text
from tests.serving.settled.test_ledger import settled_by_hand
from tests.serving.web import Client

KEPT = np.array([True, False, True, True])
NO_ORDER = replace(settled_by_hand())
CANCELLED = settled_by_hand(KEPT)
OF_BEFORE = replace(NO_ORDER, churn=None)


@pytest.mark.parametrize(
    ("settlements", "heads"),
    [
        ([NO_ORDER], ("Said to order nothing", "Ordered nothing")),
        ([CANCELLED], ("Said to cancel", "Cancelled")),
        ([OF_BEFORE], ("Said to order nothing, or to cancel", "Did so")),
        ([NO_ORDER, CANCELLED], ("Said to order nothing, or to cancel", "Did so")),
    ],
)
def test_the_heads_of_what_came_hold_for_every_row(
    web: Client, store: Store, settlements, heads
) -> None:
    published.put(store, table(rows(1)))
    with store.engine.begin() as connection:
        for run_id, settlement in enumerate(settlements, 1):
            append(connection, run_id, settlement)
    assert " ".join(("Active customers", *heads, "Of those called high")) in text(web, "/results")


def test_home_and_trust_say_what_was_foretold_of_those_called_high(
    web: Client, store: Store
) -> None:
    published.put(store, table(rows(1)))
    for run_id, (settlement, came) in enumerate(
        (
            (NO_ORDER, "75% were to order nothing, and 100% did order nothing."),
            (CANCELLED, "75% were to cancel, and 0% did."),
            (OF_BEFORE, "75% were to order nothing, or to cancel, and 100% did so."),
        ),
        1,
    ):
        with store.engine.begin() as connection:
            append(connection, run_id, settlement)
        assert f"Of those called high on 1998-01-01, {came}" in text(web)
        assert came in text(web, "/trust")


def test_home_says_that_scores_of_after_the_horizon_foresaw_nothing(
    web: Client, store: Store
) -> None:
    published.put(store, table(rows(1)))
    with store.engine.begin() as connection:
        append(connection, 1, NO_ORDER)
    assert "they foresaw nothing" not in text(web)
    with store.engine.begin() as connection:
        append(connection, 2, replace(NO_ORDER, in_time=False))
    assert "These scores were made after their horizon was over: they foresaw nothing." in text(web)

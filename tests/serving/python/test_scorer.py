"""``sc.load_scorer``: events in memory, in the forms that Python has, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stagecast as sc
from stagecast.features.errors import UsageError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.scorer import Scorer as ServersScorer
from tests.training.made import Trained

AS_OF = datetime(2022, 1, 15, tzinfo=UTC)  # later than the training
BOUGHT = datetime(2021, 11, 3, 10, 30, tzinfo=UTC)


@pytest.fixture
def scorer(shop: Trained) -> sc.Scorer:
    return sc.load_scorer(shop.folder)


def one(given: Any = None, id_: Any = "c17", **fields: Any) -> Any:
    """Return one customer with one event, or with the events given."""
    return [CustomerEvents(id_, (given or Event(**({"timestamp": BOUGHT} | fields)),))]


def test_events_are_scored_as_a_server_scores_them(scorer: sc.Scorer, shop: Trained) -> None:
    asked = one(amount=20.0) + one(id_="c18", amount=5.0, event="visit")
    of_server = ServersScorer(shop.bundle)
    assert scorer.score_objects(asked, AS_OF) == of_server.score_objects(asked, AS_OF)
    assert scorer.score_customers(asked, AS_OF).equals(of_server.score_customers(asked, AS_OF))
    assert "Scorer(Bundle(" in repr(scorer)


@pytest.mark.parametrize(
    "time",
    [
        "2021-11-03 10:30",
        "2021-11-03T13:30+03:00",
        pd.Timestamp(BOUGHT),
        np.datetime64("2021-11-03T10:30"),
    ],
    ids=["text", "zone", "Timestamp", "datetime64"],
)
@pytest.mark.parametrize("as_of", ["2022-01-15", date(2022, 1, 15), pd.Timestamp("2022-01-15")])
def test_plain_times_ids_and_numbers_are_taken(scorer: sc.Scorer, time: Any, as_of: Any) -> None:
    (expected,) = scorer.score_objects(one(id_="17", amount=20.0), AS_OF)
    given = CustomerEvents(17, [Event(time, " Purchase", np.float32(20))])  # type: ignore[arg-type]
    assert scorer.score_objects((given,), as_of) == [expected]
    assert scorer.score_customers(iter([given]), as_of).to_pylist()[0]["customer_id"] == "17"


def test_money_paid_back_is_a_refund_of_either_sign(scorer: sc.Scorer) -> None:
    spent = [
        scorer.score_customers(
            [CustomerEvents("a", (Event(BOUGHT, amount=20.0), Event(BOUGHT, "refund", money)))],
            AS_OF,
        ).to_pylist()[0]["spend"]
        for money in (5.0, -5.0)
    ]
    assert spent == [15.0, 15.0]


CUSTOMERS: list[tuple[str, Callable[[], Any], str]] = [
    ("None", lambda: None, "customers = None cannot be used; give a list of CustomerEvents"),
    ("empty", list, r"customers = \[\] cannot be used"),
    ("table", lambda: pd.DataFrame({"customer_id": ["a"]}), "is a table; score it by Lifecycle"),
    ("dict", lambda: {"a": 1}, "customers = {'a': 1} cannot be used"),
    ("of dicts", lambda: [{"customer_id": "a"}], r"customers\[0\] = .* give CustomerEvents of"),
    ("no id", lambda: one(id_=None), r"customers\[0\].customer_id has a null"),
    ("empty id", lambda: one(id_=" "), "customer_id = ' ' names no customer"),
    ("events", lambda: [CustomerEvents("a", None)], r"\.events = None cannot be used"),  # type: ignore[arg-type]
    ("event", lambda: one(("2021-11-03", "purchase")), r"events\[0\] = .* give Event of"),
    ("attributes", lambda: [CustomerEvents("a", (), [1])], r"attributes = \[1\]"),  # type: ignore[arg-type]
    (
        "time",
        lambda: one(timestamp="soon"),
        r"\[0\]\.timestamp = 'soon' cannot be used; give a time",
    ),
    ("no time", lambda: one(timestamp=None), r"timestamp = None cannot"),
    ("recorded", lambda: one(recorded_at="x"), r"recorded_at = 'x' cannot"),
    ("type", lambda: one(event=""), r"events\[0\].event = '' cannot"),
    ("channel", lambda: one(channel=3), r"channel = 3 cannot be used; give a text or None"),
    ("inf", lambda: one(amount=float("inf")), r"amount = inf cannot be used; give money"),
    ("NaN", lambda: one(amount=float("nan")), r"amount = nan cannot"),
    ("text amount", lambda: one(amount="5"), r"amount = '5' cannot"),
    ("huge", lambda: one(amount=1e12), r"amount = 1000000000000.0 cannot .* up to 1e\+11"),
    ("negative", lambda: one(amount=-5.0), "money paid back as an event 'refund'"),
    ("discount", lambda: one(discount=1e12), r"discount = 1000000000000.0 cannot"),
    (
        "some amounts",
        lambda: [CustomerEvents("a", (Event(BOUGHT), Event(BOUGHT, amount=2.0)))],
        r"customers\[0\] \('a'\) has purchases with an amount and 1 without one",
    ),
]


@pytest.mark.parametrize(
    ("made", "message"), [each[1:] for each in CUSTOMERS], ids=[each[0] for each in CUSTOMERS]
)
def test_customers_that_cannot_be_scored_are_refused_with_their_place(
    scorer: sc.Scorer, made: Callable[[], Any], message: str
) -> None:
    for score in (scorer.score_customers, scorer.score_objects):
        with pytest.raises(UsageError, match=message):
            score(made(), AS_OF)


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        (None, "as_of = None is of type NoneType"),
        ("soon", "as_of"),
        (17, "as_of = 17 is of type int"),
        ("2021-06-01", "as_of='2021-06-01' stands before the training's as_of"),
    ],
)
def test_an_as_of_that_cannot_be_used_is_refused(
    scorer: sc.Scorer, as_of: Any, message: str
) -> None:
    for score in (scorer.score_customers, scorer.score_objects):
        with pytest.raises(UsageError, match=message):
            score(one(), as_of)
    with pytest.raises(UsageError, match="data_cutoff = 3"):
        scorer.score_customers(one(), AS_OF, 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has_amounts = 'no' cannot be used"):
        scorer.score_customers(one(), AS_OF, has_amounts="no")  # type: ignore[arg-type]

"""Money on pages is in the currency of the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagecast.serving.store.store import Store
from tests.serving import published, web

HTML = {"accept": "text/html"}
MONEY: dict[str, Any] = {
    "stage": "repeat",
    "value_at_risk": 1234.4,
    "value_gone": 21.0,
    "clv": 2345.0,
    "clv_low": 1500.0,
    "clv_high": 3456.0,
    "expected_spend": 9.5,
    "expected_spend_low": 1.25,
    "expected_spend_high": 40.0,
    "spend": 777.0,
    "monetary": 88.0,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = published.open_store(tmp_path)
    yield opened
    opened.close()


def pages(store: Store, folder: Path, currency: str | None) -> tuple[str, str, dict[str, Any]]:
    """Publish two runs in a currency; return the list, the page of the customer, and the API's."""
    for days, factor in ((0, 1.0), (30, 2.0)):
        amounts = {
            name: value if isinstance(value, str) else value * factor
            for name, value in MONEY.items()
        }
        rng = np.random.default_rng(3)
        as_of = published.AS_OF + timedelta(days=days)
        row = published.a_score("a", rng, as_of, **amounts, orders=4 + days)
        store.publish(
            published.table([row]),
            model_path="model",
            scheme=published.retail(),
            currency=currency,
        )
    with web.client(web.app_with(folder, store=store)) as client:
        texts = [client.get(path, headers=HTML).text for path in ("/customers", "/customers/a")]
        return texts[0], texts[1], client.get("/v1/customers/a").json()


def test_amounts_have_the_sign_of_their_currency(store: Store, tmp_path: Path) -> None:
    listed, own, answer = pages(store, tmp_path, "GBP")
    for text in ("£2,469 at risk", ">£2,469<", ">£4,690<", "£3,000 to £6,912"):
        assert text in listed, text
    for text in (
        ">£2,469<",
        ">£42<",
        ">£4,690<",
        "90 % between £3,000 and £6,912",
        ">£19<",
        "90 % between £2.50 and £80",
        ">£1,554<",
        ">£176<",
        ">£1,234<",
        ">£2,345<",
    ):
        assert text in own, text
    sentences = [change["sentence"] for change in answer["changes"]]
    assert "ordered on 30 days since, £777" in sentences
    assert "the value in a year rose from £2,345 to £4,690" in sentences
    assert "the value at risk rose from £1,234 to £2,469" in sentences
    assert all(sentence in own for sentence in sentences if "£" in sentence)
    assert {past["currency"] for past in answer["history"]} == {"GBP"}


def test_without_a_currency_amounts_are_bare_numbers(store: Store, tmp_path: Path) -> None:
    listed, own, _ = pages(store, tmp_path, None)
    assert "2,469 at risk" in listed
    assert ">4,690<" in own
    assert "£" not in listed + own

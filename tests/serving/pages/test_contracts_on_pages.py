"""Where churn is a cancellation and the stages go by orders, pages say whose contract was cancelled
and which risk they explain.
"""

from __future__ import annotations

from typing import Any

import pytest

from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages.test_home_page import rows, table, text
from tests.serving.web import Client

REASONS = [
    {
        "code": "average.no_order",
        "feature": "average",
        "value": 0.99,
        "effect": 0.4,
        "direction": "raises",
        "sentence": "",
    }
]
CANCELLED, OPEN = "cancelled", "open"


@pytest.fixture
def made(store: Store) -> list[dict[str, Any]]:
    """Scores of contracts that are published: of 60, a third is lapsed on a stage of the active."""
    made = [row | {"churn": "cancellation"} for row in rows(1, customers=60)]
    for k, row in enumerate(made):
        state = "lapsed" if k % 3 == 0 else "active"
        row |= {"state": state, "stage": "new", "reasons": REASONS, "risk_base": 4.3}
        row |= {"risk_rest": 0.0, "p_inactive": 0.98}
        risk = {"churn_probability": 0.2, "churn_band": "low", "p_return": None, "p_alive": 0.5}
        if state == "lapsed":
            risk |= {"churn_probability": None, "churn_band": None, "p_return": 0.02}
        row |= risk
    made[0]["customer_id"], made[1]["customer_id"] = CANCELLED, OPEN
    made[3]["stage"] = "lost"
    published.put(store, table(made))
    return made


def test_the_page_of_who_has_cancelled_says_so_and_which_risk_it_explains(
    web: Client, made: list[dict[str, Any]]
) -> None:
    page = text(web, f"/customers/{CANCELLED}")
    assert "the contract was cancelled and 2% order again within 90 days." in page
    assert "The contract was cancelled. The stage goes by orders, not by contract" in page
    assert "The scheme “membership” has stages by contract." in page
    assert "the risk explained here is not that of a cancellation but of no order within" in page
    assert "99% risk of ordering nothing within the horizon" in page
    assert "How the risk comes about: no purchase within 90 days" in page
    assert "the contract is cancelled within" not in page


def test_an_open_contract_on_a_stage_of_the_active_needs_no_such_words(
    web: Client, made: list[dict[str, Any]]
) -> None:
    page = text(web, f"/customers/{OPEN}")
    assert "How the risk comes about: the contract is cancelled within 90 days" in page
    assert "not by contract" not in page
    assert "not that of a cancellation" not in page


def test_who_is_a_customer_is_a_question_of_the_contract_and_not_of_the_customer_base(
    web: Client, store: Store, made: list[dict[str, Any]]
) -> None:
    for customer in (CANCELLED, OPEN):
        assert "Still a customer (model)" not in text(web, f"/customers/{customer}")
        assert web.get(f"/v1/customers/{customer}").json()["score"]["p_alive"] == 0.5
    published.publish(store, table([row | {"churn": "inactivity"} for row in made]))
    assert "Still a customer (model) 50%" in text(web, f"/customers/{OPEN}")


def test_home_counts_who_has_cancelled_on_stages_of_the_active(
    web: Client, store: Store, made: list[dict[str, Any]]
) -> None:
    # one of the 20 lapsed is on a stage of the lapsed
    words = "19 customers whose contract was cancelled stand on stages of active customers"
    assert words in text(web)
    published.publish(store, published.scores(60))
    assert "whose contract was cancelled" not in text(web)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "2 customers with an open contract stand on stages of customers who left"),
        ("ru", "2 клиента с действующим договором стоят на этапах ушедших"),
        ("fa", "۲ مشتری با قرارداد باز در مرحله‌های مشتریان رفته‌اند"),
    ],
)
def test_home_counts_open_contracts_on_stages_of_the_lapsed(
    web: Client, made: list[dict[str, Any]], store: Store, language: str, words: str
) -> None:
    assert words not in text(web, f"/?lang={language}")
    made[1]["stage"] = made[2]["stage"] = "lost"
    published.publish(store, table(made))
    assert words in text(web, f"/?lang={language}")
    assert "membership" in text(web, f"/?lang={language}")


@pytest.mark.parametrize(
    ("language", "cancel", "away"),
    [
        ("en", "with an open contract (30) would cancel without it", "former customers (15) would"),
        ("ru", "из клиентов с договором (30) без контакта", "из бывших клиентов (15) без контакта"),
        ("fa", "مشتریان دارای قرارداد (۳۰) بدون تماس", "مشتریان پیشین (۱۵) بدون تماس"),
    ],
)
def test_a_plan_counts_open_contracts_and_former_customers_apart(
    web: Client, made: list[dict[str, Any]], store: Store, language: str, cancel: str, away: str
) -> None:
    for row in made:
        row |= {"value_at_risk": 30.0, "value_gone": 0.0}
        row |= {"value_gone": 500.0, "value_at_risk": 0.0} if row["state"] == "lapsed" else {}
    published.publish(store, table(made))
    page = f"/plans/new?holdout_percent=0&lang={language}"
    both = text(web, page)
    assert cancel in both
    assert away in both
    assert away not in text(web, f"{page}&state=active")
    former = text(web, f"{page}&state=lapsed")
    assert away in former
    assert cancel[-18:] not in former
    if language == "en":
        assert "45 saved of 900 at risk, 150 won back of 7,500 gone, 0 spent" in both


def test_home_of_a_log_without_amounts_does_not_say_that_nobody_has_cancelled(
    web: Client, store: Store, made: list[dict[str, Any]]
) -> None:
    nobody = "nobody has been silent for long enough, or has cancelled"
    unpaid = [row | {"value_gone": None, "value_at_risk": None} for row in made]
    cancelled = [row | {"stage": "new"} for row in unpaid]
    published.publish(store, table(cancelled))
    assert nobody not in text(web)
    published.publish(store, table([row for row in cancelled if row["state"] == "active"]))
    assert nobody in text(web)


@pytest.mark.parametrize(
    ("language", "on_page", "on_home", "named"),
    [
        ("ru", "Договор расторгнут. Этап определён по заказам", "расторгли договор", "не сделать"),
        ("fa", "قرارداد فسخ شده است. مرحله بر پایهٔ سفارش است", "قراردادشان فسخ شده", "سفارش ندادن"),
    ],
)
def test_other_languages_say_it_too(
    web: Client, made: list[dict[str, Any]], language: str, on_page: str, on_home: str, named: str
) -> None:
    page = text(web, f"/customers/{CANCELLED}?lang={language}")
    assert on_page in page
    assert named in page
    assert on_home in text(web, f"/?lang={language}")


def test_home_says_that_contracts_are_expected_to_be_cancelled(
    web: Client, store: Store, made: list[dict[str, Any]]
) -> None:
    page = text(web)
    assert "8 of them are expected to cancel in the next 90 days" in page
    assert "place no order" not in page

"""The wording of a language: forms by number, separators, digits, and a language as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagecast.features.errors import UsageError
from stagecast.training.reasons import sentences, wordings
from stagecast.training.reasons.sentences import because_but, moved_clause, sentence_of
from stagecast.training.reasons.wordings import PLURALS, Wording, wording

RUSSIAN = """
plural = "slavic"
thousands = "\u00a0"
decimal = ","
percent = "{number}\u00a0%"
days = "{n} д."
[sentence]
because = "потому что {clauses}"
because_but = "потому что {raising}, но {lowering}"
separator = "; "
lowers = "{clause}; это снижает риск"
[compared]
stage = "{fact} (обычно на этой стадии {usual})"
before = "{fact} (было {usual})"
[whole]
season = "время года"
[facts]
orders = { one = "{value} заказ", few = "{value} заказа", many = "{value} заказов", other = "{value} заказа" }
recency_days = { one = "{value} день без заказа", few = "{value} дня без заказа", many = "{value} дней без заказа", other = "{value} дня без заказа" }
spend_mean = "тратит {value} за заказ"
refund_share = "возвращено {value}"
any = "{label}: {value}"
"""  # noqa: E501
PERSIAN = """
plural = "one_other"
thousands = "٬"
decimal = "٫"
digits = "۰۱۲۳۴۵۶۷۸۹"
days = "{n} روز"
sentence = {}
compared = {}
whole = {}
[facts]
orders = "تاکنون {value} سفارش"
"""


@pytest.fixture
def russian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Russian as one more file of the folder."""

    def forget() -> None:
        for function in (wording, wordings.languages, sentences._template, sentences._sentence_of):
            function.cache_clear()

    (tmp_path / "ru.toml").write_text(RUSSIAN, encoding="utf-8")
    (tmp_path / "en.toml").write_bytes((wordings.FOLDER / "en.toml").read_bytes())
    monkeypatch.setattr(wordings, "FOLDER", tmp_path)
    forget()
    yield
    forget()


# https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html, Russian
@pytest.mark.parametrize(
    ("category", "numbers"),
    [
        ("one", (1, 21, 31, 101, 1001)),
        ("few", (2, 3, 4, 22, 24, 32, 102, 1002)),
        ("many", (0, 5, 11, 12, 14, 19, 100, 111, 112, 1000)),
        ("other", (0.5, 1.5, 2.7)),
    ],
)
def test_russian_forms_are_those_of_the_cldr(category: str, numbers: tuple[float, ...]) -> None:
    assert {PLURALS["slavic"](number) for number in numbers} == {category}


def reason(code: str, value: float, usual: float | None, **fields: Any) -> dict[str, Any]:
    feature = code.rpartition(".")[0]
    return {"code": code, "feature": feature, "value": value, "usual": usual, **fields}


@pytest.mark.usefixtures("russian")
def test_a_file_is_a_language() -> None:
    orders = reason("orders.stage", 21.0, 4.0, direction="raises", effect=0.5)
    assert sentence_of(orders, "ru") == "21 заказ (обычно на этой стадии 4)"
    days = reason("recency_days.plain", 1232.0, None, direction="lowers", effect=-0.2)
    assert sentence_of(days, "ru") == "1\u00a0232 дня без заказа; это снижает риск"
    assert because_but([orders, days], "ru") == (
        "потому что 21 заказ (обычно на этой стадии 4), но 1\u00a0232 дня без заказа"
    )
    gap = reason("refund_share.stage", 0.25, 0.02, direction="raises")
    assert sentence_of(gap, "ru") == "возвращено 25\u00a0% (обычно на этой стадии 2\u00a0%)"
    assert moved_clause("orders", 11.4, 5.5, "ru") == "11 заказов (было 5,5)"
    spend = reason("spend_mean.stage", 5.25, 4.0, direction="raises")
    assert sentence_of(spend, "ru", "EUR") == "тратит €5,25 за заказ (обычно на этой стадии €4,00)"
    assert sentence_of(orders) == "21 orders so far (4 is usual on this stage)"


def test_digits_may_be_others() -> None:
    persian = Wording.read(PERSIAN)
    assert persian.number(1234567.0) == "۱٬۲۳۴٬۵۶۷"
    assert persian.number(5.25) == "۵٫۲"
    assert persian.form(persian.facts["orders"], 1) == persian.form(persian.facts["orders"], 7)


def test_a_language_without_a_wording_is_refused() -> None:
    with pytest.raises(UsageError, match="language 'xx' has no wording of reasons; there are en"):
        wording("xx")
    with pytest.raises(
        UsageError, match=r"plural 'arabic' is not a rule; .* one_other, persian, slavic"
    ):
        Wording.read(PERSIAN.replace("one_other", "arabic"))

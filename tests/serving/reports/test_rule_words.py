"""The rules of stages in words."""

from __future__ import annotations

import pytest

from stagecast.features.stages.scheme_files import known_schemes, load_scheme
from stagecast.serving.languages.display import LANGUAGES, Display
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.rule_words import clause_words, rule_words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            "overdue_ratio 1.88 is above 1.40 (at_risk_ratio)",
            "the silence is 1.88 times the expected gap (more than 1.40)",
        ),
        (
            "overdue_ratio 2.50 is above 2 (at_risk_ratio, assumed)",
            "the silence is 2.50 times the expected gap (more than 2, assumed)",
        ),
        (
            "orders 12 is at least 5 (loyal_orders) and spend 1340 is at least 200 (loyal_spend)",
            "orders so far: 12 (at least 5) and spent so far: 1,340 (at least 200)",
        ),
        ("orders 0 is 0", "orders so far: 0 (exactly 0)"),
        ("my_calls 3 is at least 2", "my calls: 3 (at least 2)"),
        ("recency_days 90 is at most never", "the last order was 90 days ago (at most never)"),
        ("ends 1 is at least 1", "cancellations so far: 1 (at least 1)"),
        ("a rule of another kind", "a rule of another kind"),
    ],
)
def test_names_of_facts_become_words(rule: str, words: str) -> None:
    assert rule_words(rule) == words


@pytest.mark.parametrize("name", known_schemes())
def test_no_name_of_a_fact_is_left_of_any_rule_of_the_package(name: str) -> None:
    scheme = load_scheme(name)
    for condition in scheme.conditions:
        text = f"{condition.feature} 3 is above 2 (at_risk_ratio)"
        assert "_" not in rule_words(text)
        assert condition.feature in texts_of("en")["rule"]["facts"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", known_schemes())
def test_every_clause_of_the_package_is_said_without_names_and_signs(
    name: str, language: str
) -> None:
    limits = {"at_risk_ratio": 1.4, "sleeping_ratio": 2.0, "loyal_orders": 6, "loyal_spend": 1234.0}
    display = Display(language)  # type: ignore[arg-type]
    for stage in load_scheme(name).stages:
        for clause in stage.rule_text if isinstance(stage.rule_text, tuple) else (stage.rule_text,):
            for part in clause.split(" and "):
                words = clause_words(part, limits, display)
                assert not set("<>=_") & set(words), words


def test_a_clause_has_the_limit_of_the_log() -> None:
    limits = {"loyal_orders": 6, "loyal_spend": 1234.0}
    assert clause_words("orders >= loyal_orders", limits) == "orders so far: at least 6"
    assert clause_words("spend >= loyal_spend", limits, Display("ru")) == (
        "потрачено: не меньше 1\xa0234"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_limit_of_money_is_one_however_large_and_an_endless_time_is_none(language: str) -> None:
    display = Display(language)
    words = clause_words("spend >= loyal_spend", {"loyal_spend": 620_000.0}, display)
    assert display.written("620,000") in words
    endless = clause_words("recency_days > lost_after_days", {"lost_after_days": 1e6}, display)
    assert endless == clause_words(
        "recency_days > lost_after_days", {"lost_after_days": None}, display
    )
    never = clause_words("spend >= loyal_spend", {"loyal_spend": float("inf")}, display)
    assert never == clause_words("spend >= loyal_spend", {"loyal_spend": None}, display)

"""The rules of stages in words."""

from __future__ import annotations

import pytest

from stagecast.features.stages.scheme_files import known_schemes, load_scheme
from stagecast.serving.reports.rule_words import rule_words


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
            "orders so far: 12 (at least 5) and spent so far: 1340 (at least 200)",
        ),
        ("orders 0 is 0", "orders so far: 0 (exactly 0)"),
        ("my_calls 3 is at least 2", "my calls: 3 (at least 2)"),
        ("recency_days 90 is at most never", "the last order was 90 days ago (at most never)"),
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

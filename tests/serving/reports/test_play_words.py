"""Why a customer has a play, in words."""

from __future__ import annotations

import pytest

from stagecast.features.stages.plays import NUMBERS, TEXTS, Play, play_from_toml
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.play_words import play_words


def play(*when: str) -> Play:
    return play_from_toml({"id": "p", "title": {"en": "P"}, "when": list(when)}, "test")


def test_each_condition_is_told_with_the_customers_number() -> None:
    score = {"stage": "at_risk", "churn_probability": 0.412, "value_at_risk": 1426.4}
    words = play_words(
        play("stage == at_risk", "churn_probability >= 0.33", "value_at_risk >= p80"),
        score,
        {"at_risk": "Overdue"},
    )
    assert words == [
        "stage: Overdue",
        "churn risk 41% (33% or more)",
        "value at risk 1,426 (among the highest 20 % of the buyers)",
    ]


def test_of_alternatives_the_one_that_holds_is_told() -> None:
    score = {"stage": "reactivated", "orders": 3}
    words = play_words(play("stage == repeat or stage == reactivated", "orders < 5"), score, {})
    assert words == ["stage: reactivated", "orders so far 3 (less than 5)"]


def test_a_band_is_told_with_the_risk_that_it_is_cut_at() -> None:
    banded = play("churn_band == medium or churn_band == high")
    score = {"churn_band": "high", "churn_probability": 0.6667}
    assert play_words(banded, score, {}) == ["churn risk 67% (high)"]
    assert play_words(banded, {"churn_band": "high"}, {}) == ["churn risk: high"]


@pytest.mark.parametrize("column", [*NUMBERS, *TEXTS])
def test_every_column_that_plays_read_has_words(column: str) -> None:
    assert column in texts_of()["conditions"]["names"]


def test_the_plays_of_every_scheme_can_be_told() -> None:
    for scheme in ("retail", "client7", "clm5", "crm5", "ltv5", "membership", "reach5"):
        for part in load_scheme(scheme).plays:
            score = {c.column: c.bound if c.column in TEXTS else 0.5 for c in part.comparisons}
            assert play_words(part, score, {}), part.id

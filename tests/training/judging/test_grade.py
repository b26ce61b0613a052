"""Grades at their borders, of one period and of several dates."""

from __future__ import annotations

import pytest

from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.judging.grade import NO_BASELINE, grade_dates, grade_period
from stagecast.training.judging.verdict_result import Difference


def against(name: str, low: float, high: float) -> Difference:
    """Return a difference that is known by its interval."""
    return Difference(name, name, None, low, high, None, None)


@pytest.mark.parametrize(
    ("ours", "letter", "words"),
    [
        (0.970, "A", "Clearly better than every baseline: the log loss is 3.0% below"),
        (0.9799, "A", "Clearly better"),
        (0.9801, "B", "Better than every baseline: the log loss is 2.0% below"),
        (0.9949, "B", "Better than every baseline"),
        (0.9951, "C", "As good as the best baseline"),
        (1.0049, "C", "As good as the best baseline"),
        (1.0051, "D", "No better than a simple method"),
        (1.3, "D", "30.0% above the best baseline's"),
    ],
)
def test_a_period_at_the_borders(ours: float, letter: str, words: str) -> None:
    grade = grade_period(ours, 1.0)
    assert grade.letter == letter
    assert words in grade.sentence


@pytest.mark.parametrize(
    ("ours", "low", "high", "letter", "words"),
    [
        (0.97, -0.04, -0.02, "A", "3.0% below that of rule, the best of the others, beyond chance"),
        (0.97, -0.07, 0.01, "B", "which chance among customers could bring about"),
        (0.99, -0.02, -0.001, "B", "1.0% below"),
        (
            0.998,
            -0.003,
            -0.001,
            "B",
            "0.2% below that of rule, the best of the others, beyond chance",
        ),
        (0.998, -0.01, 0.01, "C", "As good as"),
        (1.004, 0.001, 0.01, "C", "0.4% above"),
        (1.02, -0.01, 0.05, "C", "within chance no worse: the log loss is 2.0% above"),
        (1.02, 0.01, 0.03, "D", "Use that method"),
    ],
)
def test_dates_at_the_borders(
    ours: float, low: float, high: float, letter: str, words: str
) -> None:
    grade = grade_dates({OURS: ours, "rule": 1.0}, [against("rule", low, high)])
    assert grade.letter == letter
    assert words in grade.sentence


def test_without_a_baseline_there_is_no_praise() -> None:
    assert grade_period(0.1, None) == grade_dates({OURS: 0.1}, []) == NO_BASELINE
    assert NO_BASELINE.letter == "C"


def test_the_sentence_speaks_of_the_best_baseline() -> None:
    # the best is beaten beyond chance, another only within it
    grade = grade_dates(
        {OURS: 0.98, "rule": 1.0, "noisy": 1.1},
        [against("rule", -0.02, -0.01), against("noisy", -0.3, 0.1)],
    )
    assert (grade.letter, grade.sentence.endswith("beyond chance.")) == ("B", True)

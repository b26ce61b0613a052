"""Grades at their borders, and the figures that contradict a good one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagecast.training.judging.evaluation_result import OURS, ChurnFigures, Difference
from stagecast.training.judging.grade import Grade, grade


def method(name: str, log_loss: float, auc: float | None = 0.8) -> ChurnFigures:
    """Return a method of which the log loss and the AUC matter."""
    return ChurnFigures(name, name, log_loss, auc, 0.1, 0.01, 2.0)


def against(name: str, low: float, high: float) -> Difference:
    """Return a difference that is known by its interval."""
    return Difference(name, name, None, low, high, None, None)


def graded(ours: ChurnFigures, low: float = -0.04, high: float = -0.02) -> Grade:
    """Return the grade against one baseline with a log loss of 1."""
    return grade([ours, method("rule", 1.0)], [against("rule", low, high)], 1_000, "these dates")


@pytest.mark.parametrize(
    ("ours", "low", "high", "letter", "words"),
    [
        (0.97, -0.04, -0.02, "A", "3.0% below that of rule, the best of the others, beyond chance"),
        (0.9799, -0.04, -0.02, "A", "Clearly better"),
        (0.9801, -0.04, -0.02, "B", "Better than every baseline: the log loss is 2.0% below"),
        (0.97, -0.07, 0.01, "C", "which chance among customers could bring about"),
        (0.99, -0.02, -0.001, "B", "1.0% below"),
        (
            0.998,
            -0.003,
            -0.001,
            "B",
            "0.2% below that of rule, the best of the others, beyond chance",
        ),
        (0.998, -0.01, 0.01, "C", "which counts as a draw: the log loss is 0.2% below"),
        (1.0, -0.01, 0.01, "C", "As good as the best baseline"),
        (1.004, 0.001, 0.01, "C", "0.4% above"),
        (1.02, -0.01, 0.05, "C", "Worse than the best baseline, but not beyond chance"),
        (1.02, 0.01, 0.03, "D", "No better than a simple method on these dates"),
    ],
)
def test_grades_at_their_borders(
    ours: float, low: float, high: float, letter: str, words: str
) -> None:
    result = graded(method(OURS, ours), low, high)
    assert result.letter == letter
    assert words in result.sentence


def test_an_auc_below_a_lottery_allows_no_more_than_c() -> None:
    result = graded(method(OURS, 0.9, auc=0.4707))
    assert result.letter == "C"
    assert "the AUC is 0.471, below that of a lottery" in result.sentence


def test_a_window_in_which_all_did_the_same_allows_no_more_than_c() -> None:
    result = graded(replace(method(OURS, 0.1), auc=None))
    assert result.letter == "C"
    assert result.sentence.startswith("Better by the log loss alone")
    assert "the customers all did the same" in result.sentence


def test_a_lift_below_one_and_a_calibration_error_allow_no_more_than_b() -> None:
    low_lift = replace(method(OURS, 0.9), lift_10=0.8)
    assert graded(low_lift).letter == "B"
    assert "the lift at 10 % is 0.80" in graded(low_lift).sentence
    off = replace(method(OURS, 0.9), calibration_error=0.2)
    assert graded(off).letter == "B"
    assert "the calibration error is 0.200" in graded(off).sentence
    assert graded(method(OURS, 0.9)).letter == "A"


def test_a_calibration_error_that_chance_makes_in_few_customers_is_no_doubt() -> None:
    methods = [replace(method(OURS, 0.9), calibration_error=0.2), method("rule", 1.0)]
    few, many = (grade(methods, [against("rule", -0.2, -0.1)], n, "it") for n in (45, 5_000))
    assert (few.letter, many.letter) == ("A", "B")


def test_a_bad_level_with_a_better_ranking_is_named() -> None:
    ours = replace(method(OURS, 1.3, auc=0.9), calibration_error=0.3)
    result = graded(ours, 0.2, 0.4)
    assert result.letter == "D"
    assert "It ranks better (AUC 0.900 against 0.800): what is off is the level" in result.sentence


def test_the_sentence_speaks_of_the_best_baseline() -> None:
    # the best is beaten beyond chance, another only within it
    result = grade(
        [method(OURS, 0.98), method("rule", 1.0), method("noisy", 1.1)],
        [against("rule", -0.02, -0.01), against("noisy", -0.3, 0.1)],
        1_000,
        "these dates",
        "on the 12 active",
    )
    assert (result.letter, result.sentence.endswith("beyond chance.")) == ("B", True)
    assert "the log loss on the 12 active is 2.0% below that of rule" in result.sentence


def test_a_tiny_log_loss_that_is_surely_larger_than_a_tinier_one_is_a_draw() -> None:
    methods = [method(OURS, 2e-4), method("rule", 1e-5)]
    result = grade(methods, [against("rule", 1e-4, 3e-4)], 1_000, "these dates")
    assert result.letter == "C"
    assert result.sentence.startswith("0.001 nats apart or less, which counts as a draw: ")


def test_no_baseline_gets_a_grade_without_a_comparison() -> None:
    # the share is always among the baselines, so there always is one
    with pytest.raises(ValueError, match="empty"):
        grade([method(OURS, 0.1)], [], 1_000, "these dates")

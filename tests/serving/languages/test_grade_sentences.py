"""The sentence of a grade agrees with its letter, and is said in every language."""

from __future__ import annotations

import itertools
import re

import pytest

from stagecast.serving.languages.display import Display
from stagecast.serving.languages.sentences import in_language
from stagecast.training.judging.evaluation_result import (
    OURS,
    ChurnFigures,
    Difference,
    SpendFigures,
)
from stagecast.training.judging.grade import grade, grade_value

SAID = {
    "A": "Clearly better than every baseline: ",
    "B": "Better than every baseline: ",
    "D": "No better than a simple method on these dates: ",
}
OF_C = (
    "Better by the log loss alone: ",
    "Not better than the best baseline beyond chance: ",
    "As good as the best baseline, and no better: ",
    "Half a per cent apart or less, which counts as a draw: ",
    "0.001 nats apart or less, which counts as a draw: ",
    "Worse than the best baseline, but not beyond chance: ",
)


@pytest.mark.parametrize("best", [1.0, 0.01])
@pytest.mark.parametrize("log_loss", [0.8, 0.97, 0.99, 0.9996, 1.0, 1.004, 1.02, 1.09, 1.5])
@pytest.mark.parametrize(("low", "high"), [(-0.04, -0.001), (-0.02, 0.02), (0.001, 0.04)])
@pytest.mark.parametrize("asked", ["", "on the active"])
def test_the_sentence_agrees_with_its_letter_in_every_language(
    log_loss: float, best: float, low: float, high: float, asked: str
) -> None:
    for auc, lift, error in itertools.product((None, 0.4, 0.6, 0.9), (0.5, 2.0), (0.01, 0.3)):
        ours = ChurnFigures(OURS, OURS, log_loss * best, auc, 0.1, error, lift)
        baseline = ChurnFigures("recency_rule", "recency_rule", best, 0.8, 0.1, 0.01, 2.0)
        result = grade(
            [ours, baseline],
            [Difference("recency_rule", "recency_rule", None, low, high, None, None)],
            10**4,
            "these dates",
            asked,
        )
        start = OF_C if result.letter == "C" else (SAID[result.letter],)
        assert result.sentence.startswith(start), result
        assert ("the same as" in result.sentence) <= result.sentence.startswith("As good as")
        share = re.search(r"is (<?[0-9.]+)% (above|below) that", result.sentence)
        if share is not None:
            size, side = float(share[1].lstrip("<")), share[2]
            assert side == ("above" if log_loss > 1 else "below")
            # what is said of the size is that of the figure beside it
            assert not (result.sentence.startswith("Half a per cent") and size > 0.5)
            assert not (result.sentence.startswith("0.001 nats") and size * best > 0.1)
            assert result.sentence.startswith(("Worse", "No better")) <= (side == "above")
            assert result.sentence.startswith(("Clearly", "Better")) <= (side == "below")
        for language in ("ru", "fa"):
            said = in_language(result.sentence, Display(language))
            # names of methods stay as they are, and so does the name of a figure
            assert not re.search(r"[a-z]{2,}", said.replace("recency_rule", "")), said


@pytest.mark.parametrize("total", [0.5, 0.999, 1.05, 2.0])
@pytest.mark.parametrize("mae", [0.5, 1.0, 1.02, 3.0])
def test_the_sentence_of_the_value_is_said_in_every_language(total: float, mae: float) -> None:
    figures = [
        SpendFigures(name, name, mae if name == OURS else 1.0, None, total, 1.0)
        for name in (OURS, "recency_rule")
    ]
    english = grade_value(figures).sentence
    for language in ("ru", "fa"):
        said = in_language(english, Display(language))
        assert not re.search(r"[a-z]{2,}", said.replace("recency_rule", "")), said


@pytest.mark.parametrize("mae", [0.5, 1.0])
def test_a_total_of_nothing_is_not_said_to_be_near(mae: float) -> None:
    figures = [
        SpendFigures(name, name, mae if name == OURS else 1.0, None, 20.0, 0.0)
        for name in (OURS, "recency_rule")
    ]
    result = grade_value(figures)
    assert result.letter == "B"
    assert result.sentence.startswith("No money came, net of refunds, and 20.00 was expected; ")
    for language in ("ru", "fa"):
        said = in_language(result.sentence, Display(language))
        assert not re.search(r"[a-z]{2,}", said.replace("recency_rule", "")), said
    nothing = [SpendFigures(name, name, 0.0, None, 0.0, 0.0) for name in (OURS, "recency_rule")]
    assert grade_value(nothing).sentence.startswith("The total was within half a per cent")

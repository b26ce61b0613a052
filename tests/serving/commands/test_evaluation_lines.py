"""The table of a test, its grade and its sentence are of the same customers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stagecast.features import plain_json
from stagecast.serving.commands.terminal import evaluation_lines
from stagecast.serving.runs.model_card import card_text
from stagecast.training.fitted.evaluation import EvaluationReport
from stagecast.training.judging.evaluation_result import ActiveFigures, ChurnFigures, Evaluation
from tests.serving.reports.test_run_report import made_evaluation

OF_ACTIVE = ActiveFigures(
    customers=481,
    base_rate=0.204,
    models=(
        ChurnFigures("stagecast", "stagecast (btyd)", 0.5771, 0.354, 0.2, 0.164, 0.41),
        ChurnFigures("share", "share", 0.6076, 0.5, 0.2, 0.213, 1.02),
    ),
    against=(),
)


def evaluated(**parts: Any) -> Evaluation:
    return made_evaluation(active=OF_ACTIVE, grade_sentence="on the 481 active", **parts)


def test_the_table_is_of_those_whom_the_grade_is_of() -> None:
    said = "\n".join(evaluation_lines(evaluated(), "inactivity"))
    assert "(the 481 active of 23,570 customers, 20.4% of them" in said
    assert "0.5771" in said
    assert "0.2962" not in said
    assert "Grade B: on the 481 active" in said


def test_where_all_who_could_leave_are_active_or_none_is_they_are_not_told_apart() -> None:
    assert "(481 customers, 20.4% of" in evaluation_lines(evaluated(customers=481), "inactivity")[0]
    nobody = "\n".join(evaluation_lines(made_evaluation(), "inactivity"))
    assert "(23,570 customers, 86.0% of" in nobody
    assert "0.2962" in nobody


def test_the_report_of_python_says_one_line_of_the_same_customers() -> None:
    said = repr(EvaluationReport(plain_json.to_json(evaluated())))
    assert "481 active customers, 20.4% bought nothing; log loss 0.5771, AUC 0.354" in said
    said = repr(EvaluationReport(plain_json.to_json(made_evaluation())))
    assert "23,570 customers, 86.0% bought nothing; log loss 0.2962" in said
    of_contracts = EvaluationReport.of_card(
        {"evaluation": plain_json.to_json(evaluated()), "churn": "cancellation"}
    )
    assert "481 active customers, 20.4% cancelled; log loss" in repr(of_contracts)


def test_the_card_has_the_figures_of_the_same_customers(monkeypatch: Any) -> None:
    kind = SimpleNamespace(
        wording=SimpleNamespace(probability="P(no purchase)"),
        method=lambda models: "blend",
        method_note=lambda models: "pooled",
    )
    monkeypatch.setattr("stagecast.serving.runs.model_card.kind_of", lambda churn: kind)
    monkeypatch.setattr("stagecast.serving.runs.model_card.iso", str)
    for evaluation, whom, loss in (
        (evaluated(), "Figures of 481 active customers:", "| 0.5771 |"),
        (made_evaluation(), "Figures of 23,570 customers:", "| 0.2962 |"),
    ):
        config = SimpleNamespace(churn="inactivity", horizon_days=90, value_horizon_days=365)
        models = SimpleNamespace(config=config, scheme=SimpleNamespace(id="retail"))
        bundle: Any = SimpleNamespace(
            models=models,
            card={"evaluation": plain_json.to_json(evaluation)},
            model_version="m",
            as_of="now",
            data_cutoff="now",
            money=SimpleNamespace(currency=None),
        )
        said = card_text(bundle)
        assert whom in said
        assert loss in said
